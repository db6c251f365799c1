"""How the usual mail programs write the mail that is answered below a reply, in five languages and one more (`quotes.txt`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Quote:
    """The lines that a program puts below the newest text. `language` is that of its header."""

    language: str
    program: str
    text: str


def _read() -> tuple[Quote, ...]:
    source = Path(__file__).with_name("quotes.txt").read_text(encoding="utf-8")
    blocks = re.split(r"^==== ", source, flags=re.M)[1:]
    heads_and_texts = (block.partition("\n")[::2] for block in blocks)
    return tuple(Quote(*head.split(": ", 1), text.removesuffix("\n")) for head, text in heads_and_texts)


QUOTES = _read()
