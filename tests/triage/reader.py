"""A hand-made understanding: says what it is told, and remembers what it was asked to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Reading:
    language: str = "fr"
    language_probability: float = 0.99
    motives: tuple[tuple[str, float], ...] = (("order_tracking", 0.9), ("return", 0.6), ("other", 0.05))
    predicted: tuple[str, ...] = ("order_tracking",)
    confident: bool = True
    error_rate: float = 0.01
    wants_human: bool = False
    wants_human_probability: float = 0.02
    order_numbers: tuple[str, ...] = ()


@dataclass
class Reader:
    reading: Reading = Reading()
    asked: list[tuple[str, str]] = field(default_factory=list)

    def read_mails(self, mails: Sequence[tuple[str, str]], language_hint: str | None = None) -> list[Reading]:
        self.asked += mails
        return [self.reading] * len(mails)


def mail(body: str = "Bonjour", **headers: str) -> bytes:
    """A plain mail of a customer; keyword `message_id` is the header Message-ID, and so on."""
    given = {
        "from": "Jean Dupont <jean@client.example>",
        "to": "contact@librairie-tournesol.example",
        "subject": "Ma commande",
        "message-id": "<1@client.example>",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
    return f"{lines}\r\n{body}".encode()
