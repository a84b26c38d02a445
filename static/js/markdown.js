/**
 * Markdown while it streams: text in, elements appended, none ever built from a string of HTML.
 *
 * Append-only, and what one more token costs does not grow with the length: blocks are gathered into leaves, the lines
 * of code into sheets, and the browser skips those that are out of sight (content-visibility, css/prose.css).
 */

import * as smd from "../npm/streaming-markdown/smd.min.js";
import { codeFrame, Sheets } from "./code.js";

const LEAF_BLOCKS = 24;
const LEAF_CHARACTERS = 6000;
const PARAGRAPH_CHARACTERS = 8000;
const MAX_DEPTH = 16;
const MAX_PENDING = 4000; // characters of an unfinished link, fence or address

const TAGS = {
  [smd.BLOCKQUOTE]: "blockquote",
  [smd.PARAGRAPH]: "p",
  [smd.LINE_BREAK]: "br",
  [smd.RULE]: "hr",
  [smd.HEADING_1]: "h1",
  [smd.HEADING_2]: "h2",
  [smd.HEADING_3]: "h3",
  [smd.HEADING_4]: "h4",
  [smd.HEADING_5]: "h5",
  [smd.HEADING_6]: "h6",
  [smd.ITALIC_AST]: "em",
  [smd.ITALIC_UND]: "em",
  [smd.STRONG_AST]: "strong",
  [smd.STRONG_UND]: "strong",
  [smd.STRIKE]: "s",
  [smd.CODE_INLINE]: "code",
  [smd.RAW_URL]: "a",
  [smd.LINK]: "a",
  [smd.LIST_UNORDERED]: "ul",
  [smd.LIST_ORDERED]: "ol",
  [smd.LIST_ITEM]: "li",
  [smd.TABLE]: "table",
  [smd.TABLE_ROW]: "tr",
};
const MATHS = { [smd.EQUATION_BLOCK]: "$$", [smd.EQUATION_INLINE]: "$" };

export class MarkdownWriter {
  #parser;
  #plain = null;

  constructor(root) {
    this.page = new Page(root);
    this.#parser = smd.parser({ data: this.page, add_token, end_token, add_text, set_attr });
  }

  write(text) {
    if (this.#plain) return this.#plain.append(text);
    try {
      smd.parser_write(this.#parser, text);
    } catch (error) {
      console.warn("Markdown given up, plain text from here on", error);
      return this.#giveUp("");
    }
    if (this.#parser.pending.length > MAX_PENDING) this.#giveUp(this.#parser.pending);
    else if (this.#parser.len > MAX_DEPTH) this.#giveUp("");
  }

  end() {
    if (!this.#plain) smd.parser_end(this.#parser);
  }

  /** What the parser would choke on is shown as it came; the server's rendering takes its place at the end. */
  #giveUp(rest) {
    const block = document.createElement("pre");
    this.page.leaf(0).append(block);
    this.#plain = new Sheets(block);
    this.#plain.append(rest);
  }
}

/** The elements that are open, and the leaf that new blocks go to. */
class Page {
  #leaf = null;
  #blocks = 0;
  #characters = 0;

  constructor(root) {
    this.root = root;
    this.open = []; // {element, sheets?, maths?}
  }

  get top() {
    return this.open.at(-1);
  }

  leaf(characters) {
    if (!this.#leaf || this.#blocks >= LEAF_BLOCKS || this.#characters > LEAF_CHARACTERS) {
      this.#leaf = this.root.appendChild(document.createElement("div"));
      this.#leaf.className = "leaf";
      this.#blocks = this.#characters = 0;
    }
    this.#blocks += 1;
    this.#characters += characters;
    return this.#leaf;
  }

  add(element) {
    (this.top?.element ?? this.leaf(0)).append(element);
    return element;
  }

  write(text) {
    const top = this.top;
    if (top.sheets) return top.sheets.append(text);
    const last = top.element.lastChild;
    if (last instanceof Text) last.appendData(text);
    else top.element.append(text);
    this.#characters += text.length;
    if (this.open.length === 1 && top.element.localName === "p") this.#breakLong(top, text);
  }

  /** A paragraph without end would be laid out anew with every word: go on in another that looks like the same. */
  #breakLong(top, text) {
    top.length = (top.length ?? 0) + text.length;
    if (top.length < PARAGRAPH_CHARACTERS) return;
    top.element = document.createElement("p");
    top.element.className = "continued";
    top.length = 0;
    this.leaf(0).append(top.element);
  }
}

function add_token(page, type) {
  if (type === smd.DOCUMENT) return;
  if (page.open.length > MAX_DEPTH) return page.open.push({ element: page.top.element });
  if (type === smd.CODE_FENCE || type === smd.CODE_BLOCK) return page.open.push(codeBlock(page));
  if (type === smd.TABLE_CELL) return page.open.push({ element: page.add(cell(page)) });
  if (type === smd.CHECKBOX) return page.open.push({ element: page.add(checkbox()) });
  if (type === smd.IMAGE) return page.open.push({ element: page.add(document.createElement("a")), image: true });
  if (type in MATHS) return openMaths(page, MATHS[type]);
  page.open.push({ element: page.add(document.createElement(TAGS[type] ?? "span")) });
}

function end_token(page) {
  const ended = page.open.pop();
  if (ended?.maths) ended.element.append(ended.maths);
}

function add_text(page, text) {
  page.write(text);
}

function set_attr(page, type, value) {
  const { element, image, label } = page.top;
  if (type === smd.HREF || type === smd.SRC) link(element, value, image);
  else if (type === smd.START && /^\d{1,9}$/.test(value)) element.setAttribute("start", value);
  else if (type === smd.CHECKED) element.checked = true;
  else if (type === smd.LANG && label) name(element, label, value);
}

/** Only addresses of the web and of mail become links; an image becomes a link to it, never a request. */
function link(element, address, image) {
  if (image) element.prepend("image: ");
  if (!/^(https?:\/\/|mailto:)/i.test(address.trim())) return;
  element.href = address.trim();
  element.target = "_blank";
  element.rel = "noopener noreferrer nofollow";
}

function openMaths(page, sign) {
  const element = page.add(document.createElement("span"));
  element.append(sign);
  page.open.push({ element, maths: sign });
}

function cell(page) {
  const first = page.top?.element.parentElement?.firstElementChild === page.top?.element;
  return document.createElement(first ? "th" : "td");
}

function checkbox() {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.disabled = true;
  box.setAttribute("aria-label", "item");
  return box;
}

function codeBlock(page) {
  const { block, code, label } = codeFrame();
  page.add(block);
  return { element: code, label, sheets: new Sheets(code) };
}

function name(code, label, info) {
  const language = info.trim().split(/\s/)[0].slice(0, 30);
  label.textContent = language;
  if (/^[\w+#.-]+$/.test(language)) code.className = `language-${language}`;
}
