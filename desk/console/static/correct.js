// Correcting what was misunderstood: one dialog for a message's motive and for a wrong answer.

import { countToReview, toast } from "./parts.js";
import { post, texts } from "./server.js";

const NO_ENTRY = "-";

/** `dialog` asks for what is right; `chosen()` is the id of the conversation on the screen. */
export function listenToCorrections(dialog, chosen) {
  const form = dialog.querySelector("form");
  let about = null;

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-correct]");
    if (button) ask(button);
    else if (event.target.closest("[data-cancel]")) dialog.close();
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });

  function ask(button) {
    const { correct: kind, number, predicted } = button.dataset;
    about = { kind, number: Number(number), id: chosen(), place: button.closest("[data-correcting]") };
    for (const part of dialog.querySelectorAll("[data-for]")) part.hidden = part.dataset.for !== kind;
    const choice = form.elements[kind];
    for (const each of [form.elements.motive, form.elements.answer]) each.required = each === choice;
    for (const option of choice.options) option.hidden = Boolean(option.value) && option.value === predicted;
    choice.selectedIndex = 0;
    dialog.showModal();
    choice.focus();
  }

  async function send() {
    const { kind, number, id, place } = about;
    const value = form.elements[kind].value;
    dialog.close();
    try {
      const said = await post(`api/conversations/${id}/corrections`, {
        kind,
        number,
        correct: value === NO_ENTRY ? null : value,
      });
      place.outerHTML = said.html;
      countToReview(said.waiting);
      toast(texts.corrected);
    } catch (refusal) {
      toast(refusal.message, "bad");
    }
  }
}
