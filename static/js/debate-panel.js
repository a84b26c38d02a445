/** <lobby-panel>: who sits on a panel, on which model and in which order; by mouse and by keyboard. */

class LobbyPanel extends HTMLElement {
  #dragged = null;

  connectedCallback() {
    if (this.list) return;
    this.list = this.querySelector(".seats");
    this.template = this.querySelector("[data-seat-template]");
    const { agents, panel, least_voters } = JSON.parse(document.getElementById(`debate-${this.dataset.name === "fork" ? "panel" : "presets"}`).textContent);
    Object.assign(this, { agents, least: least_voters ?? 0 });
    this.addEventListener("click", (event) => this.#click(event.target.closest("button")));
    this.addEventListener("change", ({ target }) => "model" in target.dataset && this.#changed());
    this.list.addEventListener("keydown", (event) => this.#key(event));
    for (const type of ["dragstart", "dragover", "drop", "dragend"]) this.list.addEventListener(type, (event) => this.#drag(event));
    if (panel) this.places = panel;
  }

  get places() {
    return [...this.list.children].map((seat) => ({ agent: seat.dataset.agent, model: seat.querySelector("[data-model]").value }));
  }

  set places(places) {
    this.list.replaceChildren(...places.filter(({ agent }) => agent in this.agents).map((place) => this.#seat(place)));
    this.#changed({ isOurs: true });
  }

  #seat({ agent, model }) {
    const { name, initials, role_name, votes } = this.agents[agent];
    const seat = this.template.content.firstElementChild.cloneNode(true);
    seat.dataset.agent = agent;
    Object.assign(seat.querySelector(".tag"), { textContent: initials }).dataset.agent = agent;
    seat.querySelector("[data-who]").textContent = name;
    seat.querySelector("[data-role]").textContent = votes ? role_name : `${role_name}, no vote`;
    const select = seat.querySelector("[data-model]");
    select.setAttribute("aria-label", `Model of ${name}`);
    if (model && ![...select.options].some((option) => option.value === model)) select.add(new Option(`${model} (no host has it)`, model));
    select.value = model;
    return seat;
  }

  #click(button) {
    if (!button) return;
    const seat = button.closest(".seat");
    if ("add" in button.dataset) return this.#add(this.querySelector("[data-add-agent]").value);
    if ("remove" in button.dataset) return this.#remove(seat);
    if (button.dataset.move) return this.#move(seat, Number(button.dataset.move), button);
  }

  #add(agent) {
    const seat = this.#seat({ agent, model: "" });
    const firstAside = [...this.list.children].find((other) => !this.agents[other.dataset.agent].votes);
    this.list.insertBefore(seat, this.agents[agent].votes ? (firstAside ?? null) : null);
    this.#changed({ words: `${this.agents[agent].name} sits now.` });
    seat.querySelector("[data-model]").focus();
  }

  #remove(seat) {
    const next = seat.nextElementSibling ?? seat.previousElementSibling;
    seat.remove();
    this.#changed({ words: `${this.agents[seat.dataset.agent].name} has left.` });
    (next?.querySelector("[data-remove]") ?? this.querySelector("[data-add]")).focus();
  }

  #move(seat, by, button) {
    const other = by < 0 ? seat.previousElementSibling : seat.nextElementSibling;
    if (!other) return;
    if (by < 0) other.before(seat);
    else other.after(seat);
    this.#changed({ words: `${this.agents[seat.dataset.agent].name} is number ${[...this.list.children].indexOf(seat) + 1} now.` });
    button.focus();
  }

  /** Alt and the arrows, from anywhere in a seat. */
  #key(event) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by || !event.altKey) return;
    event.preventDefault();
    this.#move(event.target.closest(".seat"), by, event.target);
  }

  #drag(event) {
    const over = event.target.closest?.(".seat");
    if (event.type === "dragstart") {
      this.#dragged = over;
      over.classList.add("is-dragged");
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", over.dataset.agent);
    } else if (event.type === "dragover" && this.#dragged) {
      event.preventDefault();
      if (over && over !== this.#dragged) over[isBelowMiddle(event, over) ? "after" : "before"](this.#dragged);
    } else if (this.#dragged) {
      event.preventDefault();
      this.#dragged.classList.remove("is-dragged");
      this.#dragged = null;
      this.#changed();
    }
  }

  #changed({ words = "", isOurs = false } = {}) {
    const seats = [...this.list.children];
    const voters = seats.filter((seat) => this.agents[seat.dataset.agent].votes).length;
    seats.forEach((seat, at) => this.#label(seat, at, seats.length));
    const short = voters < this.least ? `; ${this.least} is the least` : "";
    this.querySelector("[data-count]").textContent = `${seats.length} seats, ${voters} with a vote${short}`;
    this.querySelector("[data-said]").textContent = words;
    this.dispatchEvent(new CustomEvent("panel:changed", { bubbles: true, detail: { isOurs } }));
  }

  #label(seat, at, count) {
    const { name } = this.agents[seat.dataset.agent];
    const [up, down, remove] = seat.querySelectorAll(".seat-buttons button");
    up.ariaLabel = `Move ${name} up`;
    down.ariaLabel = `Move ${name} down`;
    remove.ariaLabel = `Remove ${name}`;
    up.ariaDisabled = String(at === 0); // not disabled: who moves a seat by keyboard keeps the focus
    down.ariaDisabled = String(at === count - 1);
  }
}

const isBelowMiddle = ({ clientY }, element) => {
  const { top, height } = element.getBoundingClientRect();
  return clientY > top + height / 2;
};

customElements.define("lobby-panel", LobbyPanel);
