/** A debate that has ended, step by step: its events, made from the rows, on the same fragments as live. */

import { api, fragment } from "./api.js";
import { dressCode } from "./code.js";

export class Replay {
  #steps = [];
  #kept = new Map(); // address → fragment
  #asked = 0;
  isOn = false;

  /** `show({lanes, figures})` puts a moment on the page, `leave()` the present again. */
  constructor(root, { stage, name, show, leave }) {
    Object.assign(this, { root, stage, name, show, leave });
    this.slider = root.querySelector("[data-replay-slider]");
    this.toggle = root.querySelector("[data-replay-toggle]");
    this.toggle.addEventListener("click", () => (this.isOn ? this.stop() : this.start()));
    this.slider.addEventListener("input", () => this.#go());
    for (const button of root.querySelectorAll("[data-replay-step]"))
      button.addEventListener("click", () => this.#move(Number(button.dataset.replayStep)));
  }

  async start() {
    const { items } = await api("GET", `debates/${this.stage.dataset.debate}/events`);
    this.#steps = stepsOf(items, this.name);
    if (!this.#steps.length) return;
    this.#kept.clear();
    this.#turn(true);
    this.slider.max = String(this.#steps.length - 1);
    this.slider.value = "0";
    await this.#go();
    this.slider.focus();
  }

  stop() {
    if (!this.isOn) return;
    this.#turn(false);
    this.leave();
  }

  #turn(on) {
    this.isOn = on;
    this.toggle.setAttribute("aria-pressed", String(on));
    this.toggle.lastChild.textContent = on ? "End the replay" : "Replay";
    this.root.querySelector(".replay-controls").hidden = !on;
  }

  #move(by) {
    this.slider.value = String(Number(this.slider.value) + by);
    this.#go();
  }

  async #go() {
    const at = Number(this.slider.value);
    const step = this.#steps[at];
    const words = `${at + 1} of ${this.#steps.length}: ${step.words}`;
    this.root.querySelector("[data-replay-words]").textContent = words;
    this.slider.setAttribute("aria-valuetext", words);
    const asked = ++this.#asked;
    const { lanesSrc, figures } = this.stage.dataset;
    const [lanes, drawn] = await Promise.all([this.#fetch(`${lanesSrc}?round=${step.round}`), this.#fetch(`${figures}?round=${step.scored}`)]);
    if (asked !== this.#asked || !this.isOn) return;
    hideTheFuture(lanes, step.said);
    dressCode(lanes);
    this.show({ lanes, figures: drawn });
  }

  async #fetch(address) {
    if (!this.#kept.has(address)) this.#kept.set(address, await fragment(address));
    return this.#kept.get(address).cloneNode(true);
  }
}

/** Moments worth a stop: {words, round, scored (the last round that is, or −1), said (speeches so far)}. */
function stepsOf(events, name) {
  const steps = [];
  const said = new Set();
  let [round, scored] = [0, -1];
  for (const event of events) {
    if ("round" in event) round = event.round;
    if (event.type === "debate.score") scored = event.round;
    if (event.type === "debate.speech" && event.status !== "waiting") said.add(event.speech);
    const words = wordsOf(event, name);
    if (words) steps.push({ words, round, scored, said: new Set(said) });
  }
  return steps;
}

function wordsOf(event, name) {
  switch (event.type) {
    case "debate.speech":
      return event.status === "waiting" ? "" : `round ${event.round}, ${name(event.seat)} ${event.status === "failed" ? "fails" : "has spoken"}`;
    case "debate.score":
      return `round ${event.round}, the ballots are in`;
    case "debate.claims":
      return `round ${event.round}, claims are checked`;
    case "debate.injection":
      return `the owner puts ${event.kind} before all`;
    default:
      return "";
  }
}

function hideTheFuture(lanes, said) {
  for (const speech of lanes.querySelectorAll("[data-speech]")) speech.hidden = !said.has(speech.dataset.speech);
  for (const details of lanes.querySelectorAll("details.earlier")) details.hidden = !details.querySelector("[data-speech]:not([hidden])");
}
