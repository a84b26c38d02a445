/** <lobby-new-debate>: one question, everything else preset; what it will take is told as one types. */

import { api } from "./api.js";
import { lines } from "./debate-dialogs.js";
import "./debate-panel.js";
import { acceptDraft, alone, loadDraft, newKey, saveDraft } from "./drafts.js";
import { count } from "./words.js";

const PLACE = "debate";
const AFTER_TYPING_MS = 350;
const NUMBERS = ["max_rounds", "max_tokens", "max_minutes", "speech_tokens"];

/** Where a refusal belongs that names no field. The first that fits. */
const ABOUT = [
  ["options", /\boptions?\b|\bsides\b/i],
  ["max_rounds", /takes [\d to]+ rounds/i],
  ["max_tokens", /\bbudget\b|^The tokens:/i],
  ["speech_tokens", /tokens of a speech/i],
  ["max_minutes", /^The minutes/i],
  ["rule", /\brule\b|decided by its judge|Weighing by confidence/i],
  ["panel", /\bseats?\b|\bpanel\b|\bvot(e|er)|switched off|\bmodel\b|\bhost\b|debaters/i],
  ["background", /\bbackground\b/i],
  ["question", /\bquestion\b/i],
];

class LobbyNewDebate extends HTMLElement {
  #draft = null;
  #timer = 0;
  #asked = 0;
  #isPanelTheirs = false;

  connectedCallback() {
    this.form = this.querySelector("form");
    this.panel = this.querySelector("lobby-panel");
    this.presets = JSON.parse(document.getElementById("debate-presets").textContent);
    this.form.addEventListener("input", ({ target }) => this.#edited(target));
    this.form.addEventListener("submit", (event) => this.#submit(event));
    this.addEventListener("panel:changed", ({ detail }) => this.#panelChanged(detail));
    customElements.whenDefined("lobby-panel").then(() => this.#begin());
  }

  #begin() {
    const draft = loadDraft(PLACE);
    this.#apply("round-table");
    if (draft?.fields) this.#restore(draft);
    const { prefill } = this.dataset;
    if (prefill && prefill !== this.#field("question").value) {
      this.#field("question").value = prefill;
      this.#touch();
    }
    this.#explain();
    this.#estimate();
    this.#field("question").focus();
  }

  #field(name) {
    return this.form.elements[name];
  }

  #restore({ key, text, fields }) {
    this.#draft = { key, text, fields };
    this.#field("protocol").value = fields.protocol;
    this.#apply(fields.protocol);
    for (const name of ["question", "background", "rule", "belief", ...NUMBERS]) this.#field(name).value = fields[name] ?? "";
    this.#field("options").value = fields.typed_options;
    this.#field("reviews_options").checked = fields.reviews_options;
    if (fields.background) this.querySelector("[data-more-fields]").open = true;
    if (!fields.is_panel_theirs) return;
    this.#isPanelTheirs = true;
    this.panel.places = fields.panel;
  }

  /** A protocol brings its suggestion along, unless the panel was changed by hand. */
  #apply(slug) {
    const { rounds, least, most, rule, panel } = this.presets.protocols[slug];
    Object.assign(this.#field("max_rounds"), { value: rounds, min: least, max: most, readOnly: least === most });
    if (rule) this.#field("rule").value = rule;
    this.#field("rule").disabled = Boolean(rule);
    if (!this.#isPanelTheirs) this.panel.places = panel;
  }

  #panelChanged({ isOurs }) {
    if (isOurs) return;
    this.#isPanelTheirs = true;
    this.#touch();
  }

  #edited(target) {
    if (target.name === "protocol") this.#apply(target.value);
    if (target.form) this.#touch();
  }

