// The desk: the list on the left, one conversation in the middle, its customer on the right.

import { listenToCorrections } from "./correct.js";
import { listenToKeys } from "./keys.js";
import { listen } from "./live.js";
import { clear, oneAtATime, swap, toast } from "./parts.js";
import { address, get, post, texts, uuid } from "./server.js";

const $ = (selector) => document.querySelector(selector);
const $$ = (selector) => [...document.querySelectorAll(selector)];
const body = document.body;
const panes = $(".panes");
const main = $("#main");
const scroll = $("#scroll");
const transcript = $("#transcript");
const composer = $("#composer");
const side = $("#side");

const DRAFT = "comptoir.draft.";
const NEAR_THE_END = 120;
const LIST_AGAIN = 30000;
const NOTICES_AGAIN = 10000;
const UNSENT_AGAIN = 2000;

let chosen = main.dataset.id || null;
let view = new URLSearchParams(location.search).get("view") || "queue";
let waiting = Number(body.dataset.waiting);
let title = chosen ? $("#head h1").textContent : texts.desk;
let sending = null;
let visit = 0;
let settledAt = 0;

const here = (id) => `?view=${view}` + (id ? `&selected=${id}` : "");

// ---- the list

const refreshList = oneAtATime(async () => {
  const asked = view;
  const said = await get(`api/list${here(chosen)}`).catch(() => null);
  if (!said || asked !== view) return;
  swap($("#views"), said.views);
  swap($("#list"), said.list);
  if (said.waiting > waiting) ring();
  waiting = said.waiting;
  showTitle();
});

function showTitle() {
  document.title = `${waiting ? `(${waiting}) ` : ""}${title} · Comptoir`;
}

function showView(name) {
  view = name;
  history.replaceState({ id: chosen }, "", chosen ? address(`c/${chosen}?view=${view}`) : address(`?view=${view}`));
  $("#list").scrollTop = 0;
  return refreshList();
}

function rows() {
  return $$("#list .row");
}

function move(step) {
  const all = rows();
  const at = all.findIndex((row) => row.dataset.id === chosen);
  const next = all[Math.min(all.length - 1, Math.max(0, at + step))];
  if (!next || next.dataset.id === chosen) return;
  next.focus();
  show(next.dataset.id);
}

// ---- the conversation

async function show(id, { push = true } = {}) {
  visit += 1;
  const mine = visit;
  markChosen(id);
  let said;
  try {
    said = await get(`api/conversations/${id}${here(id)}`);
  } catch (refusal) {
    toast(refusal.message, "bad");
    return;
  }
  if (mine !== visit) return;
  keepDraft();
  clear(composer);
  chosen = id;
  if (push) history.pushState({ id }, "", address(`c/${id}?view=${view}`));
  panes.dataset.shows = "conversation";
  showCustomer(false);
  $(".nothing").hidden = true;
  $(".talk").hidden = false;
  fill(said.events);
  main.dataset.id = id;
  main.dataset.last = said.last;
  main.dataset.first = said.first;
  $("[data-earlier]").hidden = !said.earlier;
  apply(said);
  settle();
  if (matchMedia("(max-width: 759px)").matches) main.focus({ preventScroll: true });
}

/** A whole transcript; only what is added later is read out. */
function fill(html) {
  transcript.setAttribute("aria-live", "off");
  transcript.innerHTML = html;
  requestAnimationFrame(() => transcript.removeAttribute("aria-live"));
}

function leave({ push = true } = {}) {
  keepDraft();
  visit += 1;
  chosen = null;
  main.dataset.id = "";
  panes.dataset.shows = "list";
  $(".nothing").hidden = false;
  $(".talk").hidden = true;
  clear(side);
  clear(composer);
  title = texts.desk;
  showTitle();
  markChosen(null);
  if (push) history.pushState({}, "", address(`?view=${view}`));
}

function markChosen(id) {
  for (const row of rows()) {
    if (row.dataset.id === id) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
  }
}

const refreshConversation = oneAtATime(async () => {
  for (let more = true; more && chosen; ) {
    const id = chosen;
    const said = await get(`api/conversations/${id}${here(id)}&after=${main.dataset.last}`).catch(() => null);
    if (!said || id !== chosen) return;
    const follows = isSettled();
    if (said.last > Number(main.dataset.last)) {
      transcript.insertAdjacentHTML("beforeend", said.events);
      main.dataset.last = said.last;
      if (!follows) $("[data-end]").hidden = false;
    }
    apply(said);
    if (follows) settle();
    more = !said.complete;
  }
});

/** Everything of a conversation but its transcript. */
function apply(said) {
  swap($("#head"), said.head);
  swap(side, said.side);
  keepDraft();
  const had = composer.contains(document.activeElement);
  if (swap(composer, said.composer)) {
    restoreDraft();
    if (had) composer.querySelector("textarea")?.focus();
    grow();
  }
  for (const mark of $$("[data-mail]")) swap(mark, said.mails[mark.dataset.mail] ?? "");
  if (said.leaving) setTimeout(refreshConversation, UNSENT_AGAIN);
  title = said.title;
  showTitle();
}

