// One shopper's conversation, without any display: what was said, what waits to be sent, whose turn it is, and the connection.
//
// Nothing typed is lost: a message is in the outbox (localStorage) before it is sent and leaves it when the service has
// confirmed it. Nothing is shown twice: events are known by their number, own messages by their client_id.

import { Outbox } from "./outbox.js";
import { Expired, Refused } from "./service.js";

const TURN_MS = 20_000; // how long the assistant is said to be writing
const POLL_MS = 3_000;
const HIDDEN_POLL_MS = 15_000;
const SILENCE_MS = 40_000; // a stream says something every 15 s; silent for this long it is dead
const FIRST_BYTE_MS = 8_000; // some proxies hold a stream back for ever
const STREAM_REST_MS = 30_000; // no stream to be had: ask again after this long, and poll meanwhile
const LINGER_MS = 30_000; // listen this long after the last thing of interest
const TICK_MS = 5_000;
const LONGEST_BACKOFF_MS = 30_000;

/** A growing, jittered wait: about 1, 2, 4 ... 30 s. */
const backoff = (failures) => Math.min(LONGEST_BACKOFF_MS, 1000 * 2 ** failures) * (0.5 + Math.random() / 2);

/** Emits "change" whenever something that is displayed may have changed. */
export class Conversation extends EventTarget {
  /** What was said, in order: events of the service, and notices of our own (`local`). */
  items = [];
  owner = "bot";
  /** The adviser's name, if one is at work and the service tells it. */
  agent = null;
  /** "no", "asking" (kept until the service has heard it) or "failed". */
  humanRequest = "no";
  /** The service cannot be reached. */
  trouble = false;
  /** The whole transcript is here. */
  restored = false;

  #service;
  #store;
  #outbox;
  #language;
  #identityToken;
  #session = null;
  #past = 0; // items of conversations before this one
  #last = 0;
  #delivered = new Map(); // confirmed, but its event is not here yet
  #turnEnds = 0;
  #attentive = false;
  #lingerUntil = 0;
  #hiddenSince = 0;
  #streamAgainAt = 0;
  #stream = null;
  #opening = null;
  #expiries = 0; // tokens refused one after the other
  #listening = false;
  #sending = false;
  #asking = false;
  #sleepers = new Set();

  constructor(service, store, language, identityToken) {
    super();
    this.#service = service;
    this.#store = store;
    this.#outbox = new Outbox(store);
    this.#language = language;
    this.#identityToken = identityToken;
  }

