/** <lobby-debate>: a debate as it goes on. Events drive it; lanes stream, and every figure is the server's. */

import { fragment, withReference } from "./api.js";
import { Controls } from "./debate-dialogs.js";
import { Lanes } from "./debate-lanes.js";
import "./debate-panel.js";
import { Renewal, swap } from "./debate-renewal.js";
import { Replay } from "./debate-replay.js";
import { live } from "./live.js";
import { deliver, replyOf } from "./reply.js";
import { toast } from "./toasts.js";

const TOGETHER_MS = 400; // what happens at once is said in one breath
const OF_LANES = new Set(["debate.speech", "debate.state", "debate.score", "debate.claims", "debate.options"]);
const OF_FIGURES = new Set(["debate.state", "debate.round", "debate.ballot", "debate.score", "debate.claims", "debate.options", "debate.injection", "debate.verdict"]);

class LobbyDebate extends HTMLElement {
  #news = [];
  #told = new Set(); // runs of which it was said that they answer
  #timer = 0;

  connectedCallback() {
    this.status = this.querySelector("[data-announce]");
    this.lanes = new Lanes(this.querySelector("[data-lanes]"));
    this.laneRenewal = new Renewal(() => this.#fetchLanes());
    this.figureRenewal = new Renewal(() => this.#fetchFigures());
    this.controls = new Controls(this, { changed: () => this.figureRenewal.now() });
    this.replay = new Replay(this.querySelector("[data-replay]"), {
      stage: this,
      name: (seat) => this.lanes.name(seat),
      show: (moment) => this.#showMoment(moment),
      leave: () => this.#showPresent(),
    });
    this.addEventListener("reply:lost", () => live.afresh(this.topic));
    live.addEventListener("state", () => live.state === "open" && this.#catchUp());
    live.addEventListener("refused", ({ detail }) => detail.topic === this.topic && toast(withReference(detail.message, detail.reference)));
    live.attach(this.topic, (event) => this.#hear(event));
  }

  get topic() {
    return `debate:${this.dataset.debate}`;
  }

  #hear(event) {
    if (event.type === "snapshot") return this.#snapshot(event);
    if (this.replay.isOn) return;
    const speaker = this.lanes.hear(event);
    if (event.type.startsWith("run.")) {
      deliver(event);
      if (speaker) this.#answers(event.run, speaker);
      return;
    }
    this.#announce(event);
    if (OF_LANES.has(event.type)) this.laneRenewal.soon();
    if (OF_FIGURES.has(event.type)) this.figureRenewal.soon();
  }

  /** The page was made a moment before it began to listen, or was away: the fragments tell what happened meanwhile. */
  async #snapshot({ runs = [] }) {
    this.figureRenewal.soon();
    if (runs.every(({ run }) => replyOf(run))) this.laneRenewal.soon();
    else await this.laneRenewal.now();
    this.lanes.catchUp(runs);
    for (const run of runs) replyOf(run.run)?.catchUp(run);
    for (const { run, seat, status } of runs) if (status === "running") this.#answers(run, this.lanes.name(seat));
  }

  #catchUp() {
    for (const renewal of [this.laneRenewal, this.figureRenewal]) if (renewal.isStale) renewal.soon();
  }

  async #fetchLanes() {
    const since = performance.now();
    const found = await fragment(this.dataset.lanesSrc);
    if (!this.replay.isOn) this.lanes.merge(found.querySelector("[data-lanes]"), since);
  }

  async #fetchFigures() {
    const found = await fragment(this.dataset.figures);
    if (!this.replay.isOn) this.#putParts(found);
  }

  #putParts(found) {
    for (const fresh of found.querySelectorAll("[data-part]")) {
      const old = this.querySelector(`[data-part="${fresh.dataset.part}"]`);
      if (old) swap(old, fresh);
    }
    const head = this.querySelector('[data-part="head"]');
    this.querySelector("[data-replay]").hidden = head.dataset.status !== "ended";
  }

  #showMoment({ lanes, figures }) {
    for (const part of figures.querySelectorAll('[data-part="result"]')) part.remove();
    this.#putParts(figures);
    this.querySelector('[data-part="result"]').hidden = true;
    this.lanes.root.replaceChildren(...lanes.querySelector("[data-lanes]").children);
  }

  async #showPresent() {
    this.lanes.root.replaceChildren();
    await Promise.all([this.laneRenewal.now(), this.figureRenewal.now()]);
  }

  #announce(event) {
    switch (event.type) {
      case "debate.score":
        return this.#say({ words: `Ballots of round ${event.round} are in.` });
      case "debate.claims":
        return this.#say({ words: "Claims have been checked." });
      case "debate.verdict":
        return this.#say({ words: "There is a verdict." });
      case "debate.options":
        return this.#say({ words: "The options are found." });
      case "debate.state":
        return this.#say({ words: { paused: "Paused.", ended: "The debate has ended.", running: "Under way." }[event.status] });
    }
  }

  #answers(run, speaker) {
    if (!this.#told.has(run)) this.#say({ speaker });
    this.#told.add(run);
  }

  #say(news) {
    this.#news.push(news);
    this.#timer ||= setTimeout(() => this.#speak(), TOGETHER_MS);
  }

  #speak() {
    const news = this.#news.splice(0);
    this.#timer = 0;
    const speakers = [...new Set(news.map(({ speaker }) => speaker).filter(Boolean))];
    const words = [...new Set(news.map(({ words }) => words).filter(Boolean))];
    if (speakers.length) words.push(`${speakers.join(", ")} ${speakers.length > 1 ? "are" : "is"} answering`);
    this.status.textContent = words.join(" ");
  }
}

customElements.define("lobby-debate", LobbyDebate);