async function showEarlier() {
  const height = scroll.scrollHeight;
  const said = await get(`api/conversations/${chosen}${here(chosen)}&before=${main.dataset.first}`);
  transcript.insertAdjacentHTML("afterbegin", said.events);
  main.dataset.first = said.first;
  $("[data-earlier]").hidden = !said.earlier;
  scroll.scrollTop += scroll.scrollHeight - height;
}

function nearTheEnd() {
  return scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_THE_END;
}

/** Show what was said last: the end, or the beginning of `first` (the last message) when it would not be on the screen. */
function settle(first = [...transcript.querySelectorAll(".message")].at(-1)) {
  toEnd();
  if (first) scroll.scrollTop = Math.min(scroll.scrollTop, first.offsetTop - scroll.offsetTop - 12);
  settledAt = scroll.scrollTop;
}

/** Show what the customer has written after the event `seen`. */
function settleAtUnseen(seen) {
  const messages = [...transcript.querySelectorAll(".message.customer")];
  const unseen = messages.find((message) => Number(message.dataset.number) > seen);
  if (unseen) settle(unseen);
}

function isSettled() {
  return nearTheEnd() || Math.abs(scroll.scrollTop - settledAt) < 4;
}

function toEnd() {
  scroll.scrollTop = scroll.scrollHeight;
  $("[data-end]").hidden = true;
}

// ---- acts

async function act(name) {
  if (!chosen) return;
  const id = chosen;
  const seen = Number(main.dataset.last);
  let refused = false;
  try {
    await post(`api/conversations/${id}/${name}`, name === "close" ? { seen } : {});
    if (name === "close") toast(texts.closed);
    if (name === "release") toast(texts.released);
  } catch (refusal) {
    toast(refusal.message, "bad");
    refused = true;
  }
  await Promise.all([refreshConversation(), refreshList()]);
  if (refused && name === "close" && id === chosen) settleAtUnseen(seen);
  if (name === "claim" || name === "take") composer.querySelector("textarea")?.focus();
}

/** Decide about a mail of ours that did not leave: send it again, or take it as sent. */
async function decideMail(button) {
  const { mailId, mailAct } = button.dataset;
  button.disabled = true;
  try {
    await post(`api/conversations/${chosen}/mails/${mailId}/${mailAct}`);
  } catch (refusal) {
    toast(refusal.message, "bad");
  }
  await refreshConversation();
  button.disabled = false;
}

async function send(close) {
  const form = composer.querySelector("[data-reply]");
  const text = form?.elements.text;
  if (!form || form.dataset.sending) return;
  if (!text.value.trim()) {
    toast(texts.empty, "bad");
    text.focus();
    return;
  }
  const id = chosen;
  const seen = Number(main.dataset.last);
  const reply = { text: text.value, subject: form.elements.subject?.value ?? "", close, seen };
  let keptOpen = false;
  // The same words again after a lost answer are the same reply: the server keeps one.
  const words = JSON.stringify([id, reply.text, reply.subject]);
  if (sending?.words !== words) sending = { words, client_id: uuid() };
  form.dataset.sending = "yes";
  form.setAttribute("aria-busy", "true");
  try {
    const said = await post(`api/conversations/${id}/reply`, { ...reply, client_id: sending.client_id });
    keptOpen = Boolean(said.kept_open);
    sending = null;
    sessionStorage.removeItem(DRAFT + id);
    if (id === chosen) {
      for (const field of form.querySelectorAll("[name]")) field.defaultValue = field.value;
      text.value = text.defaultValue = "";
      settle();
    }
    if (keptOpen) toast(said.kept_open, "bad");
    else if (close) toast(texts.closed);
    else if (form.classList.contains("mail")) toast(texts.sent);
  } catch (refusal) {
    toast(refusal.message, "bad");
  } finally {
    delete form.dataset.sending;
    form.removeAttribute("aria-busy");
  }
  await Promise.all([refreshConversation(), refreshList()]);
  if (keptOpen && id === chosen) settleAtUnseen(seen);
  grow();
}

/** What is being typed stays with its conversation, in this tab, while the agent looks at another one. */
function keepDraft() {
  const fields = [...composer.querySelectorAll("[data-reply] [name]")];
  if (!chosen || !fields.length) return;
  const changed = fields.filter((field) => field.value !== field.defaultValue);
  if (changed.length) {
    sessionStorage.setItem(DRAFT + chosen, JSON.stringify(Object.fromEntries(changed.map((each) => [each.name, each.value]))));
  } else {
    sessionStorage.removeItem(DRAFT + chosen);
  }
}

