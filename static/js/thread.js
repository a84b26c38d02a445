/** <lobby-thread>: the messages that are shown, kept in step with the server, and where the reader looks. */

import { api, fragment } from "./api.js";
import { codeOf } from "./code.js";
import { copyText } from "./copy.js";
import { editQuestion } from "./edit.js";
import { live } from "./live.js";
import { dress } from "./prose.js";
import { deliver, replyOf, writing } from "./reply.js";
import { ScrollPin } from "./scroll.js";
import { toast } from "./toasts.js";
import { count } from "./words.js";

class LobbyThread extends HTMLElement {
  #fetching = null;
  #again = false;
  #messages = new Map(); // message → the fetch under way

  connectedCallback() {
    this.scroller = this.querySelector(".scroller");
    this.column = this.querySelector(".column");
    this.status = this.querySelector("[data-announce]");
    this.pin = new ScrollPin(this.scroller, this.column, this.querySelector("[data-jump]"));
    dress(this.column);
    this.addEventListener("click", (event) => this.#click(event));
    this.addEventListener("reply:lost", () => live.afresh(this.topic));
    this.addEventListener("reply:ended", ({ detail, target }) => this.#ended(detail, target));
    live.addEventListener("state", () => live.state === "open" && this.isStale && this.refresh());
    this.#watchOlder();
    if (this.dataset.conversation) live.attach(this.topic, (event) => this.#hear(event));
    this.#tellBusy();
  }

  get topic() {
    return `chat:${this.dataset.conversation}`;
  }

  article(id) {
    return this.column.querySelector(`[data-message="${id}"]`);
  }

  /** The reply that is being written, if one is. */
  get live() {
    return this.column.querySelector("lobby-reply[aria-busy=true]");
  }

  #hear(event) {
    if (event.type === "snapshot") return this.#snapshot(event);
    if (event.type === "chat.message") return this.#changed(event.message, event.run);
    if (event.type === "chat.title") return this.#title(event.title);
    deliver(event);
    if (event.type === "run.ended" && !replyOf(event.run)) this.refresh();
  }

  #snapshot({ runs = [], thread = "", title = "" }) {
    if (title) this.#title(title);
    for (const run of runs) replyOf(run.run)?.catchUp(run);
    for (const run of runs) if (run.stopping) replyOf(run.run)?.stopping();
    const known = new Set(runs.map((run) => run.run));
    const over = writing().some((reply) => !known.has(reply.dataset.run));
    if (over || thread !== this.column.dataset.fingerprint) this.refresh();
  }

  #title(title) {
    document.querySelector(".bar [data-title]").textContent = title;
    document.title = `${title} · Agent Lobby`;
  }

