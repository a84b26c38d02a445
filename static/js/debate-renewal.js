/** A part of the page that is fetched again when something changed: soon, one at a time, and never too seldom. */

const SETTLE_MS = 60; // events come in bunches

export class Renewal {
  #timer = 0;
  #underWay = null;
  #again = false;
  isStale = false;

  constructor(work) {
    this.work = work;
  }

  soon() {
    if (this.#underWay) this.#again = true;
    else this.#timer ||= setTimeout(() => this.now(), SETTLE_MS);
  }

  /** Under way already: what it fetches may be older than what was done, so once more after it. */
  async now() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    while (this.#underWay) await this.#underWay;
    this.#underWay = this.#fetch();
    await this.#underWay;
  }

  async #fetch() {
    this.#again = false;
    try {
      await this.work();
      this.isStale = false;
    } catch {
      this.isStale = true; // fetched when the connection is back
    }
    this.#underWay = null;
    if (this.#again) this.soon();
  }
}

/** Put a fresh element in an old one's place; what is open, focused, scrolled or half asked for in it stays so. */
export function swap(old, fresh) {
  for (const details of old.querySelectorAll("details[data-keep]")) {
    const same = fresh.querySelector(`details[data-keep="${details.dataset.keep}"]`);
    if (same) same.open = details.open;
  }
  if (old.isEqualNode(fresh) || old.querySelector("select:focus")) return; // nothing is exchanged under their hands
  const focused = old.contains(document.activeElement) ? signOf(document.activeElement) : "";
  const places = [...old.querySelectorAll(SCROLLING)].map((element) => element.scrollLeft);
  const asked = old.querySelector("[data-asked]"); // its second click is on the way
  if (asked) fresh.querySelector(signOf(asked))?.replaceWith(asked);
  old.replaceWith(fresh);
  fresh.querySelectorAll(SCROLLING).forEach((element, at) => (element.scrollLeft = places[at] ?? 0));
  if (focused) fresh.querySelector(focused)?.focus();
}

const SCROLLING = ".scroll-x";

function signOf(element) {
  const { id, dataset } = element;
  if (id) return `#${CSS.escape(id)}`;
  if (dataset.do) return dataset.do === "pause" || dataset.do === "resume" ? "[data-do=resume], [data-do=pause]" : `[data-do="${dataset.do}"]`;
  if (dataset.open) return `[data-open="${dataset.open}"]`;
  if ("delete" in dataset) return "[data-delete]";
  if (element.localName === "summary") return `[data-keep="${element.parentElement.dataset.keep}"] > summary`;
  return element.ariaLabel ? `[aria-label="${CSS.escape(element.ariaLabel)}"]` : "";
}
