/** <lobby-host>: the models of a host, and the pulls that are under way, live. */

import { post } from "./admin-post.js";
import { fragment, withReference } from "./api.js";
import { live } from "./live.js";

const WORDS = { waiting: "Waiting for a worker.", done: "Done.", failed: "Failed.", cancelled: "Stopped." };
const OVER = new Set(["done", "failed", "cancelled"]);
const UNITS = ["B", "kB", "MB", "GB", "TB"];

class LobbyHost extends HTMLElement {
  #pulls = new Map(); // id → {status, card}

  connectedCallback() {
    this.list = this.querySelector("[data-pulls]");
    for (const pull of JSON.parse(this.querySelector("#host-pulls").textContent).reverse()) this.#show(pull);
    this.addEventListener("click", (event) => this.#clicked(event.target.closest("[data-way]")));
    this.querySelector("[data-pull]")?.addEventListener("submit", (event) => this.#pull(event));
    live.attach(`host:${this.dataset.host}`, (event) => this.#hear(event));
  }

  #hear(event) {
    if (event.type === "snapshot") return [...event.pulls].reverse().forEach((pull) => this.#show(pull));
    const before = this.#pulls.get(event.pull)?.status;
    this.#show(event);
    if (event.status === before) return;
    this.#tell(`${event.model}: ${WORDS[event.status] ?? "Pulling."}`);
    if (event.status === "done") this.#refresh();
  }

  #show(pull) {
    let { card } = this.#pulls.get(pull.pull) ?? {};
    if (!card) this.list.prepend((card = newCard(pull)));
    this.#pulls.set(pull.pull, { status: pull.status, card });
    draw(card, pull);
  }

  async #pull(event) {
    event.preventDefault();
    const form = event.target;
    if (await this.#do("pull", form.elements.model.value)) form.reset();
  }

  async #clicked(button) {
    if (!button) return;
    const { way, model } = button.dataset;
    button.disabled = true;
    if ((await this.#do(way, model)) && way !== "stop-pull") await this.#refresh();
    button.disabled = false;
  }

  async #do(way, model = "") {
    this.#say("");
    const fields = new FormData();
    fields.set("model", model);
    fields.set("csrfmiddlewaretoken", this.querySelector("[name=csrfmiddlewaretoken]").value);
    try {
      await post(`${this.dataset.url}${way}/`, fields);
      return true;
    } catch (error) {
      this.#say(error.message);
      return false;
    }
  }

  async #refresh() {
    try {
      this.querySelector("[data-models]").replaceChildren(await fragment(`${this.dataset.url}models/`));
    } catch (error) {
      this.#say(error.message);
    }
  }

  #say(words) {
    this.querySelector("[data-words]").textContent = words;
  }

  #tell(words) {
    this.querySelector("[data-status]").textContent = words;
  }
}

function newCard(pull) {
  const card = document.createElement("div");
  card.className = "lobby-pull";
  card.innerHTML = `<div class="row"><strong></strong><span data-how></span>
    <button type="button" class="lobby-button" data-way="stop-pull">Stop</button></div><progress max="100"></progress>`;
  card.querySelector("strong").textContent = pull.model;
  card.querySelector("progress").setAttribute("aria-label", `Pulling ${pull.model}`);
  card.querySelector("button").dataset.model = pull.model;
  return card;
}

function draw(card, pull) {
  const bar = card.querySelector("progress");
  card.querySelector("[data-how]").textContent = how(pull);
  bar.hidden = OVER.has(pull.status);
  if (pull.percent == null) bar.removeAttribute("value");
  else bar.value = pull.percent;
  card.querySelector("button").hidden = OVER.has(pull.status) || pull.stopping;
}

function how({ status, step, completed, total, percent, error, request_id, stopping }) {
  if (status === "failed") return `Failed: ${withReference(error, request_id)}`;
  if (stopping) return "Stopping…";
  if (status in WORDS) return WORDS[status];
  return percent == null ? step || "Beginning…" : `${percent} %, ${bytes(completed)} of ${bytes(total)}: ${step}`;
}

function bytes(number) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log10(Math.max(1, number)) / 3));
  return `${(number / 1000 ** power).toFixed(power ? 1 : 0)} ${UNITS[power]}`;
}

if (live.state === "idle") live.start("/ws/");
customElements.define("lobby-host", LobbyHost);
