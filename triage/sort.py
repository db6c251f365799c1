"""What a mail is about: language, motives, order numbers, whether its writer asks for a human (all from models/), how urgent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models import find_order_numbers
from triage.parse import Mail
from triage.urgency import Contact, Urgency, measure_urgency

MAX_READ = 20_000
MAX_HISTORY = 20_000
MAILS_TOGETHER = 8
"""How many mails to read together while others wait: more gain nothing."""


class Reading(Protocol):
    """What `models.MailReading` says of a mail."""

    @property
    def language(self) -> str: ...
    @property
    def language_probability(self) -> float: ...
    @property
    def motives(self) -> Sequence[tuple[str, float]]: ...
    @property
    def predicted(self) -> Sequence[str]: ...
    @property
    def confident(self) -> bool: ...
    @property
    def error_rate(self) -> float: ...
    @property
    def wants_human(self) -> bool: ...
    @property
    def wants_human_probability(self) -> float: ...
    @property
    def order_numbers(self) -> Sequence[str]: ...


class MailUnderstanding(Protocol):
    """Reads pairs of subject and body; `models.Understanding` is one."""

    def read_mails(self, mails: Sequence[tuple[str, str]], language_hint: str | None = None) -> Sequence[Reading]: ...


@dataclass(frozen=True)
class MotiveGuess:
    motive: str
    probability: float


@dataclass(frozen=True)
class Sorting:
    """`motives` are those that the mail gives, in the order in which it comes to them, never empty; `confident` says that
    the first is certain enough to act on, `error_rate` the smallest stated error rate for which it is (1.0: for none).
    `order_numbers` are normalised and in reading order."""

    language: str
    language_probability: float
    motives: tuple[MotiveGuess, ...]
    confident: bool
    error_rate: float
    wants_human: bool
    wants_human_probability: float
    order_numbers: tuple[str, ...]
    urgency: Urgency

    @property
    def primary(self) -> str:
        return self.motives[0].motive


def sort(
    mail: Mail,
    understanding: MailUnderstanding,
    *,
    language_hint: str | None = None,
    contact: Contact | None = None,
) -> Sorting:
    """Sort a mail by its subject and newest text; the history counts only for an order number that is not given there.

    `contact` is what came before the mail; it counts for its urgency only.
    """
    return sort_all([mail], understanding, language_hint=language_hint, contacts=[contact or Contact()])[0]


def sort_all(
    mails: Sequence[Mail],
    understanding: MailUnderstanding,
    *,
    language_hint: str | None = None,
    contacts: Sequence[Contact] | None = None,
) -> list[Sorting]:
    """`sort` for several mails, which are read together. `contacts`: what came before each."""
    texts = [(mail.text or mail.full_text)[:MAX_READ] for mail in mails]
    readings = understanding.read_mails(
        [(mail.subject, text) for mail, text in zip(mails, texts, strict=True)], language_hint
    )
    before = contacts or [Contact()] * len(mails)
    return [_sorting(*each) for each in zip(mails, texts, readings, before, strict=True)]


def _sorting(mail: Mail, text: str, reading: Reading, contact: Contact) -> Sorting:
    probabilities = dict(reading.motives)
    given = tuple(reading.predicted) or (reading.motives[0][0],)
    return Sorting(
        language=reading.language,
        language_probability=reading.language_probability,
        motives=tuple(MotiveGuess(motive, probabilities.get(motive, 0.0)) for motive in given),
        confident=reading.confident,
        error_rate=reading.error_rate,
        wants_human=reading.wants_human,
        wants_human_probability=reading.wants_human_probability,
        order_numbers=tuple(reading.order_numbers) or _numbers_in_history(mail),
        urgency=measure_urgency(f"{mail.subject}\n{text}", reading.language, given[0], contact),
    )


def _numbers_in_history(mail: Mail) -> tuple[str, ...]:
    history = f"{mail.signature}\n{mail.quoted}"[:MAX_HISTORY]
    return find_order_numbers(history) if any(letter.isdigit() for letter in history) else ()
