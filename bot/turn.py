"""One turn as the actions see it: what the shopper has just said, and where the dialogue stands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

_LOOSE_NUMBER = re.compile(r"(?<![\w@.+/-])(?<!\d )[1-9]\d{2}[ .]?\d{3}(?:[ .]?\d{3})?(?![\w@]|[ .,/-]?\d)")


class Tracker(Protocol):
    """The part of rasa_sdk.Tracker that is read here."""

    sender_id: str
    slots: dict[str, Any]
    latest_message: dict[str, Any]
    events: list[dict[str, Any]]


@dataclass(frozen=True)
class Turn:
    """`contact` is an e-mail address or a postcode; `opened_form` is the form that this very message has opened."""

    conversation_id: str
    text: str
    intent: str
    order_number: str | None
    contact: str | None
    slots: Mapping[str, Any]
    requested_slot: str | None
    opened_form: str | None
    human_offered: bool

    @property
    def subject(self) -> str:
        """Who tries to prove an identity, for shop.prove."""
        return f"chat:{self.conversation_id}"

    @property
    def word_count(self) -> int:
        return len(re.findall(r"\w+", self.text))


def read_turn(tracker: Tracker) -> Turn:
    """The present turn of a Rasa tracker, whose sender is `<conversation id>:<bot session>`."""
    message = tracker.latest_message or {}
    entities: dict[str, str] = {}
    for entity in message.get("entities") or ():
        entities.setdefault(entity["entity"], str(entity["value"]))
    since = _index_of_last_message(tracker.events)
    opened = [event.get("name") for event in tracker.events[since:] if event["event"] == "active_loop"]
    requested_slot = tracker.slots.get("requested_slot")
    text = str(message.get("text") or "")
    number_expected = requested_slot == "order_number" or bool(opened)
    return Turn(
        conversation_id=tracker.sender_id.rpartition(":")[0] or tracker.sender_id,
        text=text,
        intent=str((message.get("intent") or {}).get("name") or ""),
        order_number=entities.get("order_number") or (_loose_number(text) if number_expected else None),
        contact=entities.get("email") or entities.get("postcode"),
        slots=tracker.slots,
        requested_slot=requested_slot,
        opened_form=opened[-1] if opened else None,
        human_offered=_human_offered(tracker.events[:since]),
    )


def _loose_number(text: str) -> str | None:
    """Six or nine digits, however they are grouped: right after we have asked for an order number they need no other sign."""
    match = _LOOSE_NUMBER.search(text)
    return re.sub(r"\D", "", match[0]) if match else None


def _index_of_last_message(events: list[dict[str, Any]]) -> int:
    return next((i for i in range(len(events) - 1, -1, -1) if events[i]["event"] == "user"), len(events))


def _human_offered(before: list[dict[str, Any]]) -> bool:
    """Whether the bot's last words before this message offered an adviser."""
    last_words = before[_index_of_last_message(before) :]
    spoken = [((event.get("data") or {}).get("custom") or {}) for event in last_words if event["event"] == "bot"]
    return any(custom.get("offers_human") for custom in spoken)
