// Being told what changes: a stream of server-sent events, and asking every few seconds when there is none.

import { address } from "./server.js";

const ASK_EVERY = 3000;
const STREAM_AGAIN = 30000;

/**
 * Call `onChange(ids, queue)` for changed conversations, and `onHello()` whenever everything must be looked at anew.
 * `onState` hears "live", "lost" (the browser tries again by itself) or "polling" (the server had no stream free).
 */
export function listen({ onHello, onChange, onState }) {
  let asking = null;

  function stopAsking() {
    clearInterval(asking);
    asking = null;
  }

  function open() {
    const stream = new EventSource(address("stream"));
    stream.addEventListener("hello", () => {
      stopAsking();
      onState("live");
      onHello();
    });
    stream.addEventListener("changed", (event) => {
      const { ids, queue } = JSON.parse(event.data);
      onChange(ids, queue);
    });
    stream.addEventListener("error", () => {
      if (stream.readyState !== EventSource.CLOSED) {
        onState("lost");
        return;
      }
      onState("polling");
      asking ??= setInterval(onHello, ASK_EVERY);
      onHello();
      setTimeout(open, STREAM_AGAIN);
    });
    addEventListener("pagehide", () => stream.close(), { once: true });
  }

  open();
}
