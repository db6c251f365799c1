"""Figures of the mail room on the public corpus: `python -m tests.bench.mail [FOLDER]` prints them as Markdown tables.

FOLDER holds `manifest.jsonl` and the mails (default: ../shared/data/mail beside the checkout). Every method reads the
same mails in one run.
"""

from __future__ import annotations

import email
import email.header
import email.policy
import json
import re
import sys
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage, Message
from functools import cache
from pathlib import Path
from typing import Any

import quotequail
from mailparser_reply import EmailReplyParser

from triage import judge, read_mail, split_newest
from triage.html_text import html_to_text

DEFAULT_FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "mail"
MACHINE_SOURCES = {"bounce_email", "sisimai_bounces"}
MACHINE_TAGS = {"bounce", "auto_generated", "auto_reply", "feedback_report"}


@dataclass(frozen=True)
class RawMail:
    """One file of the corpus and what its upstream states about it."""

    file: str
    source: str
    kind: str
    tags: frozenset[str]
    expected: dict[str, Any]
    raw: bytes

    @property
    def subject(self) -> str | None:
        stated = self.expected.get("subject")
        return stated["Text"] if isinstance(stated, dict) else stated


def read_corpus(folder: Path) -> list[RawMail]:
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        RawMail(
            row["file"],
            row["source"],
            row["kind"],
            frozenset(row["tags"]),
            row["expected"] or {},
            (folder / row["file"]).read_bytes(),
        )
        for row in rows
    ]


# Reading -------------------------------------------------------------------------------------------------------------

Reader = Callable[[bytes], tuple[str, str]]  # raw -> subject, text


def ours(raw: bytes) -> tuple[str, str]:
    mail = read_mail(raw)
    return mail.subject, mail.full_text


def stdlib_default(raw: bytes) -> tuple[str, str]:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain", "html"))
    return str(message["subject"] or ""), body.get_content() if body is not None else ""


def stdlib_compat32(raw: bytes) -> tuple[str, str]:
    message: Message = email.message_from_bytes(raw)
    subject = str(email.header.make_header(email.header.decode_header(message.get("subject", ""))))
    texts = []
    for part in message.walk():
        if part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment":
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            texts.append(payload.decode(part.get_content_charset("utf-8"), "replace"))
    return subject, "\n".join(texts)


READERS: dict[str, Reader] = {
    "stdlib, policy.default": stdlib_default,
    "stdlib, compat32 and a walk": stdlib_compat32,
    "Comptoir": ours,
}


@dataclass
class Reading:
    mails: int = 0
    exceptions: int = 0
    found: int = 0
    subjects: int = 0
    stated: int = 0
    replaced: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0


def measure_reading(corpus: list[RawMail], reader: Reader) -> Reading:
    """All files of the corpus, mails or not."""
    result = Reading(mails=len(corpus), stated=sum(mail.subject is not None for mail in corpus))
    started = time.perf_counter()
    for mail in corpus:
        try:
            subject, text = reader(mail.raw)
        except Exception:
            result.exceptions += 1
            continue
        result.found += bool(text.strip())
        result.replaced += "\ufffd" in text
        result.subjects += mail.subject is not None and " ".join(subject.split()) == " ".join(mail.subject.split())
    result.seconds = time.perf_counter() - started
    return result


def peak_memory(corpus: list[RawMail], reader: Reader) -> float:
    """Peak of the memory that reading takes, in MB; measured apart because watching slows it down."""
    tracemalloc.start()
    for mail in corpus:
        try:
            reader(mail.raw)
        except Exception:
            continue
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


# Newest text ---------------------------------------------------------------------------------------------------------

Trimmer = Callable[[str], str]


@cache
def _reply_parser() -> EmailReplyParser:
    return EmailReplyParser(languages=["fr", "en", "de", "es", "it"])


def _with_signature(text: str) -> str:
    newest = split_newest(text)
    return f"{newest.text}\n{newest.signature}"


TRIMMERS: dict[str, Trimmer] = {
    "nothing cut": lambda text: text,
    "quotequail": lambda text: quotequail.quote(text, quote_intro_line=True)[0][1],
    "mail-parser-reply, body": lambda text: _reply_parser().read(text).replies[0].body,
    "mail-parser-reply, full body": lambda text: _reply_parser().read(text).replies[0].full_body,
    "Comptoir, text": lambda text: split_newest(text).text,
    "Comptoir, text and signature": _with_signature,
}


def replies(corpus: list[RawMail]) -> Iterator[tuple[str, str, str]]:
    """(corpus, whole text, expected newest text) of every plain reply whose upstream states it."""
    for mail in corpus:
        expected = mail.expected.get("reply_text", mail.expected.get("first_fragment_trimmed"))
        if expected is not None:
            text = read_mail(mail.raw).full_text if mail.kind == "rfc822" else mail.raw.decode("utf-8", "replace")
            yield mail.source, text, expected


def measure_newest(corpus: list[RawMail], trimmer: Trimmer) -> dict[str, tuple[float, float, int]]:
    """Per corpus and over all: exact match, token F1, number; white space does not count."""
    scores: dict[str, list[tuple[bool, float]]] = defaultdict(list)
    for source, text, expected in replies(corpus):
        got = trimmer(text)
        score = (got.split() == expected.split(), token_f1(got, expected))
        scores[source].append(score)
        scores["all"].append(score)
    return {
        source: (sum(a for a, _ in rows) / len(rows), sum(b for _, b in rows) / len(rows), len(rows))
        for source, rows in scores.items()
    }


