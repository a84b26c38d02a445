/** The page's one socket: attaches to topics, comes back by itself, and says where it stands. */

const MAX_PAUSE_MS = 3000;
const PING_EVERY_MS = 15000;
const PONG_WITHIN_MS = 5000;
const AFRESH_EVERY_MS = 1000;
const SIGNED_OUT = 4401;

class Live extends EventTarget {
  #socket = null;
  #topics = new Map(); // topic → {listener, cursor}
  #failures = 0;
  #retry = 0;
  #watchdog = 0;
  state = "idle";

  start(path) {
    this.path = path;
    this.#connect();
    setInterval(() => this.#probe(), PING_EVERY_MS);
    addEventListener("online", () => this.#renew());
    addEventListener("pageshow", (event) => event.persisted && this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  /** `listener(event, id)` gets each event of the topic once, in order; a snapshot comes first and after a gap. */
  attach(topic, listener) {
    this.#topics.set(topic, { listener, cursor: "" });
    this.#send({ attach: topic, after: "" });
  }

  detach(topic) {
    if (this.#topics.delete(topic)) this.#send({ detach: topic });
  }

  /** Something was lost: ask for what the database knows; at most once a second, as that is how often it learns. */
  afresh(topic) {
    const watch = this.#topics.get(topic);
    if (!watch || watch.waits) return;
    const pause = Math.max(0, (watch.askedAt ?? 0) + AFRESH_EVERY_MS - Date.now());
    watch.waits = true;
    setTimeout(() => {
      watch.waits = false;
      watch.askedAt = Date.now();
      watch.cursor = "";
      if (this.#topics.get(topic) === watch) this.#send({ attach: topic, after: "" });
    }, pause);
  }

  #connect() {
    clearTimeout(this.#retry);
    if (this.state !== "lost") this.#say("connecting");
    const socket = new WebSocket(new URL(this.path, location.href.replace(/^http/, "ws")));
    this.#socket = socket;
    socket.onopen = () => this.#opened(socket);
    socket.onmessage = ({ data }) => socket === this.#socket && this.#heard(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.#socket && this.#closed(code);
  }

  #opened(socket) {
    if (socket !== this.#socket) return;
    this.#failures = 0;
    for (const [topic, { cursor }] of this.#topics) this.#send({ attach: topic, after: cursor });
    this.#say("open");
  }

  #closed(code) {
    this.#socket = null;
    clearTimeout(this.#watchdog);
    this.#watchdog = 0;
    if (code === SIGNED_OUT) return this.#say("signed-out");
    this.#say("lost");
    const pause = Math.min(MAX_PAUSE_MS, 200 * 2 ** this.#failures++) * (0.5 + Math.random() / 2);
    this.#retry = setTimeout(() => this.#connect(), pause);
  }

  #heard(frame) {
    clearTimeout(this.#watchdog);
    this.#watchdog = 0;
    if (frame.error) return this.#refused(frame.error);
    if (!frame.event) return;
    if (frame.topic.startsWith("user:")) this.dispatchEvent(new CustomEvent("user", { detail: frame.event }));
    const watch = this.#topics.get(frame.topic);
    if (!watch) return;
    if (frame.event.type !== "snapshot" && !isAfter(frame.id, watch.cursor)) return;
    watch.cursor = frame.id;
    watch.listener(frame.event, frame.id);
  }

  #refused({ kind, topic, message, request_id }) {
    if (kind === "live_away" && topic) setTimeout(() => this.afresh(topic), 1000);
    else this.dispatchEvent(new CustomEvent("refused", { detail: { kind, topic, message, reference: request_id } }));
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** A socket can be dead without knowing it: a phone that slept, a network that changed. */
  #probe() {
    if (this.#socket?.readyState !== WebSocket.OPEN || this.#watchdog) return;
    this.#send({ ping: 1 });
    const socket = this.#socket;
    this.#watchdog = setTimeout(() => socket === this.#socket && this.#drop(), PONG_WITHIN_MS);
  }

  /** Not waiting for a goodbye that may never come. */
  #drop() {
    this.#socket.onclose = null;
    this.#socket.close();
    this.#closed(0);
  }

  /** The network is another one now: no old connection can be trusted. */
  #renew() {
    if (this.#socket) this.#drop();
    this.#hurry();
  }

  #hurry() {
    if (this.state === "signed-out") return;
    if (this.#socket) return this.#probe();
    this.#failures = 0;
    this.#connect();
  }

  #say(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }
}

/** Stream cursors are `<milliseconds>-<number>`. */
export function isAfter(cursor, other) {
  if (!other) return true;
  const [ms, number] = cursor.split("-").map(Number);
  const [otherMs, otherNumber] = other.split("-").map(Number);
  return ms > otherMs || (ms === otherMs && number > otherNumber);
}

export const live = new Live();
