// Comptoir's chat widget. On every page of the shop:
//
//   <script src="https://comptoir.example/widget/widget.js" data-language="fr" async></script>
//
//   data-language         of the page; without it the page's lang, then the browser's
//   data-colour           the shop's colour, any CSS colour; what stands on it is made legible by itself
//   data-name             the shop's name, for the title
//   data-identity-token   signed by the shop for a customer who is logged in there
//
// Anything on the page may open the conversation: <button data-comptoir-open="A text to begin with">.

import { Conversation } from "./conversation.js";
import { Service } from "./service.js";
import { Store } from "./store.js";
import { View } from "./view.js";

/* global STYLE: the text of widget.css, put before the modules by the service */

const tag = document.currentScript;
const home = new URL(".", tag.src);

/** The wished language and its strings, or the English ones. */
async function wordsOf(language) {
  const answer = await fetch(new URL(`strings/${language}.json`, home), { credentials: "omit" });
  if (answer.ok) return [language, await answer.json()];
  if (language === "en") throw new Error(`no strings: HTTP ${answer.status}`);
  return wordsOf("en");
}

async function begin() {
  const { colour, name, identityToken } = tag.dataset;
  const wished = tag.dataset.language || document.documentElement.lang || navigator.language;
  const [language, words] = await wordsOf(wished.toLowerCase().split(/[-_]/)[0]);
  const prefix = `comptoir:${home.origin}:`;
  const conversation = new Conversation(new Service(home.origin), new Store(prefix), language, identityToken || null);
  conversation.start();
  new View(conversation, new Store(prefix, "sessionStorage"), { words, language, style: STYLE, colour, name });
}

function beginUntilItWorks(wait = 1000) {
  begin().catch((error) => {
    console.warn("Comptoir: the chat could not be loaded and is tried again.", error);
    setTimeout(beginUntilItWorks, wait, Math.min(wait * 2, 60_000));
  });
}

if (!window.comptoir) {
  window.comptoir = home.origin; // a page that carries the tag twice gets one widget
  if (document.body) beginUntilItWorks();
  else addEventListener("DOMContentLoaded", () => beginUntilItWorks(), { once: true });
}
