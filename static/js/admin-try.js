/** <lobby-try>: asks an agent with what its form holds at the moment, and shows the answer as it comes. */

import { post } from "./admin-post.js";
import { api, withReference } from "./api.js";
import { live } from "./live.js";
import { deliver, replyOf } from "./reply.js";
import { count } from "./words.js";

const OVER = { done: "Answered.", failed: "Failed.", cancelled: "Stopped.", interrupted: "Broken off." };

class LobbyTry extends HTMLElement {
  #topic = "";
  #run = "";

  connectedCallback() {
    this.form = document.querySelector("#agent_form");
    this.prompt = this.querySelector("textarea");
    this.button = this.querySelector("[data-try]");
    this.stop = this.querySelector("[data-stop]");
    this.answer = this.querySelector("[data-answer]");
    this.figures = this.querySelector("[data-figures]");
    this.button.addEventListener("click", () => this.#try());
    this.stop.addEventListener("click", () => this.#stop());
    this.addEventListener("reply:lost", () => live.afresh(this.#topic));
    this.addEventListener("keydown", (event) => event.key === "Escape" && !this.stop.hidden && this.#stop());
    this.prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#try();
    });
  }

  async #try() {
    if (this.button.disabled) return;
    this.#say("");
    this.button.disabled = true;
    const fields = new FormData(this.form);
    fields.set("prompt", this.prompt.value);
    try {
      this.#begin(await post(this.dataset.url, fields));
    } catch (error) {
      this.button.disabled = false;
      this.#say(error.message);
    }
  }

  #begin({ run, topic }) {
    if (this.#topic) live.detach(this.#topic);
    this.#topic = topic;
    this.#run = run;
    const reply = this.querySelector("template").content.firstElementChild.cloneNode(true);
    reply.dataset.run = run;
    this.answer.replaceChildren(reply);
    this.answer.hidden = false;
    this.figures.hidden = true;
    this.stop.hidden = false;
    this.#tell("Waiting for the answer.");
    live.attach(topic, (event) => this.#hear(event));
  }

  #hear(event) {
    if (event.type !== "snapshot") {
      deliver(event);
      if (event.type === "run.ended") this.#end(event);
      return;
    }
    const run = event.runs.find(({ run }) => run === this.#run);
    replyOf(this.#run)?.catchUp(run);
    if (!(run.status in OVER)) return;
    const ended = { ...run, type: "run.ended" };
    deliver(ended);
    this.#end(ended);
  }

  #end({ run, status, error, request_id, stats = {} }) {
    if (run !== this.#run || this.stop.hidden) return;
    this.stop.hidden = true;
    this.button.disabled = false;
    this.#tell(OVER[status]);
    if (error) this.#say(withReference(error, request_id));
    this.figures.replaceChildren(...figures(status, stats));
    this.figures.hidden = false;
  }

  async #stop() {
    replyOf(this.#run)?.stopping();
    try {
      await api("POST", `runs/${this.#run}/cancel`);
    } catch (error) {
      this.#say(error.message);
    }
  }

  #say(words) {
    this.querySelector("[data-words]").textContent = words;
  }

  #tell(words) {
    this.querySelector("[data-status]").textContent = words;
  }
}

function figures(status, stats) {
  const known = [
    ["ended", OVER[status]],
    ["model", stats.model],
    ["first token", stats.first_token_ms && `${stats.first_token_ms.toLocaleString("en")} ms`],
    ["prompt", stats.prompt_tokens && count(stats.prompt_tokens, "token")],
    ["answer", stats.output_tokens && count(stats.output_tokens, "token")],
    ["speed", stats.tokens_per_second && `${stats.tokens_per_second.toFixed(1)} tok/s`],
    ["context", stats.context_length && count(stats.context_length, "token")],
  ];
  return known.filter(([, value]) => value).map(([name, value]) => figure(name, value));
}

function figure(name, value) {
  const [line, term, words] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
  term.textContent = `${name}: `;
  words.textContent = value;
  line.append(term, words);
  return line;
}

if (live.state === "idle") live.start("/ws/");
customElements.define("lobby-try", LobbyTry);