  /** Take up the conversation that this browser already has, and send what is left from last time. */
  start() {
    const kept = this.#store.read("session");
    // What was said to one customer is not shown to the next who logs in on the same machine, nor after logging out.
    const stranger = kept?.customer && kept.customer !== customerOf(this.#identityToken);
    if (stranger) for (const key of this.#store.keys("")) this.#store.remove(key);
    else this.#session = kept;
    this.#outbox.adopt();
    if (this.#store.read("expired")) this.#say("expired");
    if (this.#store.read("human")) this.askHuman();
    this.#store.watch((key) => this.#changedElsewhere(key));
    addEventListener("online", () => this.#wake());
    addEventListener("offline", () => this.#changed());
    addEventListener("pageshow", ({ persisted }) => persisted && this.#wake());
    addEventListener("pagehide", () => this.#stream?.abort());
    document.addEventListener("visibilitychange", () => {
      this.#hiddenSince = document.hidden ? Date.now() : 0;
      if (!document.hidden) this.#wake();
    });
    setInterval(() => this.#tick(), TICK_MS);
    this.#listen();
    this.#sendAll();
    this.#changed();
  }

  /** The shopper looks at the conversation, or has stopped looking. */
  attend(attentive) {
    this.#attentive = attentive;
    this.#lingerUntil = Date.now() + LINGER_MS;
    if (!attentive) return;
    this.#store.remove("expired");
    if (this.#session) this.#listen();
    else this.#open();
  }

  send(text) {
    const kept = clean(text);
    if (!kept) return;
    this.#outbox.add(kept);
    this.#changed();
    this.#sendAll();
  }

  retry(clientId) {
    const message = this.#outbox.list().find((each) => each.clientId === clientId);
    if (message) this.#outbox.retry(message);
    this.#changed();
    this.#sendAll();
  }

  discard(clientId) {
    this.#outbox.remove(clientId);
    this.#changed();
  }

  /** Ask for a human; the wish outlives a reload and is not held up by messages that wait. */
  askHuman() {
    if (this.owner !== "bot") return;
    this.#store.write("human", true);
    this.humanRequest = "asking";
    this.#changed();
    this.#passOnHumanRequest();
  }

  /** Own messages without an event yet, in order: `{clientId, text, at, state: "sending"|"waiting"|"sent"|"failed"}`. */
  get pending() {
    const delivered = [...this.#delivered].map(([clientId, message]) => ({ clientId, ...message, state: "sent" }));
    const waiting = this.#outbox
      .list()
      .filter(({ clientId }) => !this.#delivered.has(clientId) && !this.#knows(clientId))
      .map((message) => ({ ...message, state: message.failed ? "failed" : this.trouble ? "waiting" : "sending" }));
    return [...delivered, ...waiting];
  }

  /** The assistant has something to answer and is not late yet. */
  get turnOpen() {
    if (this.owner !== "bot" || Date.now() >= this.#turnEnds) return false;
    return this.#delivered.size > 0 || this.items.at(-1)?.from === "customer";
  }

  /** What came since the shopper last looked. */
  get unread() {
    const seen = this.#store.read("seen") ?? 0;
    return this.items.slice(this.#past).filter(({ number, from }) => number > seen && from !== "customer").length;
  }

  markSeen() {
    if (this.#last > (this.#store.read("seen") ?? 0)) this.#store.write("seen", this.#last);
  }

  // --- Sending

  async #sendAll() {
    if (this.#sending) return;
    this.#sending = true;
    for (let message; (message = this.#outbox.next()); ) {
      const patience = this.#outbox.patience(message);
      if (patience > 0) await this.#pause(patience);
      else await this.#insist((session) => this.#deliver(session, message)).catch(() => this.#outbox.fail(message));
      this.#listen();
      this.#changed();
    }
    this.#sending = false;
  }

  async #deliver(session, { clientId, text, at }) {
    if (!this.#outbox.list().some((message) => message.clientId === clientId)) return;
    await this.#service.send(session, { client_id: clientId, text });
    // Stored in a conversation that we have left meanwhile: it belongs into the present one.
    if (session !== this.#session) return;
    if (!this.#knows(clientId)) this.#delivered.set(clientId, { text, at });
    this.#outbox.remove(clientId);
    this.#beginTurn(Date.now());
  }

  async #passOnHumanRequest() {
    if (this.#asking) return;
    this.#asking = true;
    const ask = async (session) => {
      if (this.owner !== "bot") return;
      const { owner } = await this.#service.human(session);
      if (session === this.#session) this.#owned(owner);
    };
    this.humanRequest = await this.#insist(ask).then(
      () => "no",
      () => "failed",
    );
    this.#store.remove("human");
    this.#asking = false;
    this.#listen();
    this.#changed();
  }

  /** Do `work(session)` as often as it takes; throws Refused when the service says no for good. */
  async #insist(work) {
    for (let failures = 0; ; failures += 1) {
      const session = await this.#open();
      try {
        await work(session);
        return this.#reached();
      } catch (error) {
        if (error instanceof Refused) throw error;
        if (error instanceof Expired) this.#expire(session);
        else await this.#endure(error, failures);
      }
    }
  }

  /** Wait before the next try; the shopper is told of the trouble unless it is the first, which may pass unnoticed. */
  async #endure(error, failures) {
    if ((failures || !navigator.onLine) && !this.trouble) {
      this.trouble = true;
      this.#changed();
    }
    await this.#pause(Math.max(backoff(failures), error.retryAfter ?? 0));
  }

  // --- The conversation itself

  /** Our conversation, opened if there is none yet; tries until it has one. */
  #open() {
    if (this.#session) return Promise.resolve(this.#session);
    this.#opening ??= this.#openNew().finally(() => (this.#opening = null));
    return this.#opening;
  }

  async #openNew() {
    const language = this.#language;
    const customer = customerOf(this.#identityToken);
    // What the service will not take (a token that ran out, a language it does not speak) must not keep anybody outside.
    const offers = [{ language }, {}];
    if (this.#identityToken) offers.unshift({ language, identity_token: this.#identityToken });
    if (this.#expiries > 1) await this.#pause(backoff(this.#expiries));
    for (let failures = 0; ; failures += 1) {
      try {
        const session = await alone(async () => {
          const other = this.#store.read("session");
          if (other) return other;
          const { id, token } = await this.#service.open(offers[0]);
          const fresh = { id, token, customer };
          this.#store.write("session", fresh);
          this.#store.remove("seen");
          return fresh;
        });
        this.#reached();
        this.#enter(session);
        return session;
      } catch (error) {
        if ((error instanceof Refused || error instanceof Expired) && offers.length > 1) offers.shift();
        else await this.#endure(error, failures);
      }
    }
  }

  #enter(session) {
    if (session.id === this.#session?.id) return;
    this.#leave();
    this.#session = session;
    this.#listen();
  }

  /** Begin anew below what is displayed. */
  #leave() {
    this.#stream?.abort();
    for (const [clientId, { text, at }] of this.#delivered) {
      this.items.push({ key: clientId, clientId, kind: "message", from: "customer", text, at, number: 0, buttons: [] });
    }
    this.#session = null;
    this.#past = this.items.length;
    this.#last = 0;
    this.#turnEnds = 0;
    this.#delivered.clear();
    this.owner = "bot";
    this.agent = null;
    this.restored = false;
  }

  /** The service no longer knows our token. */
  #expire(session) {
    if (session !== this.#session) return;
    this.#expiries += 1;
    this.#leave();
    const kept = this.#store.read("session");
    if (kept && kept.id !== session.id) {
      this.#enter(kept);
    } else {
      this.#store.remove("session");
      this.#store.remove("seen");
      if (!this.#attentive) this.#store.write("expired", true);
    }
    this.#say("expired");
    if (this.#attentive || this.#outbox.next()) this.#open();
  }

  #changedElsewhere(key) {
    if (key === null || key === "session") {
      const kept = this.#store.read("session");
      if (kept) this.#enter(kept);
    }
    if (key?.startsWith("out:")) {
      this.#lingerUntil = Date.now() + LINGER_MS;
      this.#wake();
    }
    this.#changed();
  }

  // --- Listening

  async #listen() {
    if (this.#listening) return;
    this.#listening = true;
    let failures = 0;
    while (this.#session && (!this.restored || this.#worthListening())) {
      const session = this.#session;
      const streaming = this.restored && !document.hidden && Date.now() >= this.#streamAgainAt;
      try {
        if (streaming) {
          await this.#follow(session);
          await this.#pause(1000 * (0.5 + Math.random()));
        } else {
          const restoring = !this.restored;
          await this.#catchUp(session);
          failures = 0;
          this.#reached();
          if (!restoring) await this.#pause(document.hidden ? HIDDEN_POLL_MS : POLL_MS);
        }
      } catch (error) {
        if (error instanceof Expired) {
          this.#expire(session);
        } else {
          await this.#endure(error, failures);
          failures += 1;
        }
      }
    }
    this.#listening = false;
    this.#changed();
  }

  #worthListening() {
    const waiting = this.owner !== "bot" || this.turnOpen || this.#delivered.size > 0 || this.#outbox.next() !== null;
    if (document.hidden) return waiting;
    return waiting || this.#attentive || Date.now() < this.#lingerUntil;
  }

  /** Everything after what we have, as JSON. */
  async #catchUp(session) {
    for (let more = true; more; ) {
      const page = await this.#service.events(session, this.#last);
      if (session !== this.#session) return;
      for (const event of page.events) this.#take(event);
      more = page.last > this.#last;
      this.#last = Math.max(this.#last, page.last);
      this.#owned(page.owner);
    }
    this.#expiries = 0;
    this.restored = true;
    this.#changed();
  }

  /** Follow the stream until it ends; when it fails, the next look is by polling, and the next stream after a rest. */
  async #follow(session) {
    const abort = (this.#stream = new AbortController());
    let heard = false;
    let watchdog = setTimeout(() => abort.abort(), FIRST_BYTE_MS);
    const beat = () => {
      heard = true;
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), SILENCE_MS);
      this.#reached();
    };
    try {
      for await (const { id, name, data } of this.#service.stream(session, this.#last, abort.signal, beat)) {
        if (session !== this.#session) return;
        const facts = JSON.parse(data);
        if (name === "owner") this.#owned(facts.owner);
        else this.#take(facts);
        if (id > this.#last) this.#last = id;
        this.#changed();
      }
    } catch (error) {
      if (error instanceof Expired) throw error;
      // A stream that lived and broke may simply be had again; after a restart of the service not by everybody at once.
      this.#streamAgainAt = Date.now() + (heard ? 1500 : Math.max(STREAM_REST_MS, error.retryAfter ?? 0));
      if (heard) await this.#pause(1000 * Math.random());
    } finally {
      clearTimeout(watchdog);
      if (this.#stream === abort) this.#stream = null;
      abort.abort();
    }
  }

  #tick() {
    const hiddenLong = this.#hiddenSince && Date.now() - this.#hiddenSince > 4 * TICK_MS;
    // A stream takes one of the service's threads and one of the browser's few connections: none without need.
    if (this.#stream && (hiddenLong || !this.#worthListening())) this.#stream.abort();
    if (this.#outbox.next()) this.#sendAll();
  }

  /** One event of the service, whether or not it came before. */
  #take(event) {
    const { number, from, client_id: clientId } = event;
    if (clientId) {
      this.#delivered.delete(clientId);
      // Its confirmation was lost, or another tab sent it: the next one need not wait for either.
      if (this.#outbox.remove(clientId)) this.#wake();
    }
    let place = this.items.length;
    while (place > this.#past && this.items[place - 1].number > number) place -= 1;
    if (place > this.#past && this.items[place - 1].number === number) return;
    this.items.splice(place, 0, { ...event, clientId, key: clientId || `${this.#session.id}:${number}` });
    if (from === "customer") this.#beginTurn(this.restored ? Date.now() : Date.parse(event.at));
    if (from === "agent") this.agent = event.agent ?? this.agent;
    if (event.name === "closed" || event.name === "released") this.agent = null;
  }

  #beginTurn(since) {
    this.#turnEnds = Math.min(since, Date.now()) + TURN_MS;
    this.#lingerUntil = Date.now() + LINGER_MS;
    setTimeout(() => this.#changed(), Math.max(0, this.#turnEnds - Date.now()) + 50);
  }

  #owned(owner) {
    this.owner = owner;
    if (owner !== "agent") this.agent = null;
  }

  /** A notice of our own. */
  #say(local) {
    const at = new Date().toISOString();
    this.items.push({ key: `local:${this.items.length}`, kind: "notice", from: "system", local, at, number: 0, buttons: [] });
    this.#past = this.items.length;
    this.#changed();
  }

  #knows(clientId) {
    return this.items.some((item) => item.clientId === clientId);
  }

  // --- Waiting

  #reached() {
    if (!this.trouble) return;
    this.trouble = false;
    this.#wake();
    this.#changed();
  }

  #pause(milliseconds) {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#sleepers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      this.#sleepers.add(done);
    });
  }

  /** Something has changed for the better: whoever waits tries at once. */
  #wake() {
    for (const done of [...this.#sleepers]) done();
    if (this.#session) this.#listen();
    this.#sendAll();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** Run `work` in one tab at a time, where the browser can do that (pages with HTTPS). */
const alone = (work) => (navigator.locks ? navigator.locks.request("comptoir:open", work) : work());

/** Who a signed token speaks of, as a number that says nothing by itself (never 0); null without a token. */
function customerOf(identityToken) {
  if (!identityToken) return null;
  let subject = identityToken;
  try {
    subject = JSON.parse(atob(identityToken.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"))).email ?? subject;
  } catch {
    // not a token that we can read; the service will judge it
  }
  return [...subject].reduce((sum, letter) => (Math.imul(sum, 31) + letter.codePointAt(0)) | 1, 7);
}

/** What a database can store: no NUL, no half characters, no Windows line ends. */
function clean(text) {
  const lines = text.replace(/\r\n?/g, "\n").replaceAll("\0", "");
  return (lines.toWellFormed?.() ?? lines).trim();
}
