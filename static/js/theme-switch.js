/** <lobby-theme>: light or dark; choosing what the system has means following the system again. */

const KEY = "lobby:theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

class LobbyTheme extends HTMLElement {
  connectedCallback() {
    this.querySelector("button").addEventListener("click", () => this.#switch());
    addEventListener("storage", ({ key, newValue }) => key === KEY && show(newValue));
  }

  #switch() {
    const system = dark.matches ? "dark" : "light";
    const now = document.documentElement.dataset.theme ?? system;
    const next = now === "dark" ? "light" : "dark";
    if (next === system) localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
    show(next === system ? null : next);
  }
}

function show(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

customElements.define("lobby-theme", LobbyTheme);
