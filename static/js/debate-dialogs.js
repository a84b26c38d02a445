/** What is done with a debate: the buttons, and the dialogs that ask for more. */

import { api } from "./api.js";
import { toast } from "./toasts.js";

const SURE_MS = 4000;
const ACTS = new Set(["pause", "resume", "stop", "challenge"]);

export class Controls {
  constructor(stage, { changed }) {
    Object.assign(this, { stage, changed, id: stage.dataset.debate });
    stage.addEventListener("click", (event) => this.#click(event.target.closest("button")));
    stage.addEventListener("submit", (event) => this.#submit(event));
    this.#showLink(this.#dialog("share-dialog")?.dataset.key);
  }

  #dialog(name) {
    return document.getElementById(name);
  }

  #click(button) {
    if (!button || button.disabled) return;
    const { dataset } = button;
    if (dataset.open) return this.#open(dataset.open);
    if ("close" in dataset) return button.closest("dialog").close();
    if ("revoke" in dataset) return this.#revoke(button.form);
    if ("copyLink" in dataset) return this.#copy(button);
    if ("delete" in dataset) return isSure(button, "Delete for good?") && this.#delete();
    if (dataset.do === "stop" && !isSure(button, "Stop it now?")) return;
    if (ACTS.has(dataset.do)) return this.#act(dataset.do);
  }

  /** The button is not disabled meanwhile: it would lose the focus. */
  async #act(what) {
    if (this.isActing) return;
    this.isActing = true;
    try {
      await api("POST", `debates/${this.id}/${what}`);
    } catch (error) {
      toast(error.message);
    }
    this.isActing = false;
    await this.changed();
  }

  async #delete() {
    try {
      await api("DELETE", `debates/${this.id}`);
      location.assign("/debates/");
    } catch (error) {
      toast(error.message);
    }
  }

  #open(name) {
    const dialog = this.#dialog(name);
    if (name === "options-dialog") dialog.querySelector("textarea").value = this.#options().join("\n");
    if (name === "fork-dialog") dialog.querySelector("select").replaceChildren(...this.#rounds());
    say(dialog, "");
    dialog.showModal();
  }

  /** Those that are over, the last one chosen. */
  #rounds() {
    const rounds = [...this.stage.querySelectorAll(".round-bar [data-round]")];
    return rounds.map((round, at) => {
      const words = round.querySelector(".round-title").innerText;
      return new Option(words, round.dataset.round, false, at === rounds.length - 1);
    });
  }

  #options() {
    return [...this.stage.querySelectorAll("[data-option]")].map((item) => item.dataset.text);
  }

  async #submit(event) {
    const { form } = event.target.dataset;
    const isSettling = "settle" in event.target.dataset;
    if (!form && !isSettling) return;
    event.preventDefault();
    const data = new FormData(event.target);
    const button = event.submitter ?? event.target.querySelector("[type=submit]");
    if (button.disabled) return;
    button.disabled = true;
    try {
      if (isSettling) await this.#settle(data);
      else await this[form](data, event.target);
    } catch (error) {
      if (isSettling) toast(error.message);
      else say(event.target.closest("dialog"), error.message);
    }
    button.disabled = false;
    await this.changed();
  }

  async #settle(data) {
    await api("POST", `debates/${this.id}/settle`, { option: data.get("option") || null });
    toast(data.get("option") ? "Settled." : "Not settled any more.");
  }

  async inject(data, form) {
    await api("POST", `debates/${this.id}/inject`, { kind: data.get("kind"), text: data.get("text") });
    form.reset();
    form.closest("dialog").close();
    toast("Every seat reads it before its next speech.");
  }

  async options(data, form) {
    const options = lines(data.get("options"));
    await api("POST", `debates/${this.id}/options`, { options });
    await api("POST", `debates/${this.id}/resume`);
    form.closest("dialog").close();
  }

  async fork(data, form) {
    const panel = form.querySelector("lobby-panel").places;
    const made = await api("POST", `debates/${this.id}/fork`, { after: Number(data.get("after")), panel });
    location.assign(`/debates/${made.id}/`);
  }

  async share() {
    const { url } = await api("POST", `debates/${this.id}/share`);
    this.#showLink(new URL(url).pathname.split("/").at(-2));
    this.#dialog("share-link").select();
  }

  async #revoke(form) {
    try {
      await api("DELETE", `debates/${this.id}/share`);
      this.#showLink("");
      await this.changed();
      form.querySelector("[data-make-link]").focus();
    } catch (error) {
      say(form.closest("dialog"), error.message);
    }
  }

  #showLink(key) {
    const dialog = this.#dialog("share-dialog");
    if (!dialog) return;
    this.#dialog("share-link").value = key ? new URL(`/shared/debates/${key}/`, location.origin).href : "";
    for (const part of dialog.querySelectorAll("[data-shared], [data-revoke], [data-copy-link]")) part.hidden = !key;
    dialog.querySelector("[data-make-link]").hidden = Boolean(key);
  }

  async #copy(button) {
    const field = this.#dialog("share-link");
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      button.lastChild.textContent = "Copied";
    } catch {
      say(button.closest("dialog"), "The browser does not let us copy. The link is selected: copy it by keyboard.");
    }
  }
}

export const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

function say(dialog, words) {
  const problem = dialog.querySelector("[data-problem]");
  problem.textContent = words;
  problem.hidden = !words;
}

/** What cannot be taken back takes two clicks. */
function isSure(button, question) {
  if (button.dataset.asked) return true;
  const label = button.lastChild;
  const words = label.textContent;
  button.dataset.asked = "yes";
  label.textContent = question;
  setTimeout(() => {
    label.textContent = words;
    delete button.dataset.asked;
  }, SURE_MS);
  return false;
}
