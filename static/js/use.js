/** News of one's limits: the line at the composer, and a toast in every open page that has none. */

import { live } from "./live.js";
import { toast } from "./toasts.js";

const HIGH = 90; // percent

live.addEventListener("user", ({ detail: { type, percent, words } }) => {
  if (type !== "limit.mark") return;
  const line = document.querySelector("[data-use]");
  if (!line) return toast(words);
  line.querySelector("[data-words]").textContent = words;
  line.classList.toggle("is-high", percent >= HIGH);
  line.hidden = false;
});
