/** Forms of the admin's panels, sent without leaving the page; what is refused becomes a Refusal with its words. */

import { Refusal, referenceOf, withReference } from "./api.js";

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
  if (!response.ok) throw refusal(response, said);
  return said;
}

function refusal(response, { detail }) {
  const words = detail ?? `The server answered ${response.status}. Try again in a moment.`;
  const reference = referenceOf(response);
  return new Refusal(response.status === 422 ? words : withReference(words, reference), { status: response.status, reference });
}
