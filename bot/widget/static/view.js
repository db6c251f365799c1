// The widget as it is seen, heard and operated: a launcher and a non-modal dialog in a shadow tree.

import { palette } from "./colour.js";
import { button, h, icon, setText } from "./dom.js";
import { linkedText, safeNodes } from "./safe_html.js";

const LIMIT = 4000;
const COUNT_FROM = 3600;
const GROUP_MS = 5 * 60_000; // what one party says within this time is one group, with one name and one time
const FULL_SCREEN = "(max-width: 520px), (max-height: 480px)"; // also in widget.css
const SURFACES = { light: "#f3f2ee", dark: "#262b2e" }; // the least favourable surfaces of widget.css

const ICONS = {
  bubble: ["M5 4.5h14a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2h-7.5L7 20.3v-3.8H5a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2z", "M8 9h8M8 12.3h5"],
  bell: ["M4 16.5a8 8 0 0 1 16 0z", "M2.5 19.8h19", "M12 8.3V5.6M9.8 5.2h4.4"],
  adviser: ["M12 11.5a3.8 3.8 0 1 0 0-7.6 3.8 3.8 0 0 0 0 7.6z", "M4.8 20a7.2 7.2 0 0 1 14.4 0"],
  send: ["M12 19V5.5", "M6 11.3l6-6 6 6"],
  down: ["M12 5v13.5", "M6 12.7l6 6 6-6"],
  close: ["M6 6l12 12", "M18 6L6 18"],
};

export class View {
  #conversation;
  #tab;
  #words;
  #times;
  #days;
  #relativeDays;
  #plural;
  #nodes = new Map();
  #parts = {};
  #open = false;
  #opener = null;
  #prefilled = "";
  #scheduled = false;
  #shownReplies = "";
  #fullScreen = matchMedia(FULL_SCREEN);

