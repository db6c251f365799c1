// Reviewing corrections: accept with the words as they stand in the fields, or set aside.

import { countToReview, toast } from "./parts.js";
import { post, texts } from "./server.js";

async function review(form, verdict) {
  const { id } = form.dataset;
  const seen = { correct: JSON.parse(form.dataset.correct) };
  const words = { text: form.elements.text.value, subject: form.elements.subject?.value ?? null };
  if (verdict === "accept" && !`${words.text}${words.subject ?? ""}`.trim()) {
    toast(texts.empty, "bad");
    form.elements.text.focus();
    return;
  }
  form.setAttribute("aria-busy", "true");
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  try {
    const said = await post(`api/corrections/${id}/${verdict}`, verdict === "accept" ? { ...seen, ...words } : seen);
    remove(form);
    countToReview(said.waiting);
    toast(verdict === "accept" ? texts.accepted : texts.refused);
  } catch (refusal) {
    toast(refusal.message, "bad");
    form.removeAttribute("aria-busy");
    for (const button of form.querySelectorAll("button")) button.disabled = false;
  }
}

/** Take a reviewed correction off the page; the next one gets the focus. */
function remove(form) {
  const item = form.closest("li");
  const next = item.nextElementSibling ?? item.previousElementSibling;
  item.remove();
  if (next) next.querySelector("textarea").focus();
  else document.querySelector("[data-empty]").hidden = false;
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches(".correction")) return;
  event.preventDefault();
  review(event.target, "accept");
});

document.addEventListener("click", (event) => {
  const button = event.target.closest('[data-review="refuse"]');
  if (button) review(button.form, "refuse");
});
