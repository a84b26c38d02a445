/** <lobby-shortcuts>: the keys that work everywhere on the page, and the list of them. */

class LobbyShortcuts extends HTMLElement {
  connectedCallback() {
    this.dialog = this.querySelector("dialog");
    document.addEventListener("keydown", (event) => this.#key(event));
  }

  open() {
    this.dialog.showModal();
  }

  #key(event) {
    if (event.ctrlKey && event.shiftKey && event.code === "KeyO") {
      event.preventDefault();
      document.querySelector("[data-new-chat]")?.click();
    } else if (event.key === "Escape") {
      this.#stop(event);
    } else if (!typing(event) && event.key === "/") {
      event.preventDefault();
      document.querySelector("lobby-sidebar")?.focusSearch();
    } else if (!typing(event) && event.key === "?") {
      this.open();
    }
  }

  #stop(event) {
    if (event.defaultPrevented || document.querySelector("dialog[open], .menu:popover-open")) return;
    document.querySelector("lobby-thread")?.stop();
  }
}

const typing = ({ target, ctrlKey, metaKey, altKey }) =>
  ctrlKey || metaKey || altKey || target.closest?.("input, textarea, select, [contenteditable], dialog");

customElements.define("lobby-shortcuts", LobbyShortcuts);