  #changed(id, run) {
    const article = this.article(id);
    if (!article) return this.refresh();
    if (article.dataset.status === "writing" && run && article.querySelector("lobby-reply")?.dataset.run === run) {
      if (this.live?.dataset.run === run) return;
    }
    this.#renew(id);
  }

  #ended({ run, status }, reply) {
    this.#announce(status, reply);
    this.#tellBusy();
    const article = reply.closest("[data-message]");
    if (article) this.#renew(article.dataset.message);
    else this.refresh();
  }

  #announce(status, reply) {
    const how = { done: "finished", cancelled: "was stopped", failed: "failed", interrupted: "broke off" }[status];
    this.status.textContent = `${reply.dataset.name} ${how ?? "ended"}, ${count(reply.words, "word")}`;
  }

  /** Fetch one message again; asked twice meanwhile, it is fetched once more. */
  async #renew(id) {
    if (this.#messages.has(id)) return this.#messages.set(id, true);
    this.#messages.set(id, false);
    try {
      const found = await fragment(`/chat/messages/${id}/`);
      const fresh = found.querySelector("[data-message]");
      const old = this.article(id);
      if (old && fresh && old.dataset.version !== fresh.dataset.version) this.#put(old, fresh);
      this.#meter(found);
    } catch (error) {
      if (error.status === 404) this.refresh();
      else this.isStale = true;
    }
    const again = this.#messages.get(id);
    this.#messages.delete(id);
    if (again) this.#renew(id);
  }

  #put(old, fresh) {
    dress(fresh);
    keepLiveProse(old, fresh);
    this.pin.holding(() => old.replaceWith(fresh));
    this.#tellBusy();
  }

  /** Fetch the newest part of the thread and put in what is new; what is being written stays as it is. */
  async refresh() {
    if (!this.dataset.src) return;
    if (this.#fetching) return void (this.#again = true);
    this.#fetching = fragment(this.dataset.src);
    try {
      const found = await this.#fetching;
      this.#merge(found.querySelector(".column"));
      this.#meter(found);
      this.isStale = false;
    } catch (error) {
      if (error.status === 404) toast("This conversation was deleted.");
      else this.isStale = true;
    }
    this.#fetching = null;
    if (this.#again) this.refresh();
    this.#again = false;
  }

  #merge(fresh) {
    const wanted = [...fresh.querySelectorAll("[data-message]")];
    dress(fresh);
    const first = wanted.length ? this.article(wanted[0].dataset.message) : null;
    const kept = first ? before(first) : [];
    const next = wanted.map((article) => this.#same(article) ?? article);
    this.pin.holding(() => arrange(this.column, [...without(kept, next), ...next]));
    this.scroller.querySelector(".welcome")?.remove();
    this.column.dataset.fingerprint = fresh.dataset.fingerprint;
    if (!kept.length) this.column.toggleAttribute("data-has-older", fresh.hasAttribute("data-has-older"));
    this.#tellBusy();
  }

  /** The element that is there already and shows the same, or streams it. */
  #same(fresh) {
    const old = this.article(fresh.dataset.message);
    if (!old || old.querySelector(".edit")) return old;
    const run = fresh.querySelector("lobby-reply")?.dataset.run;
    if (run && old.querySelector("lobby-reply")?.dataset.run === run) return old;
    if (old.dataset.version === fresh.dataset.version) return old;
    keepLiveProse(old, fresh);
    return null;
  }

  #meter(found) {
    const meter = found.querySelector("[data-meter]");
    if (meter) document.querySelector("lobby-composer [data-meter]")?.replaceWith(meter);
  }

  #tellBusy() {
    const reply = this.live;
    document.querySelector("lobby-composer")?.setBusy(Boolean(reply));
    if (reply && this.answering !== reply) this.status.textContent = `${reply.dataset.name} is answering`;
    this.answering = reply;
  }

  #watchOlder() {
    const top = document.createElement("div");
    this.column.before(top);
    const watch = new IntersectionObserver(async ([entry]) => {
      if (!entry.isIntersecting || !(await this.#older())) return;
      watch.unobserve(top); // looked at anew: a reader who is at the top again before the next frame would wait for ever
      watch.observe(top);
    }, { root: this.scroller, rootMargin: "600px 0px 0px" });
    watch.observe(top);
  }

  /** Whether there were older ones. */
  async #older() {
    const first = this.column.firstElementChild;
    if (!this.column.hasAttribute("data-has-older") || this.isLoadingOlder) return false;
    this.isLoadingOlder = true;
    try {
      const found = await fragment(`${this.dataset.src}?before=${first.dataset.message}`);
      const column = found.querySelector(".column");
      dress(column);
      this.column.toggleAttribute("data-has-older", column.hasAttribute("data-has-older"));
      this.pin.holding(() => first.before(...column.children), first);
      return true;
    } catch (error) {
      toast(error.message);
      return false;
    } finally {
      this.isLoadingOlder = false;
    }
  }

  async #click(event) {
    const button = event.target.closest("[data-action]");
    if (!button || button.disabled) return;
    const article = button.closest("[data-message]");
    const id = article?.dataset.message;
    switch (button.dataset.action) {
      case "copy":
        return copyText(button, await this.#source(id, article));
      case "copy-code":
        return copyText(button, codeOf(button.closest(".code")));
      case "unfold":
        return unfold(button);
      case "edit":
        return this.edit(article);
      case "switch":
        return this.#act(() => this.#switch(button));
      case "regenerate":
        return this.#act(() => api("POST", `messages/${id}/regenerate`, agentChoice(button)));
      case "continue":
      case "retry":
        return this.#act(() => api("POST", `messages/${id}/${button.dataset.action}`));
    }
  }

  /** As it was written, Markdown and all. */
  async #source(id, article) {
    try {
      return (await api("GET", `messages/${id}`)).text;
    } catch {
      return article.querySelector("[data-text]")?.innerText ?? "";
    }
  }

  edit(article) {
    const id = article.dataset.message;
    const source = () => this.#source(id, article);
    editQuestion(article, { id, source, send: (body) => api("POST", `messages/${id}/edit`, body), sent: () => this.#acted() });
  }

  editLast() {
    const mine = [...this.column.querySelectorAll(".is-mine")].at(-1);
    if (mine && !mine.querySelector(".edit")) this.edit(mine);
  }

  #switch(button) {
    const siblings = button.parentElement.dataset.siblings.split(" ");
    return api("PATCH", `conversations/${this.dataset.conversation}`, { head: siblings[button.dataset.to] });
  }

  async #act(work) {
    if (this.isActing) return;
    this.isActing = true;
    try {
      await work();
      await this.#acted();
    } catch (error) {
      toast(error.message);
    } finally {
      this.isActing = false;
    }
  }

  #acted() {
    this.pin.toEnd();
    return this.refresh();
  }

  async stop() {
    const reply = this.live;
    if (!reply || reply.isStopping) return;
    reply.stopping();
    try {
      await api("POST", `messages/${reply.closest("[data-message]").dataset.message}/stop`);
    } catch (error) {
      reply.isStopping = false;
      toast(error.message);
    }
  }
}

/** Until the server has rendered it, a message keeps what it streamed: the same words must not change their looks. */
function keepLiveProse(old, fresh) {
  const raw = fresh.querySelector(".prose.raw");
  const streamed = old.querySelector(".prose.live");
  if (!raw || !streamed?.firstChild) return;
  const earlier = old.querySelector(".body > .prose");
  raw.replaceWith(...(earlier ? [earlier, streamed] : [streamed]));
}

/** Moves only what is not in its place: an element that is taken out and put back loses the focus. */
function arrange(parent, wanted) {
  const stays = new Set(wanted);
  for (const child of [...parent.children]) if (!stays.has(child)) child.remove();
  wanted.forEach((element, index) => {
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
}

function before(element) {
  const found = [];
  for (let at = element.previousElementSibling; at; at = at.previousElementSibling) found.unshift(at);
  return found;
}

const without = (elements, others) => elements.filter((element) => !others.includes(element));
const agentChoice = (button) => (button.dataset.agentChoice ? { agent: button.dataset.agentChoice } : {});

function unfold(button) {
  const long = button.previousElementSibling.classList.toggle("is-long");
  button.textContent = long ? "Show all of it" : "Show less";
  button.setAttribute("aria-expanded", String(!long));
}

customElements.define("lobby-thread", LobbyThread);
