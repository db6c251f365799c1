// What survives a reload: the browser's localStorage, shared by all tabs of the shop (or sessionStorage, for one tab), or memory
// where that is forbidden.

export class Store {
  #prefix;
  #area;
  #memory = new Map();

  constructor(prefix, area = "localStorage") {
    this.#prefix = prefix;
    this.#area = area;
  }

  read(key) {
    try {
      const kept = this.#memory.get(key) ?? window[this.#area].getItem(this.#prefix + key);
      return kept ? JSON.parse(kept) : null;
    } catch {
      return null;
    }
  }

  write(key, value) {
    const text = JSON.stringify(value);
    try {
      window[this.#area].setItem(this.#prefix + key, text);
      this.#memory.delete(key);
    } catch {
      this.#memory.set(key, text);
    }
  }

  remove(key) {
    this.#memory.delete(key);
    try {
      window[this.#area].removeItem(this.#prefix + key);
    } catch {
      // forbidden: then it was never there
    }
  }

  /** The keys that begin with `start`, sorted. */
  keys(start) {
    let kept = [];
    try {
      kept = Object.keys(window[this.#area]).filter((key) => key.startsWith(this.#prefix + start));
    } catch {
      // forbidden: memory is all there is
    }
    const own = [...this.#memory.keys()].filter((key) => key.startsWith(start));
    return [...new Set([...kept.map((key) => key.slice(this.#prefix.length)), ...own])].sort();
  }

  /** Call `changed(key)` when another tab changed something; `key` is null when everything was cleared. */
  watch(changed) {
    addEventListener("storage", ({ key }) => {
      if (key === null) changed(null);
      else if (key.startsWith(this.#prefix)) changed(key.slice(this.#prefix.length));
    });
  }
}
