/**
 * <lobby-menu>: a button and its menu, by mouse and by keyboard. The menu is a popover, so nothing clips it, and it opens
 * before this script is here.
 */

class LobbyMenu extends HTMLElement {
  connectedCallback() {
    if (this.menu) return;
    this.button = this.querySelector("button");
    this.menu = this.querySelector(".menu");
    if (this.menu.matches(":popover-open")) this.#prepare();
    this.#toggled(this.menu.matches(":popover-open"));
    this.button.addEventListener("keydown", (event) => this.#onButton(event));
    this.menu.addEventListener("beforetoggle", ({ newState }) => newState === "open" && this.#prepare());
    this.menu.addEventListener("toggle", ({ newState }) => this.#toggled(newState === "open"));
    this.menu.addEventListener("keydown", (event) => this.#inMenu(event));
    this.menu.addEventListener("click", ({ target }) => target.closest("[role^=menuitem]") && this.close());
    this.closest(".conversations")?.addEventListener("scroll", () => this.close(), { passive: true });
  }

  get items() {
    return [...this.menu.querySelectorAll("[role^=menuitem]")];
  }

  close() {
    if (this.menu.matches(":popover-open")) this.menu.hidePopover();
  }

  #prepare() {
    const template = document.getElementById(this.dataset.template);
    if (template && !this.menu.childElementCount) this.menu.append(template.content.cloneNode(true));
    this.#place(this.button.getBoundingClientRect());
  }

  #place({ top, bottom, left, right }) {
    const { style } = this.menu;
    const above = top > innerHeight - bottom;
    style.top = above ? "auto" : `${bottom + 6}px`;
    style.bottom = above ? `${innerHeight - top + 6}px` : "auto";
    const atLeft = left < innerWidth / 2;
    style.left = atLeft ? `${left}px` : "auto";
    style.right = atLeft ? "auto" : `${innerWidth - right}px`;
  }

  #toggled(open) {
    this.button.setAttribute("aria-expanded", String(open));
    if (!open) return;
    (this.items.find((item) => item.ariaChecked === "true") ?? this.items[0])?.focus();
  }

  #onButton(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    this.menu.showPopover();
  }

  #inMenu(event) {
    const { items } = this;
    const at = items.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Escape") event.stopPropagation();
    if (event.key === "Tab") this.close();
    if (to !== undefined) {
      event.preventDefault();
      items.at(to % items.length)?.focus();
    } else if (event.key.length === 1 && event.key !== " ") {
      this.#byLetter(event.key.toLowerCase(), at);
    }
  }

  #byLetter(letter, at) {
    const { items } = this;
    const rotated = [...items.slice(at + 1), ...items.slice(0, at + 1)];
    const starts = (item) => (item.dataset.name ?? item.textContent).trim().toLowerCase().startsWith(letter);
    rotated.find(starts)?.focus();
  }
}

customElements.define("lobby-menu", LobbyMenu);
