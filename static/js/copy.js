import { icon } from "./code.js";
import { toast } from "./toasts.js";

/** Copy, and say so on the button that was pressed. */
export async function copyText(button, text) {
  if (!(await copied(text))) return toast("The browser did not allow copying. Select the text and copy it yourself.");
  const before = [...button.childNodes];
  button.replaceChildren(icon("check"), ...(button.textContent.trim() ? ["Copied"] : []));
  setTimeout(() => button.replaceChildren(...before), 1500);
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedTheOldWay(text); // plain http on another machine has no clipboard API
  }
}

function copiedTheOldWay(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const worked = document.execCommand("copy");
  area.remove();
  return worked;
}
