/** <lobby-composer>: what is asked next. The text stays until the server has it. */

import { api } from "./api.js";
import { acceptDraft, alone, loadDraft, newKey, saveDraft, watchDraft } from "./drafts.js";
import { codePoints } from "./reply.js";
import { toast } from "./toasts.js";

const SAVE_AFTER_MS = 200;
const SAY_LIMIT_FROM = 0.8;

class LobbyComposer extends HTMLElement {
  #saving = 0;
  #draft = null;

  connectedCallback() {
    this.form = this.querySelector("form");
    this.area = this.querySelector("textarea");
    this.problem = this.querySelector(".problem");
    this.limit = Number(this.dataset.limit);
    this.place = this.dataset.conversation ?? "new";
    this.#restore(loadDraft(this.place));
    watchDraft(this.place, (draft) => this.#elsewhere(draft));
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.area.addEventListener("input", () => this.#edited());
    this.area.addEventListener("keydown", (event) => this.#key(event));
    this.querySelector("[data-stop]").addEventListener("click", () => this.thread?.stop());
    this.addEventListener("click", ({ target }) => this.#pick(target.closest("[data-pick]")));
    addEventListener("pagehide", () => this.#save());
    if (matchMedia("(pointer: fine)").matches) this.area.focus();
  }

  get thread() {
    return document.querySelector("lobby-thread");
  }

  setBusy(busy) {
    this.isBusy = busy;
    this.querySelector("[data-stop]").hidden = !busy;
    this.querySelector(".send").hidden = busy;
    if (!busy) this.#clearProblem();
  }

  #restore(draft) {
    this.#draft = draft;
    this.area.value = draft?.text ?? "";
    this.#measure();
  }

  /** Another tab wrote, or sent, the same draft. */
  #elsewhere(draft) {
    if (document.hasFocus() && document.activeElement === this.area) return;
    this.#restore(draft);
  }

  #edited() {
    this.#draft = { key: newKey(), ...this.#draft, text: this.area.value };
    if (!this.area.value) this.#draft = null;
    this.#clearProblem();
    this.#measure();
    clearTimeout(this.#saving);
    this.#saving = setTimeout(() => this.#save(), SAVE_AFTER_MS);
  }

  #save() {
    clearTimeout(this.#saving);
    if (!saveDraft(this.place, this.#draft ?? { text: "" })) this.#say("This draft is too long for the browser to keep.");
  }

  /** The limit is said before it is met. */
  #measure() {
    const { value } = this.area;
    const near = value.length > this.limit * SAY_LIMIT_FROM;
    const length = near ? codePoints(value) : value.length;
    const over = length - this.limit;
    const output = this.querySelector(".count");
    output.hidden = !near;
    output.classList.toggle("is-over", over > 0);
    output.textContent = near ? words(length, this.limit) : "";
    this.isOver = over > 0;
    this.area.toggleAttribute("aria-invalid", this.isOver);
    this.querySelector(".send").setAttribute("aria-disabled", String(!value.trim() || this.isOver));
    if (!CSS.supports("field-sizing", "content")) this.#grow();
  }

  #grow() {
    this.area.style.height = "auto";
    this.area.style.height = `${this.area.scrollHeight}px`;
  }

  #key(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.form.requestSubmit();
    } else if (event.key === "ArrowUp" && !this.area.value) {
      event.preventDefault();
      this.thread?.editLast();
    }
  }

  async #submit(event) {
    event.preventDefault();
    if (this.isSending || !this.area.value.trim()) return;
    if (this.isBusy) return this.#say("The reply is still being written. Wait for it, or stop it with Esc.");
    if (this.isOver) return this.#say(`The question is too long: ${this.limit.toLocaleString("en")} characters is the limit.`);
    if (this.area.value.isWellFormed?.() === false) return this.#say("The question holds half of a character (a lone surrogate). Remove it and try again.");
    this.#draft ??= { key: newKey(), text: this.area.value };
    this.#save();
    this.#sending(true);
    try {
      const draft = this.#draft;
      await alone(() => this.#send(draft));
    } catch (error) {
      this.#say(refusal(error));
    } finally {
      this.#sending(false);
    }
  }

  async #send(draft) {
    const conversation = this.dataset.conversation ?? (await this.#start(draft));
    await api("POST", `conversations/${conversation}/messages`, { text: draft.text, key: draft.key });
    acceptDraft(this.place, draft.key);
    if (!this.dataset.conversation) return this.#goTo(conversation);
    if (this.#draft?.key === draft.key) this.#restore(null);
    this.thread.pin.toEnd();
    await this.thread.refresh();
  }

  /** The draft's key names the conversation too: however often and in how many tabs this is tried, there will be one. */
  async #start({ key }) {
    await api("POST", "conversations", { id: key, agent: this.dataset.agentSlug });
    return key;
  }

  #goTo(conversation) {
    this.#draft = null;
    location.assign(`/chat/${conversation}/`);
  }

  async #pick(choice) {
    if (!choice) return;
    if (!this.dataset.conversation) {
      this.#save();
      return location.replace(`/chat/new/${choice.dataset.pick}/`);
    }
    try {
      await api("PATCH", `conversations/${this.dataset.conversation}`, { agent: choice.dataset.pick });
      this.#show(choice);
    } catch (error) {
      toast(error.message);
    }
    this.area.focus();
  }

  #show(choice) {
    const { pick, name } = choice.dataset;
    this.dataset.agentSlug = pick;
    for (const item of this.querySelectorAll("[data-pick]")) item.setAttribute("aria-checked", String(item === choice));
    const picker = this.querySelector(".picker");
    picker.querySelector(".tag").replaceWith(choice.querySelector(".tag").cloneNode(true));
    picker.querySelector("[data-picked]").textContent = name;
    this.area.placeholder = `Ask ${name}`;
  }

  #sending(sending) {
    this.isSending = sending;
    this.area.readOnly = sending; // what is sent is what is seen
    this.form.classList.toggle("is-sending", sending);
    this.form.setAttribute("aria-busy", String(sending));
  }

  #say(text) {
    this.problem.textContent = text;
    this.problem.hidden = false;
  }

  #clearProblem() {
    this.problem.hidden = true;
    this.problem.textContent = "";
  }
}

/** With when to try again, where its words do not say so. */
function refusal({ message, retryAfter }) {
  return retryAfter && !/ in \d/.test(message) ? `${message} Try again in ${Math.ceil(retryAfter)} s.` : message;
}

function words(length, limit) {
  const over = length - limit;
  const of = `${length.toLocaleString("en")} of ${limit.toLocaleString("en")} characters`;
  return over > 0 ? `${of}: ${over.toLocaleString("en")} too many` : of;
}

customElements.define("lobby-composer", LobbyComposer);
