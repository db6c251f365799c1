// Keyboard: single keys outside of fields (they can be switched off), and the help that lists them.

const SWITCH = "comptoir.single-keys";

/** `acts` maps a key to what it does; "?" opens the help `dialog`. */
export function listenToKeys(acts, dialog) {
  const box = dialog.querySelector("[data-single-keys]");
  box.checked = localStorage.getItem(SWITCH) !== "off";
  box.addEventListener("change", () => localStorage.setItem(SWITCH, box.checked ? "on" : "off"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.matches("textarea, input")) event.target.blur();
    if (event.ctrlKey || event.metaKey || event.altKey || !box.checked || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    const act = event.key === "?" ? () => dialog.showModal() : acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
