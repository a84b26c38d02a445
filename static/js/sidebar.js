/** <lobby-sidebar>: the conversations, live in all tabs; search, rename, pin, delete with undo; a drawer on phones. */

import { api, fragment } from "./api.js";
import { live } from "./live.js";
import { toast, toastOnNextPage } from "./toasts.js";

const SETTLE_MS = 150;
const NARROW = matchMedia("(max-width: 56rem)");

class LobbySidebar extends HTMLElement {
  #timer = 0;
  #asked = 0;
  #limit = 0;

  connectedCallback() {
    this.list = this.querySelector("[data-list]");
    this.search = this.querySelector("#search");
    this.search.addEventListener("input", () => this.refreshSoon());
    this.search.addEventListener("keydown", (event) => this.#searchKey(event));
    this.list.addEventListener("keydown", (event) => this.#arrows(event));
    this.addEventListener("click", (event) => this.#click(event));
    this.addEventListener("keydown", ({ key }) => key === "Escape" && this.close());
    document.addEventListener("click", (event) => this.#outside(event));
    live.addEventListener("user", ({ detail }) => this.#news(detail));
    NARROW.addEventListener("change", () => this.close());
  }

  #news({ type, change, conversation }) {
    if (type !== "chat.conversation" && type !== "snapshot") return;
    this.refreshSoon(); // at a snapshot: what was said before anybody listened
    const here = document.querySelector("lobby-thread")?.dataset.conversation === conversation;
    if (here && change === "deleted" && !this.isDeleting) toast("This conversation was deleted in another tab.", { undo: () => this.restore(conversation) });
  }

  /** Nothing is exchanged under their hands. */
  get #isInUse() {
    return this.querySelector(".conversation input, .menu:popover-open") !== null;
  }

  refreshSoon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), SETTLE_MS);
  }

  async refresh() {
    if (this.#isInUse) return this.refreshSoon();
    const query = new URLSearchParams({ q: this.search.value.trim() });
    if (this.#limit) query.set("limit", this.#limit);
    const asked = ++this.#asked;
    try {
      const found = await fragment(`${this.dataset.src}?${query}`);
      if (asked === this.#asked) this.#show(found);
    } catch (error) {
      if (this.search.value) this.#explain(error.message);
    }
  }

  #show(found) {
    if (this.#isInUse) return this.refreshSoon();
    const focused = this.list.contains(document.activeElement)
      ? document.activeElement.closest("[data-conversation]")?.dataset.conversation
      : null;
    this.list.replaceChildren(found);
    for (const link of this.list.querySelectorAll("a"))
      if (link.pathname === location.pathname) link.setAttribute("aria-current", "page");
    if (focused) this.#item(focused)?.querySelector("a").focus();
  }

  #explain(words) {
    const line = document.createElement("p");
    line.className = "empty";
    line.textContent = words;
    this.list.replaceChildren(line);
  }

  #item(id) {
    return this.list.querySelector(`[data-conversation="${id}"]`);
  }

  #searchKey(event) {
    if (event.key === "Escape" && this.search.value) {
      event.stopPropagation();
      this.search.value = "";
      this.refresh();
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      this.list.querySelector("a")?.focus();
    }
  }

  #arrows(event) {
    if (event.target.localName !== "a" || !/^Arrow(Up|Down)$/.test(event.key)) return;
    event.preventDefault();
    const links = [...this.list.querySelectorAll("a")];
    const to = links.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1);
    (links[to] ?? this.search).focus();
  }

  #click({ target }) {
    const button = target.closest("[data-do], [data-more], [data-close-aside], [data-shortcuts]");
    if (!button) return;
    if ("closeAside" in button.dataset) return this.close();
    if ("shortcuts" in button.dataset) return document.querySelector("lobby-shortcuts").open();
    if ("more" in button.dataset) return this.#more();
    const item = button.closest("[data-conversation]");
    if (button.dataset.do === "rename") this.#rename(item);
    if (button.dataset.do === "pin") this.#change(item, { is_pinned: !("pinned" in item.dataset) });
    if (button.dataset.do === "delete") this.#delete(item);
  }

  #more() {
    this.#limit = this.list.querySelectorAll("[data-conversation]").length + 50;
    this.refresh();
  }

  #rename(item) {
    const input = document.createElement("input");
    Object.assign(input, { value: item.dataset.title, maxLength: 120 });
    input.setAttribute("aria-label", "Title");
    const link = item.querySelector("a");
    let isDone = false;
    const done = (save) => {
      if (isDone) return; // taking the input away blurs it
      isDone = true;
      input.replaceWith(link);
      const title = input.value.trim();
      if (save && title && title !== item.dataset.title) this.#change(item, { title });
      link.focus();
    };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") done(true);
      if (event.key === "Escape") done(false);
    });
    input.addEventListener("blur", () => done(true));
    link.replaceWith(input);
    setTimeout(() => (input.focus(), input.select())); // after the menu has given the focus back
  }

  async #change(item, changes) {
    const id = item.dataset.conversation;
    try {
      const { title } = await api("PATCH", `conversations/${id}`, changes);
      const here = document.querySelector("lobby-thread")?.dataset.conversation === id;
      if (here && changes.title) document.querySelector(".bar [data-title]").textContent = title;
    } catch (error) {
      toast(error.message);
    }
    this.refresh();
  }

  async #delete(item) {
    const { conversation, title } = item.dataset;
    const here = document.querySelector("lobby-thread")?.dataset.conversation === conversation;
    const words = `Deleted “${title.slice(0, 40)}”.`;
    this.isDeleting = true;
    try {
      await api("DELETE", `conversations/${conversation}`);
      item.remove();
      if (!here) return toast(words, { undo: () => this.restore(conversation) });
      toastOnNextPage(words, { restore: conversation });
      location.assign("/");
    } catch (error) {
      toast(error.message);
    } finally {
      this.isDeleting = false;
    }
  }

  async restore(conversation) {
    try {
      await api("POST", `conversations/${conversation}/restore`);
      toast("It is back.");
    } catch (error) {
      toast(error.message);
    }
    this.refresh();
  }

  open() {
    this.classList.add("is-open");
    document.getElementById("main").inert = true;
    this.querySelector("[data-close-aside]").focus();
  }

  close() {
    if (!this.classList.contains("is-open")) return;
    this.classList.remove("is-open");
    document.getElementById("main").inert = false;
    document.querySelector("[data-open-aside]")?.focus();
  }

  #outside({ target }) {
    if (target.closest("[data-open-aside]")) return this.open();
    if (this.classList.contains("is-open") && (target === this ? false : !this.contains(target))) this.close();
  }

  focusSearch() {
    if (NARROW.matches) this.open();
    this.search.focus();
    this.search.select();
  }
}

customElements.define("lobby-sidebar", LobbySidebar);
