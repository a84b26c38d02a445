/** What unfold leaves out for keyboards and screen readers: names of parts that scroll and of columns, buttons. */

document.addEventListener("DOMContentLoaded", () => {
  for (const part of document.querySelectorAll("[data-simplebar]")) part.dataset.simplebarAriaLabel = nameOf(part);
  for (const heading of document.querySelectorAll("thead th")) {
    if (!heading.textContent.trim() && !heading.querySelector("input")) heading.append(hidden("What to do"));
  }
  for (const link of document.querySelectorAll("a:not([href])")) asButton(link);
  for (const heading of document.querySelectorAll("#changelist h3")) heading.setAttribute("aria-level", "2");
  new MutationObserver(nameBoxes).observe(document.body, { childList: true, subtree: true });
});

/** Select2 puts its boxes there, and anew, when it likes. */
function nameBoxes() {
  for (const box of document.querySelectorAll(".select2-selection[aria-labelledby]")) {
    const field = box.closest(".select2")?.previousElementSibling;
    const label = field?.labels?.[0]?.textContent.trim() ?? "Choice";
    box.removeAttribute("aria-labelledby");
    for (const part of [box, box.querySelector("[role=textbox]")]) part?.setAttribute("aria-label", label);
  }
}

function asButton(link) {
  link.setAttribute("role", "button");
  link.tabIndex = 0;
  link.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    link.click();
  });
}

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
