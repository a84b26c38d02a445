/** <lobby-reply>: a message while it is written. Place in line → loading → thinking → text → ended. */

import { nextFrame } from "./frame.js";
import { MarkdownWriter } from "./markdown.js";
import { place } from "./words.js";

const PIECE = 2048; // characters between two looks at the clock
const EARLY_EVENTS = 2000;

const replies = new Map(); // run → element
const early = new Map(); // run → events that came before the page had its element

/** Pass an event of a run to its element, now or when it appears. */
export function deliver(event) {
  const reply = replies.get(event.run);
  if (reply) return reply.hear(event);
  const waiting = early.get(event.run) ?? [];
  if (waiting.length < EARLY_EVENTS) waiting.push(event);
  early.set(event.run, waiting);
  if (early.size > 20) early.delete(early.keys().next().value);
}

export const replyOf = (run) => replies.get(run);
export const writing = () => [...replies.values()].filter((reply) => reply.isBusy);

class LobbyReply extends HTMLElement {
  #attempt = 0;
  #began = 0;

  connectedCallback() {
    if (this.prose) return replies.set(this.dataset.run, this);
    this.prose = this.querySelector(".live");
    this.state = this.querySelector("[data-state]");
    this.stateLine = this.querySelector(".reply-state");
    this.folded = this.querySelector(".thinking");
    this.#reset();
    replies.set(this.dataset.run, this);
    for (const event of early.get(this.dataset.run) ?? []) this.hear(event);
    early.delete(this.dataset.run);
  }

  disconnectedCallback() {
    if (replies.get(this.dataset.run) === this) replies.delete(this.dataset.run);
  }

  get isBusy() {
    return this.getAttribute("aria-busy") === "true";
  }

  hear(event) {
    if (event.attempt < this.#attempt || !this.isBusy) return;
    if (event.attempt > this.#attempt && event.type !== "run.queued") this.#restart(event.attempt);
    switch (event.type) {
      case "run.queued":
        return this.#say(place(event.position));
      case "run.started":
        return this.#say(event.loading ? `Loading ${event.model}…` : "Reading…");
      case "run.thinking":
        return this.#take(this.thoughts, event);
      case "run.delta":
        return this.#take(this.text, event);
      case "run.ended":
        return this.#end(event);
    }
  }

  /** What the database knows of an unfinished run. */
  catchUp(run) {
    if (run.attempt < this.#attempt) return;
    if (run.attempt > this.#attempt) this.#restart(run.attempt);
    if (run.status === "queued" && run.position) this.#say(place(run.position));
    if (run.thinking) this.#take(this.thoughts, { at: 0, text: run.thinking });
    if (run.text) this.#take(this.text, { at: 0, text: run.text });
  }

  stopping() {
    this.isStopping = true;
    this.stateLine.hidden = false;
    this.state.textContent = "Stopping…";
  }

  #reset() {
    this.prose.replaceChildren();
    this.folded.hidden = true;
    this.folded.querySelector(".thoughts").textContent = "";
    this.writer = new MarkdownWriter(this.prose);
    this.text = lane();
    this.thoughts = lane();
    this.#began = 0;
  }

  #restart(attempt) {
    if (this.#attempt) this.#reset();
    this.#attempt = attempt;
  }

  #take(lane, { at, text }) {
    if (at > lane.have) return this.dispatchEvent(new CustomEvent("reply:lost", { bubbles: true }));
    const fresh = at < lane.have ? withoutFirst(text, lane.have - at) : text;
    if (!fresh) return;
    lane.have += codePoints(fresh);
    lane.words += wordStarts(fresh, lane.last);
    lane.last = fresh.at(-1);
    lane.queue.push(fresh);
    nextFrame(this.#flush);
  }

  #flush = (deadline) => {
    this.#flushThoughts();
    while (this.text.queue.length && performance.now() < deadline) this.#writePiece();
    if (this.text.queue.length) nextFrame(this.#flush);
    else if (!this.isBusy) this.#finish();
  };

  #flushThoughts() {
    if (!this.thoughts.queue.length) return;
    this.#began ||= performance.now();
    this.folded.hidden = false;
    this.#say("Thinking…");
    this.folded.querySelector(".thoughts").append(this.thoughts.queue.splice(0).join(""));
  }

  #writePiece() {
    if (!this.stateLine.hidden && !this.isStopping) this.#firstWords();
    const [head] = this.text.queue;
    const end = cut(head, PIECE);
    this.writer.write(head.slice(0, end));
    if (end === head.length) this.text.queue.shift();
    else this.text.queue[0] = head.slice(end);
  }

  #firstWords() {
    this.stateLine.hidden = true;
    if (!this.#began) return;
    const seconds = Math.max(1, Math.round((performance.now() - this.#began) / 1000));
    this.folded.querySelector("[data-thinking-words]").textContent = `Thought for ${seconds} s`;
  }

  #say(words) {
    if (this.isStopping) return;
    this.state.textContent = words;
    this.stateLine.hidden = false;
  }

  #end({ status }) {
    this.status = status;
    this.words = this.text.words;
    this.setAttribute("aria-busy", "false");
    this.stateLine.hidden = true;
    nextFrame(this.#flush);
    this.dispatchEvent(new CustomEvent("reply:ended", { bubbles: true, detail: { run: this.dataset.run, status } }));
  }

  #finish() {
    if (this.isFinished) return;
    this.isFinished = true;
    this.writer.end();
  }
}

/** `have` counts code points, `words` those that begin; `queue` is what is not on the page yet. */
const lane = () => ({ have: 0, words: 0, last: " ", queue: [] });

function wordStarts(text, last) {
  const within = /\S/.test(last) && /^\S/.test(text) ? 1 : 0;
  return (text.match(/\S+/g)?.length ?? 0) - within;
}

/** Offsets on the wire count code points; JavaScript counts UTF-16 units. */
export function codePoints(text) {
  let count = text.length;
  for (let at = 0; at < text.length - 1; at++)
    if (isHigh(text.charCodeAt(at)) && isLow(text.charCodeAt(at + 1))) (count -= 1), (at += 1);
  return count;
}

export function withoutFirst(text, points) {
  let at = 0;
  for (; points > 0 && at < text.length; points--)
    at += isHigh(text.charCodeAt(at)) && isLow(text.charCodeAt(at + 1)) ? 2 : 1;
  return text.slice(at);
}

/** Where to cut so that no pair is torn. */
function cut(text, length) {
  if (text.length <= length) return text.length;
  return isHigh(text.charCodeAt(length - 1)) ? length - 1 : length;
}

const isHigh = (unit) => unit >= 0xd800 && unit < 0xdc00;
const isLow = (unit) => unit >= 0xdc00 && unit < 0xe000;

customElements.define("lobby-reply", LobbyReply);