function restoreDraft() {
  const kept = JSON.parse(sessionStorage.getItem(DRAFT + chosen) ?? "{}");
  for (const [name, value] of Object.entries(kept)) {
    const field = composer.querySelector(`[name="${name}"]`);
    if (field) field.value = value;
  }
}

function grow() {
  const text = composer.querySelector("textarea");
  if (!text || CSS.supports("field-sizing", "content")) return;
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
}

function showCustomer(open) {
  panes.toggleAttribute("data-customer-open", open);
  for (const button of $$("[data-customer][aria-controls]")) button.setAttribute("aria-expanded", String(open));
  if (open) side.focus({ preventScroll: true });
}

// ---- sound

const SOUND = "comptoir.sound";
const soundButton = $("[data-sound]");
let loud = localStorage.getItem(SOUND) === "on";
let audio = null;

function showSound() {
  soundButton.setAttribute("aria-pressed", String(loud));
  soundButton.title = loud ? texts.soundOn : texts.soundOff;
}

function ring() {
  if (!loud) return;
  audio ??= new AudioContext();
  [660, 880].forEach((pitch, index) => {
    const tone = audio.createOscillator();
    const volume = audio.createGain();
    const at = audio.currentTime + index * 0.16;
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(0.08, at);
    volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.3);
    tone.connect(volume).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.3);
  });
}

// ---- listening

document.addEventListener("click", (event) => {
  const plain = !event.metaKey && !event.ctrlKey && !event.shiftKey && event.button === 0;
  const target = event.target.closest("a, button");
  if (!target || !plain) return;
  const { id, view: name } = target.dataset;
  const does =
    (target.matches("a[data-id]") && (() => show(id))) ||
    (target.matches("a[data-view]") && (() => showView(name))) ||
    (target.matches("[data-back]") && (() => leave())) ||
    (target.matches("[data-act]") && (() => act(target.dataset.act))) ||
    (target.matches("[data-mail-act]") && (() => decideMail(target))) ||
    (target.matches("[data-send]") && (() => send(target.dataset.send === "close"))) ||
    (target.matches("[data-customer]") && (() => showCustomer(!panes.hasAttribute("data-customer-open")))) ||
    (target.matches("[data-earlier]") && showEarlier) ||
    (target.matches("[data-end]") && toEnd) ||
    (target.matches("[data-keys]") && (() => $("#keys").showModal())) ||
    (target.matches("[data-sound]") &&
      (() => {
        loud = !loud;
        localStorage.setItem(SOUND, loud ? "on" : "off");
        showSound();
        ring();
      }));
  if (!does) return;
  event.preventDefault();
  does();
});

document.addEventListener("submit", (event) => {
  if (event.target.matches(".logout")) sessionStorage.clear();
  if (!event.target.matches("[data-reply]")) return;
  event.preventDefault();
  send(false);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || !event.target.closest("[data-reply]")) return;
  event.preventDefault();
  send(event.shiftKey);
});

document.addEventListener("input", (event) => {
  if (event.target.matches("#reply-text")) grow();
});

scroll.addEventListener("scroll", () => {
  if (nearTheEnd()) $("[data-end]").hidden = true;
});

addEventListener("popstate", () => {
  const id = location.pathname.match(/\/c\/([0-9a-f-]{36})$/)?.[1];
  view = new URLSearchParams(location.search).get("view") || "queue";
  if (id) show(id, { push: false });
  else leave({ push: false });
  refreshList();
});

listenToKeys(
  {
    j: () => move(1),
    k: () => move(-1),
    c: () => $('#composer [data-act]')?.click(),
    e: () => $('#head [data-act="close"]')?.click(),
    r: () => composer.querySelector("textarea")?.focus(),
    ...Object.fromEntries(
      [1, 2, 3, 4, 5, 6].map((number) => [number, () => $$("#views a")[number - 1]?.click()]),
    ),
  },
  $("#keys"),
);

listenToCorrections($("#correct"), () => chosen);

async function refreshNotices() {
  const said = await get("api/notices").catch(() => null);
  if (said) swap($("#notices"), said.html);
}

listen({
  onHello: () => {
    refreshList();
    if (chosen) refreshConversation();
  },
  onChange: (ids, queue) => {
    if (queue || !["queue", "mine", "open"].includes(view)) refreshList();
    if (chosen && ids.includes(chosen)) refreshConversation();
  },
  onState: (state) => {
    const mark = $(".live");
    mark.dataset.state = state;
    mark.querySelector(".live-text").textContent = { live: texts.live, lost: texts.lost, polling: texts.polling }[state];
  },
});

addEventListener("beforeunload", keepDraft);
addEventListener("pageshow", (event) => event.persisted && location.reload());

// Waiting times grow by themselves.
setInterval(refreshList, LIST_AGAIN);
setInterval(refreshNotices, NOTICES_AGAIN);
showSound();
restoreDraft();
grow();
if (chosen) settle();
