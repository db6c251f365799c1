"""A world for the bot to live in: a real shop, and doors to a FAQ and a desk that note what is asked of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from rasa_sdk.executor import ActionExecutor

import bot
from store import Database, utc_now


@dataclass(frozen=True)
class Hit:
    slug: str
    score: float
    title: str
    answer_markdown: str


@dataclass(frozen=True)
class Found:
    answered: bool
    slug: str | None
    top: tuple[Hit, ...]


DELIVERY = Hit("delivery-time", 0.97, "Quels sont les délais de livraison ?", "De **2 à 4** jours ouvrés.")
GIFT = Hit("gift-wrapping", 0.4, "Proposez-vous un emballage cadeau ?", "Oui, 2,50 € par article.")


@dataclass
class Faq:
    """Answers about delivery, half-understands gifts, knows nothing else."""

    asked: list[tuple[str, str]] = field(default_factory=list)

    def search(self, text: str, language: str, k: int = 3) -> Found:
        self.asked.append((text, language))
        if re.search(r"délai|how long", text):
            return Found(True, DELIVERY.slug, (DELIVERY, GIFT))
        if re.search(r"cadeau|gift", text):
            return Found(False, None, (GIFT,))
        return Found(False, None, (Hit("x", 0.01, "X ?", "x"),))


@dataclass
class Desk:
    """Conversations in English have an id that begins with "en"."""

    handed_over: dict[str, str] = field(default_factory=dict)
    customers: dict[str, int] = field(default_factory=dict)

    def language_of(self, conversation_id: str) -> str:
        return "en" if conversation_id.startswith("en") else "fr"

    def customer_of(self, conversation_id: str) -> int | None:
        return self.customers.get(conversation_id)

    def hand_over(self, conversation_id: str, reason: str) -> None:
        self.handed_over[conversation_id] = reason

    def identified(self, conversation_id: str, customer_id: int) -> None:
        self.customers[conversation_id] = customer_id


@dataclass
class TestWorld:
    __test__ = False

    database: Database
    desk: Desk = field(default_factory=Desk)
    faq: Faq = field(default_factory=Faq)

    def executor(self) -> ActionExecutor:
        return bot.build_executor(sessions=self.database.begin, faq=self.faq, desk=self.desk, clock=utc_now, zone=UTC)


@dataclass(frozen=True)
class Entity:
    kind: str
    value: str
    start: int
    end: int


@dataclass(frozen=True)
class Reading:
    text: str
    intent: str
    confidence: float = 0.95
    wants_human: bool = False
    wants_human_probability: float = 0.0
    entities: tuple[Entity, ...] = ()

    @property
    def ranking(self) -> tuple[tuple[str, float], ...]:
        return ((self.intent, self.confidence),)


_ENTITIES = (
    ("email", re.compile(r"[\w.]+@[\w.]+\w")),
    ("order_number", re.compile(r"CMD-20\d\d-\d{6}|\b\d{9}\b|\b\d{6}\b")),
    ("postcode", re.compile(r"\b\d{5}\b")),
)
_INTENTS = (
    ("talk_to_human", r"conseiller|quelqu'un|adviser|human"),
    ("complaint", r"honte|scandal|disgrace"),
    ("refund", r"remboursement|refund"),
    ("return", r"renvoyer|return"),
    ("order_tracking", r"où en est|where is my"),
    ("subscribe_alerts", r"alerte"),
    ("faq", r"délai|how long|cadeau"),
    ("out_of_scope", r"capitale|weather|sais pas"),
    ("greet", r"^(bonjour|hello)\W*$"),
    ("thanks", r"merci|thank"),
    ("goodbye", r"au revoir|goodbye"),
    ("deny", r"^(non|no|stop|laisse tomber|never mind)\b"),
    ("affirm", r"^(oui|yes)\b"),
    ("provide_order_number", r"^(CMD-\S+|\d{6}|\d{9})$"),
    ("provide_email", r"^(\S+@\S+|\d{5})$"),
)


def read(text: str) -> Reading:
    """A reading by simple rules; what they do not know has a low confidence."""
    found = [
        Entity(kind, match.group(), *match.span()) for kind, pattern in _ENTITIES for match in pattern.finditer(text)
    ]
    for intent, pattern in _INTENTS:
        if re.search(pattern, text, re.IGNORECASE):
            return Reading(text, intent, entities=tuple(found), wants_human=intent == "talk_to_human")
    return Reading(text, "faq", 0.2, entities=tuple(found))


def custom(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The payloads in an action's answer."""
    return [message["custom"] for message in body["responses"]]
