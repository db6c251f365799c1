"""What Rasa is told about a message: our reading of it, in the form of Rasa's `nlu:` endpoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

FALLBACK = "nlu_fallback"
_RANKING = 10
_NOTHING_ELSE = 0.8
_MOSTLY = 0.5
_ABOUT_AN_ORDER = frozenset({"order_tracking", "provide_order_number", "provide_email"})
_COURTESIES = frozenset({"affirm", "deny", "greet", "thanks", "goodbye"})
_COURTESY_THRESHOLD = 0.8
_COURTESY_WORDS = 4
_LEAST_COURTESY = 0.6
"""Below it a greeting or a goodbye is none: keys that were leant on look like one as much as like anything."""
_CONSENT = "affirm"
_CONSENT_THRESHOLD = 0.9
_SAID = re.compile(r"[^\W_]|[\u2764\U0001f44b\U0001f44c\U0001f44d\U0001f64f\u2705\u2714]")
"""Something that may be a yes: a letter, a number, or one of the signs for it."""


class EntityReading(Protocol):
    """As models.Entity."""

    @property
    def kind(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


class Reading(Protocol):
    """The part of models.ChatReading that the dialogue needs."""

    @property
    def text(self) -> str: ...
    @property
    def intent(self) -> str: ...
    @property
    def confidence(self) -> float: ...
    @property
    def ranking(self) -> Sequence[tuple[str, float]]: ...
    @property
    def wants_human(self) -> bool: ...
    @property
    def wants_human_probability(self) -> float: ...
    @property
    def entities(self) -> Sequence[EntityReading]: ...


def nlu_response(reading: Reading, threshold: float) -> dict[str, Any]:
    """The body of `POST /model/parse`.

    A wish for a human goes before everything, and only its own detector tells it: to be unlike every other intent is none. A
    message that is nothing but an order number, an e-mail or a postcode says what it is by itself. Any other intent below
    `threshold` becomes `nlu_fallback`, unless the message is mostly such an entity, a question about an order that it numbers
    (all that follows is the request for a proof), or a short courtesy: a yes or a no answers our own question and needs less
    certainty than a motive. A yes makes a return, so that a doubtful one, or one that asks something, is none.
    """
    intent, confidence = _likeliest(reading)
    if reading.wants_human:
        intent, confidence = "talk_to_human", reading.wants_human_probability
    elif (share := _entity_share(reading)) >= _NOTHING_ELSE or (confidence < threshold and share > _MOSTLY):
        intent = "provide_order_number" if _has_order_number(reading) else "provide_email"
    elif confidence < threshold and intent in _ABOUT_AN_ORDER and _has_order_number(reading):
        intent = "provide_order_number"
    elif confidence < threshold and not _is_courtesy(reading):
        intent = FALLBACK
    return {
        "text": reading.text,
        "intent": {"name": intent, "confidence": float(confidence)},
        "intent_ranking": [{"name": name, "confidence": float(p)} for name, p in reading.ranking[:_RANKING]],
        "entities": [
            {
                "entity": entity.kind,
                "value": entity.value,
                "start": entity.start,
                "end": entity.end,
                "confidence": 1.0,
                "extractor": "comptoir",
            }
            for entity in reading.entities
        ],
    }


def _likeliest(reading: Reading) -> tuple[str, float]:
    """The likeliest intent that the message may have."""
    ranking = [pair for pair in reading.ranking if pair[0] != "talk_to_human"] or [(reading.intent, reading.confidence)]
    intent, confidence = (reading.intent, reading.confidence) if reading.intent != "talk_to_human" else ranking[0]
    doubtful = confidence < _CONSENT_THRESHOLD or "?" in reading.text
    doubtful = doubtful if intent == _CONSENT else intent in _COURTESIES and confidence < _LEAST_COURTESY
    if doubtful or not _SAID.search(reading.text):
        return FALLBACK, 1 - confidence
    return intent, confidence


def _entity_share(reading: Reading) -> float:
    """How much of the message, by letters, is entities."""
    covered = sum(entity.end - entity.start for entity in reading.entities)
    return covered / max(len(reading.text.strip()), 1)


def _has_order_number(reading: Reading) -> bool:
    return any(entity.kind == "order_number" for entity in reading.entities)


def _is_courtesy(reading: Reading) -> bool:
    short = len(reading.text.split()) <= _COURTESY_WORDS
    return reading.intent in _COURTESIES and short and reading.confidence >= _COURTESY_THRESHOLD