  constructor(conversation, tab, { words, language, style, colour, name }) {
    this.#conversation = conversation;
    this.#tab = tab;
    this.#words = words;
    this.#times = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    this.#days = new Intl.DateTimeFormat(language, { weekday: "long", day: "numeric", month: "long" });
    this.#relativeDays = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
    this.#plural = new Intl.PluralRules(language);
    this.#build(language, style, colour, name);
    conversation.addEventListener("change", () => this.#schedule());
    document.addEventListener("visibilitychange", () => this.#schedule());
    document.addEventListener("click", (event) => this.#openFromPage(event));
    this.#fullScreen.addEventListener("change", () => this.#setModal());
    this.#followKeyboard();
    // Going from page to page of the shop, or reloading, does not close what was open.
    if (tab.read("open") && !this.#fullScreen.matches) this.#show({ focus: false });
    else this.#sync();
  }

  // --- Building

  #build(language, style, colour, name) {
    const say = this.#words;
    const parts = this.#parts;
    parts.badge = h("span", { class: "badge", hidden: true });
    parts.launcher = button({ class: "launcher", "aria-haspopup": "dialog", "aria-expanded": "false", onclick: () => this.#show() },
      icon(...ICONS.bubble),
      h("span", { class: "launcher-text" }, say.launcher),
      parts.badge,
    );
    parts.announcer = h("p", { class: "aside", role: "status" });

    parts.mark = h("span", { class: "mark", "aria-hidden": "true" }, icon(...ICONS.bell));
    parts.state = h("p", { class: "state" });
    const title = h("h2", { id: "title" }, name || say.title);
    const close = button({ class: "quiet close", "aria-label": say.close, title: say.close, onclick: () => this.#hide() },
      icon(...ICONS.close),
    );
    parts.log = h("div", { class: "log", role: "log", "aria-live": "off", "aria-label": say.log, tabindex: "0" });
    parts.typing = h("div", { class: "item bot typing", "aria-hidden": "true" }, h("div", { class: "bubble" }, h("i"), h("i"), h("i")));
    parts.replies = h("div", { class: "replies", role: "group", "aria-label": say.replies });
    parts.newer = button({ class: "newer", hidden: true, "aria-label": say.newer, title: say.newer, onclick: () => this.#toEnd() },
      icon(...ICONS.down),
    );
    parts.log.addEventListener("scroll", () => this.#nearEnd() && (parts.newer.hidden = true), { passive: true });
    parts.trouble = h("p", { class: "trouble", role: "status" });

    parts.humanButton = button({ class: "human", onclick: () => this.#askHuman() },
      icon(...ICONS.adviser),
      say.human,
    );
    parts.humanState = h("p", { class: "human-state" });

    parts.hint = h("p", { class: "hint", id: "hint", role: "status" });
    parts.text = h("textarea", {
      rows: "1",
      "aria-label": say.message,
      "aria-describedby": "hint",
      placeholder: say.placeholder,
      enterkeyhint: "send",
      autocomplete: "off",
      oninput: () => this.#typed(),
      onkeydown: (event) => this.#key(event),
    });
    parts.text.value = this.#tab.read("draft") ?? "";
    parts.composer = h(
      "form",
      { class: "composer", onsubmit: (event) => (event.preventDefault(), this.#send()) },
      parts.text,
      h("button", { class: "send", type: "submit", "aria-label": say.send, title: say.send }, icon(...ICONS.send)),
    );
    parts.panel = h(
      "section",
      { class: "panel", id: "panel", role: "dialog", "aria-labelledby": "title", tabindex: "-1", hidden: true },
      h("div", { class: "head" }, parts.mark, h("div", { class: "heading" }, title, parts.state), close),
      h("div", { class: "said" }, parts.log, parts.newer),
      parts.trouble,
      h("div", { class: "foot" }, parts.hint, parts.composer, h("div", { class: "adviser" }, parts.humanState, parts.humanButton)),
    );
    parts.panel.addEventListener("keydown", (event) => this.#panelKey(event));

    const host = h("comptoir-widget", { lang: language });
    for (const [property, value] of Object.entries(palette(colour, SURFACES))) host.style.setProperty(property, value);
    const shadow = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style);
    shadow.adoptedStyleSheets = [sheet];
    shadow.append(parts.panel, parts.launcher, parts.announcer);
    document.body.append(host);
    this.#setModal();
    this.#typed();
  }

  // --- Opening and closing

  #show({ focus = true } = {}) {
    const { panel, launcher, text } = this.#parts;
    if (!this.#open) {
      this.#open = true;
      this.#tab.write("open", true);
      panel.hidden = false;
      launcher.hidden = true;
      launcher.setAttribute("aria-expanded", "true");
      this.#conversation.attend(true);
      this.#sync();
      this.#toEnd();
      this.#typed();
    }
    // On a touch screen the keyboard would cover what is to be read first.
    if (focus) (matchMedia("(pointer: coarse)").matches ? panel : text).focus({ preventScroll: true });
  }

  #hide() {
    const { panel, launcher } = this.#parts;
    this.#open = false;
    this.#tab.remove("open");
    panel.hidden = true;
    launcher.hidden = false;
    launcher.setAttribute("aria-expanded", "false");
    this.#conversation.attend(false);
    this.#sync();
    (this.#opener?.isConnected ? this.#opener : launcher).focus({ preventScroll: true });
    this.#opener = null;
  }

  #openFromPage(event) {
    const opener = event.target.closest?.("[data-comptoir-open]");
    if (!opener) return;
    event.preventDefault();
    const { text } = this.#parts;
    const words = opener.dataset.comptoirOpen;
    if (words && (!text.value || text.value === this.#prefilled)) {
      text.value = this.#prefilled = words;
      this.#typed();
    }
    this.#opener = opener;
    this.#show();
    text.focus({ preventScroll: true });
  }

  /** Filling the whole screen, the dialog hides the page: then it is modal, for the focus too (WCAG 2.4.11). */
  #setModal() {
    this.#parts.panel.setAttribute("aria-modal", String(this.#fullScreen.matches));
  }

  #panelKey(event) {
    if (event.key === "Escape" && !event.isComposing) {
      event.stopPropagation();
      this.#hide();
    } else if (event.key === "Tab" && this.#fullScreen.matches) {
      const stops = [...this.#parts.panel.querySelectorAll("button, textarea, a[href], [tabindex='0']")].filter((stop) =>
        stop.checkVisibility ? stop.checkVisibility() : stop.offsetParent,
      );
      const [first, last] = event.shiftKey ? [stops.at(-1), stops[0]] : [stops[0], stops.at(-1)];
      const focused = this.#parts.panel.getRootNode().activeElement;
      if (focused !== last && focused !== this.#parts.panel) return;
      event.preventDefault();
      first.focus();
    }
  }

  /** On a telephone the panel ends where the keyboard begins. */
  #followKeyboard() {
    const seen = window.visualViewport;
    const fit = () => this.#parts.panel.style.setProperty("--seen", seen.scale === 1 ? `${Math.round(seen.height)}px` : "100dvh");
    seen?.addEventListener("resize", fit);
  }

  // --- Writing

  #typed() {
    const { text, hint } = this.#parts;
    text.style.height = "auto";
    if (text.scrollHeight) text.style.height = `${text.scrollHeight + 2}px`;
    if (text.value) this.#tab.write("draft", text.value);
    else this.#tab.remove("draft");
    const count = text.value.length;
    const tooLong = count > LIMIT;
    text.setAttribute("aria-invalid", String(tooLong));
    if (tooLong) setText(hint, fill(this.#words.too_long, { count, limit: LIMIT }));
    else setText(hint, count > COUNT_FROM ? `${count} / ${LIMIT}` : "");
    hint.classList.toggle("wrong", tooLong);
  }

  #key(event) {
    // Enter while an input method composes (Japanese, Chinese, dictation) belongs to the input method.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    this.#send();
  }

  #send(text = this.#parts.text.value, typed = true) {
    if (text.trim() && text.trim().length <= LIMIT) {
      this.#conversation.send(text);
      if (typed) this.#parts.text.value = this.#prefilled = "";
      this.#typed();
      this.#sync();
      this.#toEnd();
    }
    this.#parts.text.focus({ preventScroll: true });
  }

  #askHuman() {
    this.#conversation.askHuman();
    this.#parts.text.focus({ preventScroll: true });
  }

  // --- Showing

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#sync();
    });
  }

  #sync() {
    this.#showMessages();
    this.#showState();
    if (this.#open && !document.hidden) this.#conversation.markSeen();
    this.#showUnread();
  }

  #showMessages() {
    const { log, typing, replies, newer } = this.#parts;
    const conversation = this.#conversation;
    const atEnd = this.#nearEnd();
    const wanted = this.#withDays([...conversation.items, ...conversation.pending.map(asItem)]);
    const keys = new Set(wanted.map(({ key }) => key));
    for (const [key, node] of this.#nodes) {
      if (keys.has(key)) continue;
      node.remove();
      this.#nodes.delete(key);
    }
    let firstNew = null;
    let place = log.firstChild;
    for (const [index, item] of wanted.entries()) {
      let node = this.#nodes.get(item.key);
      if (!node) {
        node = this.#draw(item);
        this.#nodes.set(item.key, node);
        firstNew ??= node;
      }
      this.#dress(node, item, wanted[index - 1], wanted[index + 1]);
      if (node === place) place = place.nextSibling;
      else log.insertBefore(node, place);
      if (item === this.#offering()) {
        this.#showReplies(item);
        if (replies === place) place = place.nextSibling;
        else log.insertBefore(replies, place);
      }
    }
    if (!this.#offering()) {
      this.#shownReplies = "";
      replies.remove();
    }
    const typingBefore = typing.isConnected;
    if (!conversation.turnOpen) typing.remove();
    else if (log.lastChild !== typing) log.append(typing);

    if (log.getAttribute("aria-live") === "off" && conversation.restored) {
      // The transcript is read when one goes there; only what is said from now on is announced.
      this.#toEnd();
      setTimeout(() => log.setAttribute("aria-live", "polite"), 300);
    } else if (atEnd && firstNew) {
      // To the end, but not past the beginning of a long answer.
      log.scrollTop = firstNew.offsetTop - 12;
    } else if (atEnd && typing.isConnected && !typingBefore) {
      this.#toEnd();
    } else if (firstNew && this.#open) {
      newer.hidden = this.#nearEnd();
    }
  }

  /** The last thing said, if it offers answers and nothing has been answered yet. */
  #offering() {
    const { items, owner, pending } = this.#conversation;
    if (owner !== "bot" || pending.length) return null;
    for (const item of items.toReversed()) {
      if (item.from === "customer") return null;
      if (item.buttons?.length) return item;
    }
    return null;
  }

