/** Forms of the admin's panels, sent without leaving the page; what is refused becomes a Refusal with its words. */

import { Refusal } from "./api.js";

const PATIENCE_MS = 60_000;

export async function post(url, fields) {
  let response;
  try {
    response = await fetch(url, { method: "POST", body: fields, signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch {
    throw new Refusal("The server cannot be reached. Try again when the connection is back.");
  }
  if (response.redirected) throw new Refusal("You are signed out. Sign in again in another tab, then try once more.");
  if (response.status === 204) return null;
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(said.detail ?? `The server answered ${response.status}. Try again in a moment.`);
  return said;
}
