// Swapping parts of the page for what the server rendered, without losing focus or an opened detail.

const shown = new WeakMap();

/** Replace the content of `element` when `html` is new; the focused link or button keeps the focus. */
export function swap(element, html) {
  if (shown.get(element) === html) return false;
  shown.set(element, html);
  const focused = element.contains(document.activeElement) ? pathOf(document.activeElement) : null;
  element.innerHTML = html;
  if (focused) element.querySelector(focused)?.focus({ preventScroll: true });
  return true;
}

/** Empty `element`: whatever comes next is new. */
export function clear(element) {
  shown.delete(element);
  element.replaceChildren();
}

function pathOf(element) {
  for (const name of ["id", "data-id", "data-view", "data-act", "name"]) {
    const value = element.getAttribute(name);
    if (value) return `[${name}="${CSS.escape(value)}"]`;
  }
  return "a, button";
}

/** How many corrections wait for review, in the header. */
export function countToReview(waiting) {
  const mark = document.querySelector("[data-to-review]");
  mark.textContent = waiting;
  mark.hidden = !waiting;
}

let hiding = 0;

/** Tell the agent something in a sentence. */
export function toast(message, kind = "good") {
  const box = document.getElementById("toast");
  clearTimeout(hiding);
  box.textContent = message;
  box.dataset.kind = kind;
  box.hidden = false;
  hiding = setTimeout(() => (box.hidden = true), kind === "bad" ? 8000 : 2500);
}

/** At most one run at a time of an asynchronous `act`; asked meanwhile, it runs once more afterwards. */
export function oneAtATime(act) {
  let running = null;
  let again = false;
  return async function run() {
    if (running) {
      again = true;
      return running;
    }
    running = (async () => {
      do {
        again = false;
        await act();
      } while (again);
    })();
    try {
      await running;
    } finally {
      running = null;
    }
  };
}