  #showReplies(item) {
    if (this.#shownReplies === item.key) return;
    this.#shownReplies = item.key;
    const buttons = item.buttons.map(({ title, text }) =>
      button({ onclick: () => this.#send(text, false) }, title),
    );
    this.#parts.replies.replaceChildren(...buttons);
  }

  /** The items with a line before each new day, unless all is of today. */
  #withDays(items) {
    const today = dayOf(new Date());
    let before = today;
    return items.flatMap((item) => {
      const day = dayOf(new Date(item.at));
      const changed = day !== before;
      before = day;
      return changed ? [{ key: `day:${day}`, kind: "day", days: Math.round((day - today) / 86_400_000), at: item.at }, item] : [item];
    });
  }

  #draw(item) {
    const say = this.#words;
    if (item.kind === "day") {
      const near = item.days > -2 ? this.#relativeDays.format(item.days, "day") : this.#days.format(new Date(item.at));
      return h("p", { class: "day" }, near);
    }
    const bubble = h("div", { class: "bubble" });
    if (item.from === "customer") bubble.textContent = item.text;
    else if (item.local) bubble.textContent = say[item.local];
    else bubble.append(readable(item, say.new_tab));
    if (item.kind === "notice") return h("div", { class: "item notice" }, bubble);
    const who = { customer: say.you, bot: say.assistant }[item.from] ?? (item.agent || this.#conversation.agent || say.adviser);
    return h(
      "div",
      { class: `item ${item.from === "customer" ? "customer" : item.from === "bot" ? "bot" : "agent"}` },
      h("p", { class: "who" }, who, h("span", { class: "aside" }, " : ")),
      bubble,
      h("p", { class: "meta" }),
    );
  }

  /** What of an item may change: its place in a group, and how far it is on its way. */
  #dress(node, item, before, after) {
    if (item.kind !== "message") return;
    const { clientId, state } = item;
    node.classList.toggle("first", !together(before, item));
    node.classList.toggle("last", !together(item, after));
    const dressed = state ?? "said";
    if (node.dataset.state === dressed) return;
    node.dataset.state = dressed;
    const say = this.#words;
    const meta = node.querySelector(".meta");
    const time = h("time", { datetime: new Date(item.at).toISOString() }, this.#times.format(new Date(item.at)));
    if (!state) meta.replaceChildren(time);
    else if (state !== "failed") meta.replaceChildren(say[state]);
    else {
      meta.replaceChildren(
        h("strong", { role: "alert" }, say.failed),
        button({ onclick: () => this.#conversation.retry(clientId) }, say.retry),
        button({ onclick: () => this.#conversation.discard(clientId) }, say.discard),
      );
    }
  }

  #showState() {
    const say = this.#words;
    const { panel, mark, state, trouble, humanButton, humanState } = this.#parts;
    const { owner, humanRequest } = this.#conversation;
    const agent = this.#conversation.agent || say.adviser;
    const asking = humanRequest === "asking";
    panel.dataset.owner = asking ? "queue" : owner;
    setText(state, { bot: say.state_bot, queue: say.state_queue, agent: fill(say.state_agent, { agent }) }[owner]);
    const initial = owner === "agent" && this.#conversation.agent ? [...agent][0].toUpperCase() : null;
    if (mark.dataset.owner !== (initial ?? owner)) {
      mark.dataset.owner = initial ?? owner;
      mark.replaceChildren(initial ?? icon(...(owner === "bot" ? ICONS.bell : ICONS.adviser)));
    }
    setText(trouble, this.#conversation.trouble || !navigator.onLine ? say.offline : "");
    humanButton.hidden = owner !== "bot" || asking;
    if (owner === "queue") setText(humanState, say.human_queue);
    else if (owner === "agent") setText(humanState, fill(say.human_agent, { agent }));
    else setText(humanState, asking ? say.human_asking : humanRequest === "failed" ? say.human_failed : "");
    humanState.classList.toggle("wrong", humanRequest === "failed" && owner === "bot");
  }

  #showUnread() {
    const { badge, announcer } = this.#parts;
    const count = this.#open ? 0 : this.#conversation.unread;
    const form = `unread_${this.#plural.select(count)}`;
    const words = count ? fill(this.#words[form] ?? this.#words.unread_other, { count }) : "";
    badge.hidden = !count;
    if (badge.dataset.count !== String(count)) {
      badge.dataset.count = String(count);
      badge.replaceChildren(h("span", { "aria-hidden": "true" }, count > 9 ? "9+" : String(count)), h("span", { class: "aside" }, words));
    }
    setText(announcer, words);
  }

  #nearEnd() {
    const { log } = this.#parts;
    return log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  }

  #toEnd() {
    const { log, newer } = this.#parts;
    log.scrollTop = log.scrollHeight;
    newer.hidden = true;
  }
}

const asItem = (message) => ({ ...message, key: message.clientId, kind: "message", from: "customer" });

const dayOf = (date) => new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();

const fill = (words, facts) => words.replace(/\{(\w+)\}/g, (_, name) => facts[name]);

/** What the service said: its HTML if it gave any, else its text. */
function readable({ html, text }, newTab) {
  try {
    if (html) return safeNodes(html, newTab);
  } catch {
    // a page that forbids parsing (Trusted Types) shows the plain text
  }
  return linkedText(text, newTab);
}

/** Whether two neighbours are said in one breath. */
function together(one, other) {
  if (one?.kind !== "message" || other?.kind !== "message" || one.from !== other.from) return false;
  return new Date(other.at) - new Date(one.at) < GROUP_MS;
}
