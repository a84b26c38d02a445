/** <lobby-board>: the lobby's page stays as it is right now: who is busy, what is recent, which model answers. */

import { fragment } from "./api.js";
import { live } from "./live.js";
import { localTimes } from "./words.js";

const SETTLE_MS = 300;
const EVERY_MS = 15000; // what others do is not told to us

class LobbyBoard extends HTMLElement {
  #timer = 0;

  connectedCallback() {
    live.addEventListener("user", () => this.#soon());
    setInterval(() => document.hidden || this.#refresh(), EVERY_MS);
    document.addEventListener("visibilitychange", () => document.hidden || this.#soon());
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#refresh(), SETTLE_MS);
  }

  async #refresh() {
    try {
      const found = await fragment(location.pathname + location.search);
      localTimes(found);
      for (const fresh of found.querySelectorAll("lobby-board [data-part]")) this.#put(fresh);
    } catch {
      // the next round may reach the server; the page says itself when it is cut off
    }
  }

  #put(fresh) {
    const old = this.querySelector(`[data-part="${fresh.dataset.part}"]`);
    if (old.isEqualNode(fresh) || old.querySelector("details[open]")) return;
    const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    old.replaceWith(fresh);
    if (focused) fresh.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
  }
}

customElements.define("lobby-board", LobbyBoard);
