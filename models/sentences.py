"""A message cut into sentences: a mail says several things, each of them short."""

from __future__ import annotations

import re

MOST_SENTENCES = 40  # a mail longer than this repeats itself
_BREAK = re.compile(r"(?<=[.!?…;])[\"»”')\]]*\s+(?=[^\W\d_]|[\"«“(¿¡\d])|\n+")
_LETTERS = re.compile(r"[^\W\d_]")


def split_sentences(text: str) -> tuple[str, ...]:
    """The sentences of `text` in order, at most 40; lines that a mail program wrapped are joined again."""
    lines = text.replace("\r\n", "\n").split("\n")
    joined = ""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        wrapped = len(line) > 55 and following[:1].islower()
        joined += line.rstrip() + (" " if wrapped else "\n")
    sentences = [part.strip() for part in _BREAK.split(joined) if part]
    return tuple(part for part in sentences if len(_LETTERS.findall(part)) >= 2)[:MOST_SENTENCES]
