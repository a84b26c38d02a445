/** <lobby-connection>: says so when the page is cut off, and only then. */

import { live } from "./live.js";

const PATIENCE_MS = 700; // shorter breaks are not worth a word

class LobbyConnection extends HTMLElement {
  #timer = 0;

  connectedCallback() {
    live.addEventListener("state", () => this.#changed());
    addEventListener("offline", () => this.#changed());
    addEventListener("online", () => this.#changed());
  }

  #changed() {
    clearTimeout(this.#timer);
    if (!navigator.onLine) return this.#lost();
    if (live.state === "open") return this.replaceChildren();
    if (live.state === "signed-out") return this.#signedOut();
    if (live.state === "lost") this.#timer = setTimeout(() => this.#lost(), PATIENCE_MS);
  }

  #lost() {
    const dot = document.createElement("span");
    dot.className = "pulse";
    this.replaceChildren(dot, navigator.onLine ? "Reconnecting…" : "Offline, waiting for the network…");
  }

  #signedOut() {
    const link = document.createElement("a");
    link.href = `/sign-in/?next=${encodeURIComponent(location.pathname)}`;
    link.textContent = "Signed out. Sign in again";
    this.replaceChildren(link);
  }
}

customElements.define("lobby-connection", LobbyConnection);
