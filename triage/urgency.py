"""How pressing a mail is: a score out of 100 with named reasons, by a rule set small enough to be read.

    legal      40   a lawyer, a court, a mediator, a consumers' office, a chargeback
    anger      25   words of anger, or a mail that shouts
    deadline   25   something must happen by a time
    motive     15   the likeliest motive is one where something went wrong (`PRESSING`)
    repeated   20   the sender wrote in the last days already, and again
    waiting    20   the mail is older than two days when it is read

A mail is urgent from `URGENT` points: a legal threat alone, or two lesser reasons. The words of each language are in
`data/<language>/urgency.toml`; English and the shop's own language are not mixed in, because "court" is French too.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data"
URGENT = 40
POINTS = {"legal": 40, "anger": 25, "deadline": 25, "repeated": 20, "waiting": 20, "motive": 15}
PRESSING = frozenset(
    {"complaint", "delivery_problem", "damaged_or_wrong_item", "missing_item", "payment_billing", "privacy_request"}
)
LONG_AGO = timedelta(days=2)
SHOUTED_LETTERS = 40

_EXCLAIMED = re.compile(r"!{3,}|(?:!\s?\?\s?){2,}")


@dataclass(frozen=True)
class Contact:
    """What came before: the mail's age when it is read, and how many mails the sender wrote in the last days."""

    age: timedelta = timedelta(0)
    earlier_mails: int = 0


@dataclass(frozen=True)
class Urgency:
    """`score` out of 100; `reasons` are names of `POINTS`, weightiest first."""

    score: int
    reasons: tuple[str, ...]

    @property
    def urgent(self) -> bool:
        return self.score >= URGENT


def measure_urgency(text: str, language: str, motive: str, contact: Contact) -> Urgency:
    """How pressing a mail with this `text` (subject and newest words) is. A language without word lists has no word reasons."""
    found = set(_words_found(text, language))
    found |= {"anger"} if _shouts(text) else set()
    found |= {"motive"} if motive in PRESSING else set()
    found |= {"repeated"} if contact.earlier_mails else set()
    found |= {"waiting"} if contact.age >= LONG_AGO else set()
    reasons = tuple(name for name in POINTS if name in found)
    return Urgency(min(100, sum(POINTS[name] for name in reasons)), reasons)


def _words_found(text: str, language: str) -> Iterator[str]:
    folded = _fold(text)
    for name, pattern in _patterns(language).items():
        if pattern.search(folded):
            yield name


def _shouts(text: str) -> bool:
    letters = [letter for letter in text if letter.isalpha()]
    upper = sum(letter.isupper() for letter in letters)
    return (len(letters) >= SHOUTED_LETTERS and upper > 0.7 * len(letters)) or bool(_EXCLAIMED.search(text))


@cache
def _patterns(language: str) -> dict[str, re.Pattern[str]]:
    file = DATA / language / "urgency.toml"
    if not re.fullmatch(r"[a-z]{2}", language) or not file.is_file():
        return {}
    lists = tomllib.loads(file.read_text(encoding="utf-8"))
    return {name: re.compile(rf"(?<!\w)(?:{'|'.join(lists[name])})(?!\w)") for name in ("legal", "anger", "deadline")}


def _fold(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.replace("’", "'").casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))
