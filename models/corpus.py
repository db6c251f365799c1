"""Readers of training and test text. Every path is passed in; nothing here knows where a shop keeps its files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

LANGUAGES = ("fr", "en", "de", "es", "it")
OUT_OF_SCOPE = "out_of_scope"
TALK_TO_HUMAN = "talk_to_human"


class CorpusError(ValueError):
    """A training file that cannot be read; the message names the file, the line and the remedy."""


@dataclass(frozen=True)
class Example:
    """One short text and what it means. `label` None is the null class: nothing that the labels stand for.

    `origin` says where a text that no file holds comes from.
    """

    text: str
    label: str | None
    language: str
    author: str = ""
    # Not in the `repr`, which data hashes are made of: where a text comes from changes nothing in what is learnt of it.
    origin: str = field(default="", repr=False)


@dataclass(frozen=True)
class MailExample:
    """One mail, its quoted history removed. `motives`: the first is the primary one. `origin`: as in `Example`."""

    subject: str
    body: str
    language: str
    motives: tuple[str, ...]
    wants_human: bool
    order_numbers: tuple[str, ...] = ()
    author: str = ""
    origin: str = field(default="", repr=False)


def read_nlu(folder: Path) -> tuple[Example, ...]:
    """Rasa NLU examples of `folder/<language>/*.yml`; the intent `out_of_scope` becomes the null class.

    An author may be named for one intent or for one example: `metadata: {author: c1}`. Entity marks
    (`[104871265](order_number)`) are read as plain text. Raises CorpusError.
    """
    examples: list[Example] = []
    for file in sorted(folder.glob("*/*.yml")):
        try:
            document = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise CorpusError(f"{file}: not valid YAML ({error}); compare it with the other NLU files") from error
        for block in document.get("nlu", []):
            if "intent" in block:
                examples += _intent_examples(block, file)
    return tuple(examples)


def _intent_examples(block: dict[str, Any], file: Path) -> Iterable[Example]:
    intent = str(block["intent"]).split("/")[0]
    label = None if intent == OUT_OF_SCOPE else intent
    block_author = _author(block)
    listed = block.get("examples")
    if isinstance(listed, str):
        rows: list[tuple[str, str]] = [
            (line.strip()[1:].strip(), block_author) for line in listed.splitlines() if line.strip().startswith("-")
        ]
    elif isinstance(listed, list):
        rows = [(str(row["text"]).strip(), _author(row) or block_author) for row in listed]
    else:
        raise CorpusError(f'{file}: intent "{intent}" has no examples; add them below `examples: |`, one a line')
    return [Example(_plain(text), label, file.parent.name, author) for text, author in rows if text]


def _author(block: dict[str, Any]) -> str:
    metadata = block.get("metadata")
    return str(metadata.get("author", "")) if isinstance(metadata, dict) else ""


def _plain(text: str) -> str:
    """Rasa's entity marks removed: `[104871265](order_number)` and `[x]{"entity": ...}` leave what is in the brackets."""
    plain, position = "", 0
    while (start := text.find("[", position)) >= 0:
        end = text.find("]", start)
        follows = text[end + 1 : end + 2] if end >= 0 else ""
        closes = text.find({"(": ")", "{": "}"}.get(follows, "\0"), end + 2) if follows in ("(", "{") else -1
        if closes < 0:
            plain, position = plain + text[position : start + 1], start + 1
        else:
            plain, position = plain + text[position:start] + text[start + 1 : end], closes + 1
    return plain + text[position:]


def read_mails(folder: Path, newest: Callable[[str], str] = str) -> tuple[MailExample, ...]:
    """Mails of `folder/<language>/*.jsonl`. `newest` cuts quoted history off a body, as the reader of real mail does.

    Raises CorpusError.
    """
    return tuple(
        mail for file in sorted(folder.glob("*/*.jsonl")) for mail in read_mail_file(file, newest, file.parent.name)
    )


def read_mail_file(file: Path, newest: Callable[[str], str] = str, language: str = "") -> tuple[MailExample, ...]:
    """Mails of one file, a JSON object a line: subject, body, language, motives, wants_human, order_numbers."""
    return tuple(
        MailExample(
            subject=row.get("subject", ""),
            body=newest(row["body"]),
            language=row.get("language", language),
            motives=tuple(row["motives"]),
            wants_human=bool(row.get("wants_human", False)),
            order_numbers=tuple(row.get("order_numbers", ())),
            author=row.get("author", ""),
        )
        for row in read_json_lines(file, ("body", "motives"))
    )


def read_questions(file: Path) -> tuple[Example, ...]:
    """Frozen FAQ questions, a JSON object a line: text, language, slug (null when no entry answers)."""
    return tuple(
        Example(row["text"], row["slug"], row["language"], row.get("author", ""))
        for row in read_json_lines(file, ("text", "language", "slug"))
    )


def read_chat_turns(file: Path) -> tuple[Example, ...]:
    """Frozen chat turns, a JSON object a line: text, language, intent (`out_of_scope` becomes the null class)."""
    return tuple(
        Example(
            row["text"],
            None if row["intent"] == OUT_OF_SCOPE else row["intent"],
            row["language"],
            row.get("author", ""),
        )
        for row in read_json_lines(file, ("text", "language", "intent"))
    )


def read_out_of_scope(folder: Path) -> tuple[Example, ...]:
    """Questions outside any shop's scope: `folder/<language>/*.txt` or `folder/<language>.txt`, one a line, `#` comments."""
    return tuple(
        Example(line.strip(), None, file.stem if file.parent == folder else file.parent.name, file.stem)
        for file in sorted([*folder.glob("*.txt"), *folder.glob("*/*.txt")])
        for line in read_text(file).split("\n")
        if line.strip() and not line.startswith("#")
    )


def read_text(file: Path) -> str:
    """The text of a UTF-8 file; raises CorpusError naming it when it is none."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{file}: not UTF-8 (byte {error.start}); save it in UTF-8") from error


def read_json_lines(file: Path, required: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file; raises CorpusError naming file and line when one is broken or lacks a key."""
    rows = []
    # Only a line feed ends a line: JSON may hold other separators as they are.
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(f"{file}:{number}: not JSON ({error}); write one object a line") from error
        missing = [key for key in required if not isinstance(row, dict) or key not in row]
        if missing:
            raise CorpusError(f'{file}:{number}: "{missing[0]}" is missing; add it to the object')
        rows.append(row)
    return rows