  #touch() {
    const fields = { ...this.#body(), typed_options: this.#field("options").value, is_panel_theirs: this.#isPanelTheirs };
    const text = JSON.stringify(fields);
    if (this.#draft?.text !== text) this.#draft = { key: newKey(), text, fields };
    saveDraft(PLACE, this.#draft);
    this.#explain();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#estimate(), AFTER_TYPING_MS);
  }

  #explain() {
    for (const name of ["protocol", "rule"])
      this.querySelector(`#${name}-words`).textContent = this.#field(name).selectedOptions[0]?.dataset.words ?? "";
    this.querySelector("[data-review]").hidden = lines(this.#field("options").value).length > 0;
  }

  #body() {
    const numbers = NUMBERS.map((name) => [name, this.#field(name).valueAsNumber]).filter(([, value]) => !Number.isNaN(value));
    return {
      question: this.#field("question").value.trim(),
      background: this.#field("background").value,
      options: lines(this.#field("options").value),
      protocol: this.#field("protocol").value,
      rule: this.#field("rule").value,
      belief: this.#field("belief").value,
      reviews_options: this.#field("reviews_options").checked,
      panel: this.panel.places,
      ...Object.fromEntries(numbers),
    };
  }

  async #estimate() {
    const asked = ++this.#asked;
    try {
      const found = await api("POST", "debates/estimate", this.#body());
      if (asked !== this.#asked) return;
      this.#clear();
      this.#showEstimate(found);
      this.#warnOfBudget(found);
    } catch (error) {
      if (asked === this.#asked) this.#refused(error);
    }
  }

  #showEstimate({ runs, tokens, minutes, slots, rounds, basis, left_today: left }) {
    const list = document.createElement("dl");
    const rows = [
      ["At most", `${count(rounds, "round")}, ${count(runs, "run")}`],
      ["Tokens", `about ${tokens.toLocaleString("en")}`],
      ["Time", `about ${count(Math.max(1, minutes), "minute")}`],
      ["At once", count(slots, "seat")],
      ...(left === null ? [] : [["Left today", `${left.toLocaleString("en")} of your tokens`]]),
    ];
    for (const [name, value] of rows) list.append(make("dt", name), make("dd", value));
    const small = make("p", basis);
    small.className = "quiet";
    this.querySelector("[data-estimate]").replaceChildren(list, small);
  }

  #warnOfBudget({ least_tokens: least }) {
    if (this.#field("max_tokens").valueAsNumber >= least) return;
    this.#complain("max_tokens", `Round 0 alone takes about ${least.toLocaleString("en")} tokens with this panel.`);
  }

  async #submit(event) {
    event.preventDefault();
    if (this.isSending) return;
    this.#clear();
    if (!this.#field("question").value.trim()) return this.#complain("question", "Type the question.", { focus: true });
    this.#touch();
    this.#sending(true);
    try {
      const { key } = this.#draft;
      const made = await alone(() => api("POST", "debates", { ...this.#body(), key }));
      acceptDraft(PLACE, key);
      location.assign(`/debates/${made.id}/`);
    } catch (error) {
      this.#refused(error, { focus: true });
      this.#sending(false);
    }
  }

  #sending(sending) {
    this.isSending = sending;
    clearTimeout(this.#timer);
    const button = this.querySelector(".start");
    button.setAttribute("aria-disabled", String(sending));
    button.lastChild.textContent = sending ? "Starting…" : "Start the debate";
  }

  #refused({ message, errors = [] }, { focus = false } = {}) {
    this.#clear();
    const named = errors.map(({ field, message: words }) => [field.split(".")[0], words]);
    const told = named.length ? named : [[ABOUT.find(([, pattern]) => pattern.test(message))?.[0], message]];
    for (const [field, words] of told) this.#complain(field, words, { focus });
  }

  #complain(name, words, { focus = false } = {}) {
    const field = this.querySelector(`[data-field="${name}"]`);
    const place = field?.querySelector(".error") ?? this.querySelector("[data-problem]");
    place.textContent = words;
    place.hidden = false;
    const details = field?.closest("details");
    if (details) details.open = true;
    const control = field?.querySelector("textarea, input, select");
    if (name !== "panel") control?.setAttribute("aria-invalid", "true");
    if (focus) control?.focus();
  }

  #clear() {
    for (const error of this.querySelectorAll(".error[role=alert]")) error.hidden = true;
    for (const control of this.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
  }
}

function make(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

customElements.define("lobby-new-debate", LobbyNewDebate);
