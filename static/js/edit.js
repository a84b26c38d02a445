/** Edit a question where it stands. What is written is kept like any draft until the server has it. */

import { acceptDraft, loadDraft, newKey, saveDraft } from "./drafts.js";

export async function editQuestion(article, { id, source, send, sent }) {
  const place = `edit/${id}`;
  const draft = loadDraft(place) ?? { text: await source(), key: newKey() };
  const form = build(draft.text);
  const [area, problem] = [form.querySelector("textarea"), form.querySelector(".error")];
  const hidden = [...article.querySelectorAll(".question, .question-more, footer")];
  for (const element of hidden) element.hidden = true;
  article.querySelector("header").after(form);
  area.focus();
  area.setSelectionRange(area.value.length, area.value.length);

  const close = () => {
    form.remove();
    for (const element of hidden) element.hidden = false;
  };
  const cancel = () => {
    saveDraft(place, { text: "" });
    close();
    article.querySelector("[data-action=edit]")?.focus();
  };
  area.addEventListener("input", () => saveDraft(place, { ...draft, text: area.value }));
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") event.stopPropagation(), cancel();
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) event.preventDefault(), form.requestSubmit();
  });
  form.querySelector("[data-cancel]").addEventListener("click", cancel);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.isSending) return;
    form.isSending = true;
    try {
      await send({ text: area.value, key: draft.key });
      acceptDraft(place, { key: draft.key });
      close();
      await sent();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    } finally {
      form.isSending = false;
    }
  });
}

function build(text) {
  const form = document.createElement("form");
  form.className = "edit";
  form.innerHTML = `
    <textarea aria-label="Edit the question"></textarea>
    <p class="notice error" role="alert" hidden></p>
    <div class="buttons">
      <span class="hint">The answers so far stay, as another version.</span>
      <button class="button small" type="button" data-cancel>Cancel</button>
      <button class="button small primary">Ask again</button>
    </div>`;
  form.querySelector("textarea").value = text;
  return form;
}
