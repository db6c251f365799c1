// The messages that the service has not confirmed yet, each under a key of its own, so that two tabs never overwrite one another.

/** How long another tab is left to send its own message before this one does it in its place. */
const OTHER_TAB_MS = 10_000;

export class Outbox {
  #store;
  #own = new Set();
  #lastKey = 0;

  constructor(store) {
    this.#store = store;
  }

  /** Keep a message; it is safe from here on. */
  add(text) {
    const at = Date.now();
    this.#lastKey = Math.max(at, this.#lastKey + 1);
    const clientId = uuid();
    const key = `out:${this.#lastKey}:${clientId}`;
    this.#own.add(key);
    this.#store.write(key, { text, at });
  }

  /** All of them in the order in which they were written: `{key, clientId, text, at, failed}`. */
  list() {
    return this.#store
      .keys("out:")
      .map((key) => ({ key, clientId: key.split(":")[2], ...this.#store.read(key) }))
      .filter(({ text }) => text);
  }

  /** The one to send next, or null. */
  next() {
    return this.list().find(({ failed }) => !failed) ?? null;
  }

  /** How many milliseconds this tab should leave a message to the tab that wrote it. */
  patience({ key, at }) {
    return this.#own.has(key) ? 0 : Math.min(OTHER_TAB_MS, at + OTHER_TAB_MS - Date.now());
  }

  /** After a reload nobody else may be there to send what this browser kept. */
  adopt() {
    for (const { key } of this.list()) this.#own.add(key);
  }

  fail({ key, text, at }) {
    this.#store.write(key, { text, at, failed: true });
  }

  retry({ key, text, at }) {
    this.#own.add(key);
    this.#store.write(key, { text, at });
  }

  /** Forget a message; whether it was there. */
  remove(clientId) {
    const message = this.list().find((each) => each.clientId === clientId);
    if (message) this.#store.remove(message.key);
    return Boolean(message);
  }
}

/** A random UUID; `crypto.randomUUID` is missing on pages without HTTPS. */
function uuid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const digit = (place) => (place ^ (crypto.getRandomValues(new Uint8Array(1))[0] & (15 >> (place / 4)))).toString(16);
  return "10000000-1000-4000-8000-100000000000".replace(/[018]/g, digit);
}
