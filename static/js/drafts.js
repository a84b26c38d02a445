/**
 * What is being written, kept until the server has it: per conversation, over reloads, in all tabs.
 *
 * A draft carries the key of the request it will become. Two tabs, a double click or a second try send the same key,
 * and the server makes one question of them.
 */

const place = (id) => `lobby:draft:${id}`;

export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // plain http on another machine: no randomUUID
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

export function loadDraft(id) {
  try {
    return JSON.parse(localStorage.getItem(place(id))) ?? null;
  } catch {
    return null;
  }
}

/** False if the browser has no room for it. */
export function saveDraft(id, draft) {
  try {
    if (draft.text) localStorage.setItem(place(id), JSON.stringify(draft));
    else localStorage.removeItem(place(id));
    return true;
  } catch {
    return false;
  }
}

/** The server has it: forget the draft, unless another was begun meanwhile. */
export function acceptDraft(id, key) {
  if ((loadDraft(id)?.key ?? key) === key) localStorage.removeItem(place(id));
}

export function watchDraft(id, changed) {
  addEventListener("storage", (event) => event.key === place(id) && changed(loadDraft(id)));
}

/** One tab at a time, where the browser can do that. */
export const alone = (work) => (navigator.locks ? navigator.locks.request("lobby:send", work) : work());
