/** Blocks of code: the frame with language and Copy, and sheets that keep ten thousand lines cheap to lay out. */

const SHEET_LINES = 60;
const SHEET_CHARACTERS = 8000;

/** Long preformatted text, in sheets that are laid out on their own. */
export class Sheets {
  #lines = 0;
  #characters = 0;
  #text = null;

  constructor(root) {
    this.root = root;
  }

  append(text) {
    for (let at = 0; at < text.length; ) {
      if (!this.#text || this.#lines >= SHEET_LINES || this.#characters > SHEET_CHARACTERS) this.#turn();
      const end = this.#take(text, at);
      this.#text.appendData(text.slice(at, end));
      this.#characters += end - at;
      at = end;
    }
  }

  /** As far as this sheet holds: to its last line's end, or a line too long for any sheet. */
  #take(text, from) {
    let at = from;
    while (this.#lines < SHEET_LINES) {
      const end = text.indexOf("\n", at);
      if (end < 0) return text.length;
      at = end + 1;
      this.#lines += 1;
    }
    return at;
  }

  #turn() {
    const sheet = document.createElement("span");
    sheet.className = "lines";
    this.#text = sheet.appendChild(document.createTextNode(""));
    this.#lines = this.#characters = 0;
    this.root.append(sheet);
  }
}

/** The same elements as lobby/markdown.py makes, with a way to copy. */
export function codeFrame() {
  const block = element("div", "code");
  const header = block.appendChild(element("div", "code-header"));
  const label = header.appendChild(element("span", "code-language"));
  const pre = block.appendChild(element("pre"));
  const code = pre.appendChild(element("code"));
  complete(block);
  return { block, label, code };
}

/** What a block says, the same while it streams and when the server has rendered it: its last line has an end. */
export function codeOf(block) {
  const text = block.querySelector("code").textContent;
  return text.endsWith("\n") ? text : `${text}\n`;
}

function complete(block) {
  block.querySelector(".code-header").append(copyButton());
  block.querySelector("pre").tabIndex = 0; // it scrolls: by keyboard too
}

function element(name, className) {
  const made = document.createElement(name);
  if (className) made.className = className;
  return made;
}

function copyButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.action = "copy-code";
  button.append(icon("copy"), "Copy");
  return button;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  svg.appendChild(document.createElementNS(svg.namespaceURI, "use")).setAttribute("href", `#i-${name}`);
  return svg;
}

export function dressCode(root) {
  for (const block of root.querySelectorAll(".code")) {
    if (block.querySelector("button")) continue;
    complete(block);
    intoSheets(block.querySelector("code"));
  }
}

function intoSheets(code) {
  if (code.firstElementChild || code.textContent.length < 2 * SHEET_CHARACTERS) return;
  const text = code.textContent;
  code.textContent = "";
  new Sheets(code).append(text);
}
