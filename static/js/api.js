/** Requests to our own server: JSON for actions, HTML for fragments. Every failure becomes words for people. */

const PATIENCE_MS = 60_000;

export class Refusal extends Error {
  constructor(message, { status = 0, kind = "unreachable", retryAfter = 0, errors = [], reference = "" } = {}) {
    super(message);
    Object.assign(this, { status, kind, retryAfter, errors, reference });
  }
}

/** What the logs know it by goes with every error, but for what is wrong with what was typed: that is said at its field. */
export const withReference = (words, reference) => (reference ? `${words} Reference ${reference}` : words);

export const referenceOf = (response) => response.headers.get("X-Request-ID") ?? "";

const csrf = () => document.cookie.match(/(?:^|; )csrftoken=([^;]+)/)?.[1] ?? "";

export async function api(method, path, body) {
  const headers = { "X-CSRFToken": csrf(), Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await ask(`/api/${path}`, { method, headers, body: body && JSON.stringify(body) });
  if (!response.ok) throw await refusal(response);
  return response.status === 204 ? null : response.json();
}

export async function fragment(url) {
  const response = await ask(url, { headers: { Accept: "text/html" } });
  if (response.redirected) throw signedOut();
  if (!response.ok) throw await refusal(response);
  const template = document.createElement("template");
  template.innerHTML = await response.text(); // rendered by our server, which sanitises what a model said
  return template.content;
}

async function ask(url, options) {
  try {
    return await fetch(url, { credentials: "same-origin", signal: AbortSignal.timeout(PATIENCE_MS), ...options });
  } catch {
    throw new Refusal("The server cannot be reached. Your text is kept; try again when the connection is back.");
  }
}

async function refusal(response) {
  if (response.status === 401) return signedOut();
  const problem = await response.json().catch(() => ({}));
  const words = problem.detail || problem.title || `The server answered ${response.status}. Try again in a moment.`;
  const told = typeof words === "string" ? words : JSON.stringify(words);
  const reference = referenceOf(response);
  return new Refusal(response.status === 422 ? told : withReference(told, reference), {
    reference,
    status: response.status,
    kind: problem.kind ?? "failed",
    retryAfter: problem.retry_after ?? 0,
    errors: problem.errors ?? [], // [{field, message}]
  });
}

function signedOut() {
  return new Refusal("You are signed out. Sign in again in another tab, then try once more; your text is kept.", {
    status: 401,
    kind: "signed_out",
  });
}
