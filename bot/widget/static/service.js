// The chat API as the widget sees it: what may be asked, what can go wrong, and how a stream of events is read.

const ANSWER_MS = 20_000;

/** The service said no and would say no again. */
export class Refused extends Error {
  constructor(status) {
    super(`refused with HTTP ${status}`);
    this.status = status;
  }
}

/** This conversation is not open to our token (any more). */
export class Expired extends Error {}

/** No answer, or none that settles it: try again later, after `retryAfter` milliseconds if the service named a time. */
export class Unreachable extends Error {
  constructor(reason, retryAfter = 0) {
    super(reason);
    this.retryAfter = retryAfter;
  }
}

export class Service {
  #base;

  constructor(origin) {
    this.#base = `${origin}/api/v1/chat/conversations`;
  }

  /** A new conversation: `{id, token}`. */
  open(facts) {
    return this.#json("", { method: "POST", body: facts });
  }

  /** Store a message; the same `client_id` again changes nothing. */
  send(session, message) {
    return this.#json("/messages", { method: "POST", session, body: message });
  }

  /** Ask for a human: `{owner, ...}`. */
  human(session) {
    return this.#json("/human", { method: "POST", session });
  }

  /** `{events, last, owner}` after event number `after`. */
  events(session, after) {
    return this.#json(`/events?after=${after}`, { session });
  }

  /** The events after number `after` as they happen: `{id, name, data}` each; `beat` is called whenever bytes arrive. */
  async *stream(session, after, signal, beat) {
    const answer = await this.#ask(`/events?after=${after}`, {
      session,
      signal,
      headers: { Accept: "text/event-stream", "Last-Event-ID": String(after) },
    });
    const type = answer.headers.get("Content-Type") ?? "";
    if (!type.startsWith("text/event-stream") || !answer.body) throw new Unreachable(`no stream but ${type}`);
    yield* serverSentEvents(answer.body, beat);
  }

  async #json(path, options) {
    const abort = new AbortController();
    const late = setTimeout(() => abort.abort(), ANSWER_MS);
    try {
      const answer = await this.#ask(path, { ...options, signal: abort.signal });
      return await answer.json();
    } catch (error) {
      if (error instanceof Refused || error instanceof Expired || error instanceof Unreachable) throw error;
      throw new Unreachable(String(error));
    } finally {
      clearTimeout(late);
    }
  }

  async #ask(path, { method = "GET", session, body, headers = {}, signal }) {
    const sent = { Accept: "application/json", ...headers };
    if (session) sent.Authorization = `Bearer ${session.token}`;
    if (body) sent["Content-Type"] = "application/json";
    let answer;
    try {
      answer = await fetch(this.#base + (session ? `/${session.id}` : "") + path, {
        method,
        headers: sent,
        body: body && JSON.stringify(body),
        signal,
        credentials: "omit",
        cache: "no-store",
      });
    } catch (error) {
      throw new Unreachable(String(error));
    }
    if (answer.ok) return answer;
    const { status } = answer;
    if (status === 401) throw new Expired();
    if (status >= 400 && status < 500 && status !== 408 && status !== 429) throw new Refused(status);
    throw new Unreachable(`HTTP ${status}`, 1000 * (Number(answer.headers.get("Retry-After")) || 0));
  }
}

/** Read a body of text/event-stream (https://html.spec.whatwg.org/#event-stream-interpretation). */
async function* serverSentEvents(body, beat) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    beat();
    text += decoder.decode(value, { stream: true });
    const blocks = text.split(/\r?\n\r?\n/);
    text = blocks.pop();
    for (const block of blocks) {
      const event = { id: null, name: "message", data: "" };
      for (const line of block.split(/\r?\n/)) {
        const [, field, content] = /^([^:]*):? ?(.*)$/.exec(line);
        if (field === "id") event.id = Number(content);
        else if (field === "event") event.name = content;
        else if (field === "data") event.data += (event.data && "\n") + content;
      }
      if (event.data) yield event;
    }
  }
}
