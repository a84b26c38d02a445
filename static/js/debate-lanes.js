/** The lanes of the stage: who is in which state, and what each says. Words stream into <lobby-reply> (reply.js). */

import { dressCode } from "./code.js";
import { replyOf } from "./reply.js";
import { ScrollPin } from "./scroll.js";
import { place } from "./words.js";

export class Lanes {
  #seats = new Map(); // run → seat
  #toldAt = new WeakMap(); // lane → when an event last said its state
  #pins = new WeakMap();

  constructor(root) {
    this.root = root;
    for (const lane of root.children) this.#adopt(lane);
  }

  lane(seat) {
    return this.root.querySelector(`[data-seat="${seat}"]`);
  }

  name(seat) {
    return this.lane(seat)?.dataset.name ?? "";
  }

  /** Chips, from the events of a debate and of its runs. Answers with the name of a seat that begins to speak. */
  hear(event) {
    switch (event.type) {
      case "debate.speech":
        return this.#speech(event);
      case "debate.voted":
        return this.#tell(event.seat, "voted", "voted");
      case "debate.round":
        return this.#step(event);
      case "run.queued":
        return this.#tell(this.#seatOf(event.run), "queued", place(event.position));
      case "run.started":
        return this.#started(event);
      case "run.thinking":
        return this.#tell(this.#seatOf(event.run), "thinking", "thinking");
      case "run.delta":
        return this.#tell(this.#seatOf(event.run), "speaking", "speaking");
    }
  }

  /** What the database knows of the runs that are being said. */
  catchUp(runs) {
    for (const { run, seat, status, position, text, thinking } of runs) {
      this.#seats.set(run, seat);
      if (status === "queued") this.#tell(seat, "queued", position ? place(position) : "in line");
      else if (text) this.#tell(seat, "speaking", "speaking");
      else this.#tell(seat, thinking ? "thinking" : "reading", thinking ? "thinking" : "reading");
    }
  }

  #speech({ seat, status, run }) {
    if (run) this.#seats.set(run, seat);
    if (status === "waiting") return this.lane(seat)?.dataset.state === "speaking" ? undefined : this.#tell(seat, "queued", "in line");
    if (status === "failed") this.#tell(seat, "failed", "failed");
    else this.#tell(seat, "spoke", "spoke");
  }

  #step({ step }) {
    if (step !== "ballot") return;
    for (const lane of this.root.children)
      if (!lane.classList.contains("is-aside") && lane.dataset.state !== "voted") this.#tell(lane.dataset.seat, "voting", "voting");
  }

  #started({ run, loading, model }) {
    const seat = this.#seatOf(run);
    this.#tell(seat, "reading", loading ? `loading ${model}` : "reading");
    return this.name(seat);
  }

  #seatOf(run) {
    const known = this.#seats.get(run);
    if (known) return known;
    const seat = replyOf(run)?.closest("[data-seat]")?.dataset.seat;
    if (seat) this.#seats.set(run, seat);
    return seat;
  }

  #tell(seat, state, words) {
    const lane = seat && this.lane(seat);
    if (!lane) return;
    this.#toldAt.set(lane, performance.now());
    show(lane, state, words);
  }

  /** Put in what the server made, asked for at `since`; what streams goes on streaming. */
  merge(fresh, since) {
    const stays = new Set();
    for (const [at, lane] of [...fresh.children].entries()) {
      const old = this.lane(lane.dataset.seat);
      if (old) this.#update(old, lane, since);
      else this.#adopt(lane);
      const shown = old ?? lane;
      stays.add(shown);
      if (this.root.children[at] !== shown) this.root.insertBefore(shown, this.root.children[at] ?? null);
    }
    for (const lane of [...this.root.children]) if (!stays.has(lane)) lane.remove();
  }

  #adopt(lane) {
    dressCode(lane);
    this.#pins.set(lane, new ScrollPin(lane.querySelector(".lane-scroll"), lane.querySelector(".lane-words"), lane.querySelector(".jump")));
  }

  #update(old, fresh, since) {
    if ((this.#toldAt.get(old) ?? -1) < since) show(old, fresh.dataset.state, fresh.querySelector("[data-chip]").textContent);
    if (old.dataset.version === fresh.dataset.version) return;
    old.dataset.version = fresh.dataset.version;
    dressCode(fresh);
    this.#pins.get(old).holding(() => putWords(old.querySelector(".lane-words"), fresh.querySelector(".lane-words")));
  }
}

function show(lane, state, words) {
  if (lane.dataset.state === state && state === "speaking") return;
  lane.dataset.state = state;
  const chip = lane.querySelector("[data-chip]");
  if (chip.textContent !== words) chip.textContent = words;
}

/** A speech that streams, or that has just ended and whose rendering looks the same, keeps its element. */
function putWords(old, fresh) {
  const kept = [];
  for (const said of fresh.querySelectorAll("[data-speech]")) {
    const same = old.querySelector(`[data-speech="${said.dataset.speech}"]`);
    if (!same || !streamsTheSame(same, said)) continue;
    const place = document.createComment("");
    said.replaceWith(place);
    kept.push([place, same]);
  }
  const isOpen = old.querySelector("details.earlier")?.open ?? false;
  old.replaceChildren(...fresh.childNodes);
  for (const [place, same] of kept) place.replaceWith(same);
  const earlier = old.querySelector("details.earlier");
  if (earlier) earlier.open = isOpen;
}

function streamsTheSame(old, fresh) {
  const run = old.querySelector("lobby-reply")?.dataset.run;
  return Boolean(run) && fresh.querySelector("lobby-reply")?.dataset.run === run;
}
