/** <lobby-toasts>: short news, some with a way back. */

const SHOWN_MS = 8000;
const NEXT_PAGE = "lobby:toast";

export function toast(text, { undo } = {}) {
  document.querySelector("lobby-toasts")?.show(text, undo);
}

/** Say it on the page that comes next; `undo` is the id of a conversation that can be brought back. */
export function toastOnNextPage(text, { restore }) {
  sessionStorage.setItem(NEXT_PAGE, JSON.stringify({ text, restore }));
}

class LobbyToasts extends HTMLElement {
  connectedCallback() {
    const { text, restore } = JSON.parse(sessionStorage.getItem(NEXT_PAGE) ?? "{}");
    sessionStorage.removeItem(NEXT_PAGE);
    if (text) this.show(text, () => document.querySelector("lobby-sidebar").restore(restore));
    else for (const box of this.children) setTimeout(() => box.remove(), SHOWN_MS); // what the server had to say
  }

  show(text, undo) {
    const box = document.createElement("div");
    box.className = "toast";
    box.append(text);
    if (undo) box.append(this.#button(box, undo));
    this.replaceChildren(box);
    setTimeout(() => box.remove(), SHOWN_MS);
  }

  #button(box, undo) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Undo";
    button.addEventListener("click", () => (box.remove(), undo()));
    return button;
  }
}

customElements.define("lobby-toasts", LobbyToasts);
