/** Names for what unfold leaves without one: the parts that scroll, and columns without a heading. */

document.addEventListener("DOMContentLoaded", () => {
  for (const part of document.querySelectorAll("[data-simplebar]")) part.dataset.simplebarAriaLabel = nameOf(part);
  for (const heading of document.querySelectorAll("thead th")) {
    if (!heading.textContent.trim() && !heading.querySelector("input")) heading.append(hidden("What to do"));
  }
});

function nameOf(part) {
  if (part.id === "nav-sidebar-apps") return "Pages of the admin";
  return part.closest("fieldset")?.querySelector("h2")?.textContent.trim() || (part.querySelector("table") ? "Rows" : "Choices");
}

function hidden(words) {
  const span = document.createElement("span");
  span.className = "sr-only";
  span.textContent = words;
  return span;
}
