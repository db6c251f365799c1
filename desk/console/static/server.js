// Talking to the server: JSON in and out, the CSRF token on every change, one place where a lost session is noticed.

const root = document.body.dataset.root;
const token = document.querySelector('meta[name="csrf-token"]').content;

export const texts = JSON.parse(document.body.dataset.texts);

/** What the server said instead of yes; `message` can be shown to the agent as it is. */
export class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

export const address = (path) => root + path;

export function get(path) {
  return call(path, { headers: { Accept: "application/json" } });
}

export function post(path, body = {}) {
  return call(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-CSRFToken": token },
    body: JSON.stringify(body),
  });
}

async function call(path, options) {
  let response;
  try {
    response = await fetch(address(path), { credentials: "same-origin", ...options });
  } catch {
    throw new Refusal(texts.failed, 0);
  }
  if (response.status === 401) {
    location.href = address(`login?next=${encodeURIComponent(location.pathname + location.search)}`);
    throw new Refusal(texts.failed, 401);
  }
  const said = await response.json().catch(() => ({}));
  if (response.status === 400 && said.error === "csrf") location.reload();
  if (!response.ok) throw new Refusal(said.message || texts.failed, response.status);
  return said;
}

/** A random UUID; crypto.randomUUID exists only on HTTPS and on this machine, a desk in a shop's network has neither. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
