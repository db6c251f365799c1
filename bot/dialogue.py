"""The client of Rasa's REST channel."""

from __future__ import annotations

from typing import Any

import httpx

from bot.replies import HANDED_OVER, RASA_LOST, Reply, payload


class DialogueUnavailable(Exception):
    """Rasa did not answer, or answered in one of the ways in which it fails; the turn may be tried again."""


class Dialogue:
    """Rasa's dialogue engine at `url`. Thread-safe.

    Args:
        url: of the Rasa server, `http://127.0.0.1:5005`.
        timeout: seconds that one turn may take.
    """

    def __init__(self, url: str, timeout: float = 20.0) -> None:
        # Rasa is on the loopback interface: a proxy of the environment has no business here.
        self._client = httpx.Client(base_url=url, timeout=timeout, trust_env=False)

    def turn(self, sender_id: str, text: str, *, key: str | None = None) -> list[dict[str, Any]]:
        """What the bot says to `text`, as payloads for `Renderer.render`; nothing when it has handed over to a human.

        `sender_id` is `<conversation id>:<bot session>`. The same `key` again does not take the turn again: the replies of
        the first time are given back. Raises DialogueUnavailable.
        """
        message = safe_text(text)
        if not message:
            return [payload(Reply.NOTHING_SAID)]
        body = {"sender": sender_id, "message": message, "metadata": {"key": key} if key else None}
        try:
            response = self._client.post("/webhooks/rest/webhook", json=body)
            said = response.json() if response.status_code == httpx.codes.OK else None
        except (httpx.HTTPError, ValueError) as error:
            raise DialogueUnavailable(f"Rasa at {self._client.base_url} does not answer: {error!r}") from error
        if said is None:
            raise DialogueUnavailable(f"Rasa at {self._client.base_url} answers with HTTP {response.status_code}")
        payloads = [message["custom"] for message in said if "custom" in message]
        # Every rule says something, so silence means that an action failed; Rasa reports that with 200 and an empty list.
        if not payloads:
            raise DialogueUnavailable("Rasa said nothing: an action failed; its log and ours name it")
        if any(one.get("response") == RASA_LOST for one in payloads):
            raise DialogueUnavailable("Rasa fell back: it got no understanding of the message, or an action failed")
        return [one for one in payloads if one.get("response") != HANDED_OVER]

    def is_ready(self) -> bool:
        """Whether the server has loaded its model and answers."""
        try:
            return self._client.get("/", timeout=2.0).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def close(self) -> None:
        self._client.close()


def safe_text(text: str) -> str:
    """`text` that Rasa cannot take for a command: it would run a leading `/restart` or `/intent{...}` of anybody."""
    start = 0
    while start < len(text) and (text[start] == "/" or text[start].isspace() or not text[start].isprintable()):
        start += 1
    return text[start:].rstrip()