def html_replies(corpus: list[RawMail]) -> tuple[int, int, int]:
    """HTML replies trimmed exactly: by Comptoir, by quotequail, of how many."""
    mine = theirs = total = 0
    for mail in corpus:
        expected = mail.expected.get("reply_text_nospace")
        if expected is None:
            continue
        source = mail.raw.decode("utf-8", "replace")
        total += 1
        mine += _squeezed(split_newest(html_to_text(source)).text) == _squeezed(expected)
        kept = quotequail.quote_html(source, quote_intro_line=True)[0][1]
        theirs += _squeezed(html_to_text(kept)) == _squeezed(expected)
    return mine, theirs, total


def token_f1(got: str, expected: str) -> float:
    ours_, theirs = Counter(got.split()), Counter(expected.split())
    if not ours_ and not theirs:
        return 1.0
    return 2 * (ours_ & theirs).total() / (ours_.total() + theirs.total())


def _squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


# Machine mail --------------------------------------------------------------------------------------------------------


def is_machine(mail: RawMail) -> bool:
    """Whether upstream says that a machine sent it."""
    return mail.kind == "rfc822" and mail.source in MACHINE_SOURCES and "not_bounce" not in mail.tags


def is_human(mail: RawMail) -> bool:
    """Whether upstream gives no sign of a machine, and the mail is addressed like a person's: from somebody, no list."""
    if mail.kind != "rfc822" or mail.source in MACHINE_SOURCES or mail.tags & (MACHINE_TAGS | {"spam"}):
        return False
    read = read_mail(mail.raw)
    listed = any(name.startswith("list-") or name in {"precedence", "mailing-list"} for name in read.headers)
    machine = re.search(
        r"report|delivery|disposition|no-?reply|daemon|postmaster",
        f"{read.header('content-type')} {read.from_name} {read.from_address}",
        re.I,
    )
    return bool(read.from_address) and not listed and not machine


def by_headers_only(raw: bytes) -> bool:
    """What most help desks look at."""
    mail = read_mail(raw)
    return (
        mail.header("auto-submitted").lower() not in {"", "no"}
        or mail.header("precedence").lower() in {"bulk", "junk", "list", "auto_reply"}
        or any(mail.header(name) for name in ("x-autoreply", "x-autorespond", "x-auto-response-suppress"))
    )


@dataclass(frozen=True)
class MachineFigures:
    machine: int
    ignored: int
    never_answered: int
    headers_only: int
    human: int
    false_ignored: int
    false_withheld: int


def measure_machine(corpus: list[RawMail]) -> MachineFigures:
    machine = [(mail, judge(read_mail(mail.raw))) for mail in corpus if is_machine(mail)]
    human = [judge(read_mail(mail.raw)) for mail in corpus if is_human(mail)]
    return MachineFigures(
        machine=len(machine),
        ignored=sum(verdict.is_machine for _, verdict in machine),
        never_answered=sum(not verdict.may_be_answered for _, verdict in machine),
        headers_only=sum(by_headers_only(mail.raw) for mail, _ in machine),
        human=len(human),
        false_ignored=sum(verdict.is_machine for verdict in human),
        false_withheld=sum(not verdict.may_be_answered for verdict in human),
    )


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER
    if not (folder / "manifest.jsonl").is_file():
        raise SystemExit(
            f"{folder}: no manifest.jsonl; give the folder of the mail corpus: python -m tests.bench.mail FOLDER"
        )
    corpus = read_corpus(folder)
    print(f"\n## Reading {len(corpus)} files\n")
    print("| reader | exceptions | text found | subject right | bodies with U+FFFD | mails a second | peak MB |")
    print("|---|---|---|---|---|---|---|")
    for name, reader in READERS.items():
        row = measure_reading(corpus, reader)
        print(
            f"| {name} | {row.exceptions} | {row.found / row.mails:.1%} | {row.subjects}/{row.stated} | {row.replaced} "
            f"| {row.mails / row.seconds:.0f} | {peak_memory(corpus, reader):.0f} |"
        )
    rows = {name: measure_newest(corpus, trimmer) for name, trimmer in TRIMMERS.items()}
    sources = sorted(next(iter(rows.values())))
    print("\n## Newest text of a reply (exact / token F1)\n")
    print("| method | " + " | ".join(f"{source} ({rows['nothing cut'][source][2]})" for source in sources) + " |")
    print("|---" * (len(sources) + 1) + "|")
    for name, scores in rows.items():
        print(
            f"| {name} | "
            + " | ".join(f"{scores[source][0]:.2f} / {scores[source][1]:.2f}" for source in sources)
            + " |"
        )
    mine, theirs, total = html_replies(corpus)
    print(f"\nHTML replies exact: Comptoir {mine}, quotequail {theirs}, of {total}.")
    figures = measure_machine(corpus)
    print("\n## Machine mail\n")
    print(f"| of {figures.machine} machine mails | never answered | put before nobody |\n|---|---|---|")
    print(f"| headers only | {figures.headers_only} | - |")
    print(f"| Comptoir | {figures.never_answered} | {figures.ignored} |")
    print(
        f"\nFalse alarms on {figures.human} human mails: {figures.false_ignored} ignored, {figures.false_withheld} withheld."
    )


if __name__ == "__main__":
    main()
