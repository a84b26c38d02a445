/** News of one's limits: a toast in every open page, and the line at the composer. */

import { live } from "./live.js";
import { toast } from "./toasts.js";

const HIGH = 90; // percent

live.addEventListener("user", ({ detail: { type, percent, words } }) => {
  if (type !== "limit.mark") return;
  toast(words);
  const line = document.querySelector("[data-use]");
  if (!line) return;
  line.querySelector("[data-words]").textContent = words;
  line.classList.toggle("is-high", percent >= HIGH);
  line.hidden = false;
});
