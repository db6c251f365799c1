"""What the actions need of the world. Whoever builds the executor passes it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Protocol

from sqlalchemy.orm import Session

from shop import ReturnPolicy


class FaqHit(Protocol):
    """As faq_kb.Hit."""

    @property
    def slug(self) -> str: ...
    @property
    def score(self) -> float: ...
    @property
    def title(self) -> str: ...
    @property
    def answer_markdown(self) -> str: ...


class FaqResult(Protocol):
    """As faq_kb.FaqResult: `answered` says that `slug` may be given as the answer; `top` is in descending order."""

    @property
    def answered(self) -> bool: ...
    @property
    def slug(self) -> str | None: ...
    @property
    def top(self) -> Sequence[FaqHit]: ...


class FaqDoor(Protocol):
    def search(self, text: str, language: str, k: int = 3) -> FaqResult: ...


class DeskDoor(Protocol):
    """The desk. Each call is a transaction of its own and must not be made inside one of `World.sessions`."""

    def language_of(self, conversation_id: str) -> str: ...

    def customer_of(self, conversation_id: str) -> int | None:
        """The customer whom the conversation belongs to, if known."""

    def hand_over(self, conversation_id: str, reason: str) -> None:
        """Queue the conversation for an agent; `reason` is "asked" or "offered"."""

    def identified(self, conversation_id: str, customer_id: int) -> None:
        """Note that somebody has proved one order of this customer in the conversation."""


@dataclass(frozen=True)
class World:
    """`sessions` opens a write transaction; `zone` is the shop's calendar; `suggestion_floor` is the FAQ score below which an
    entry is not even suggested."""

    sessions: Callable[[], AbstractContextManager[Session]]
    faq: FaqDoor
    desk: DeskDoor
    clock: Callable[[], datetime]
    zone: tzinfo
    policy: ReturnPolicy
    item_words: Mapping[str, frozenset[str]]
    suggestion_floor: float
