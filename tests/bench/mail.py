"""Figures of the mail room on the public corpus: `python -m tests.bench.mail [FOLDER]` prints them as Markdown tables.

FOLDER holds `manifest.jsonl` and the mails (default: `mail` in ../shared/data beside the checkout, or in the folder that
COMPTOIR_PUBLIC_DATA names). Every method reads the same mails in one run. The other libraries come from `.venv-bench`: run `make
bench-libraries` first. Which of them are missing is said above the tables.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import tracemalloc
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import other_libraries
from tests.bench.other_libraries import Reader, Trimmer
from tests.triage.quotes import QUOTES
from triage import judge, read_mail, split_newest
from triage.html_text import html_to_text

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_FOLDER = Path(os.environ.get("COMPTOIR_PUBLIC_DATA", ROOT.parent / "shared" / "data")) / "mail"
MACHINE_SOURCES = {"bounce_email", "sisimai_bounces"}
MACHINE_TAGS = {"bounce", "auto_generated", "auto_reply", "feedback_report"}
LANGUAGES = ("fr", "en", "de", "es", "it")


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


def ours(raw: bytes) -> tuple[str, str]:
    mail = read_mail(raw)
    return mail.subject, mail.full_text


READERS: dict[str, Reader] = {"Comptoir": ours, **other_libraries.READERS}


@dataclass
class Reading:
    """What one reader makes of some mails. `stated` is of how many subjects upstream states what they are."""

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


def _with_signature(text: str) -> str:
    newest = split_newest(text)
    return f"{newest.text}\n{newest.signature}"


OURS = ("Comptoir, text", "Comptoir, text and signature")
TRIMMERS: dict[str, Trimmer] = {
    "nothing cut": lambda text: text,
    **other_libraries.TRIMMERS,
    OURS[0]: lambda text: split_newest(text).text,
    OURS[1]: _with_signature,
}


@dataclass(frozen=True)
class Reply:
    """A whole body and what of it is new. `language` is that of the lines around the quote, "other" when it is none of ours."""

    source: str
    language: str
    text: str
    expected: str


def replies(corpus: list[RawMail]) -> Iterator[Reply]:
    """Every plain reply whose upstream states what is new."""
    for mail in corpus:
        expected = mail.expected.get("reply_text", mail.expected.get("first_fragment_trimmed"))
        if expected is not None:
            text = read_mail(mail.raw).full_text if mail.kind == "rfc822" else mail.raw.decode("utf-8", "replace")
            yield Reply(mail.source, language_of_quote(mail.file, text), text, expected)


_OTHER_LANGUAGES = re.compile(r"chinese|dutch|polish|norwegian|finnish|portuguese")
_QUOTE_WORDS = {
    "fr": r"a [ée]crit|message d'origine|^\W*envoy[ée](?: le)?\s?:|^\W*objet\s?:",
    "de": r"schrieb|urspr[üu]ngliche|^\W*gesendet:|^\W*betreff:",
    "es": r"escribi[óo]|mensaje original|^\W*enviado(?: el)?:|^\W*asunto:",
    "it": r"ha scritto|messaggio originale|^\W*inviato:|^\W*oggetto:",
}


def language_of_quote(file: str, text: str) -> str:
    """The language of the words by which a quote is known: what upstream calls the file, then the words themselves."""
    if _OTHER_LANGUAGES.search(file):
        return "other"
    for language, words in _QUOTE_WORDS.items():
        if re.search(words, text, re.I | re.M):
            return language
    return "en"


def own_replies(bodies: int = 40) -> Iterator[Reply]:
    """Mails of our own, written by hand for training, above the quote of each mail program of `quotes.txt`; those that
    have anything like a quote or a delimited signature of their own are passed over."""
    for language in LANGUAGES:
        lines = [
            line
            for file in sorted((ROOT / "triage" / "data" / language).glob("*.jsonl"))
            for line in file.read_text(encoding="utf-8").splitlines()
        ]
        every = [json.loads(line)["body"].strip() for line in lines]
        clean = [body for body in every if body and not looks_quoted(body)]
        for quote in QUOTES:
            if quote.language == language:
                for body in clean[:: max(1, len(clean) // bodies)][:bodies]:
                    yield Reply("own mails", language, f"{body}\n\n{quote.text}\n", body)


_LIKE_A_QUOTE = re.compile(
    r"^\s*(?:[>|]|[A-Z]{1,3}>|[-_=*~–—]{2,})|"
    r"^\W*(?:from|to|sent|date|subject|cc|de|[àa]|envoy|objet|message|von|an|gesendet|datum|betreff|para|enviad|fecha|asunto|da|"
    r"inviato|data|oggetto)[^:\n]{0,20}:|"
    r"wrote|writes|said|[ée]crit|schrieb|geschrieben|escribi|scritto|skrev|schreef|napisa|kirjoitti|escreveu|写道|пишет|"
    r"original|forward|transf[ée]r|weitergeleitet|reenviad|inoltrat|origine|urspr",
    re.I | re.M,
)
"""Wider than any rule of the product: what a quote could begin with."""


def looks_quoted(text: str) -> bool:
    return _LIKE_A_QUOTE.search(text) is not None


@dataclass
class Score:
    """Exact matches and token F1 of some replies; white space does not count."""

    exact: list[bool] = field(default_factory=list)
    f1: list[float] = field(default_factory=list)

    def add(self, got: str, expected: str) -> None:
        self.exact.append(got.split() == expected.split())
        self.f1.append(token_f1(got, expected))

    @property
    def figures(self) -> tuple[float, float, int]:
        """Share of exact matches, mean F1, number."""
        return sum(self.exact) / len(self.exact), sum(self.f1) / len(self.f1), len(self.f1)


Figures = Mapping[str, tuple[float, float, int]]


def measure_replies(found: Iterable[Reply], trimmer: Trimmer, *, by: Callable[[Reply], str]) -> Figures:
    """The figures of a method by corpus or language, and over all."""
    scores: defaultdict[str, Score] = defaultdict(Score)
    for reply in found:
        got = trimmer(reply.text)
        for column in (by(reply), "all"):
            scores[column].add(got, reply.expected)
    return {column: score.figures for column, score in scores.items()}


def measure_newest(corpus: list[RawMail], trimmer: Trimmer) -> Figures:
    """By corpus and over all."""
    return measure_replies(replies(corpus), trimmer, by=lambda reply: reply.source)


def shortfalls(rows: Mapping[str, Figures]) -> list[str]:
    """Where Comptoir is behind a library: each by its better variant, since corpora disagree on whether a signature belongs
    to the reply."""
    libraries = [name for name in rows if name not in (*OURS, "nothing cut")]
    return [
        f"{column}: {measure} {max(rows[name][column][index] for name in OURS):.3f}, {library} {theirs:.3f}"
        for column in next(iter(rows.values()))
        for index, measure in enumerate(("exact", "F1"))
        for library in libraries
        if (theirs := rows[library][column][index]) > max(rows[name][column][index] for name in OURS) + 1e-9
    ]


def left_whole(texts: Iterable[str], trimmer: Trimmer) -> tuple[int, int]:
    """Of mails without a quote, how many a method leaves as they are, and how many words it takes from all of them."""
    whole = taken = 0
    for text in texts:
        lost = (Counter(text.split()) - Counter(trimmer(text).split())).total()
        whole += not lost
        taken += lost
    return whole, taken


def unquoted(corpus: list[RawMail]) -> list[str]:
    """The texts of the corpus and our own training mails in which nothing looks like a quote."""
    texts = [read_mail(mail.raw).full_text for mail in corpus if mail.kind == "rfc822"]
    for file in sorted((ROOT / "triage" / "data").glob("*/*.jsonl")):
        texts += [json.loads(line)["body"] for line in file.read_text(encoding="utf-8").splitlines()]
    return [text for text in texts if text.strip() and not looks_quoted(text)]


def html_replies(corpus: list[RawMail]) -> dict[str, int]:
    """How many HTML replies each method trims exactly, and under "all" how many there are."""
    right = dict.fromkeys(("Comptoir", *other_libraries.HTML_TRIMMERS), 0)
    total = 0
    for mail in corpus:
        expected = mail.expected.get("reply_text_nospace")
        if expected is None:
            continue
        source = mail.raw.decode("utf-8", "replace")
        total += 1
        right["Comptoir"] += _squeezed(split_newest(html_to_text(source)).text) == _squeezed(expected)
        for name, trimmer in other_libraries.HTML_TRIMMERS.items():
            # Whichever way from HTML to text suits the library better.
            texts = (make_text(trimmer(source)) for make_text in (html_to_text, other_libraries.text_between_tags))
            right[name] += any(_squeezed(text) == _squeezed(expected) for text in texts)
    return {**right, "all": total}


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


def print_table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> None:
    head = list(head)
    print("| " + " | ".join(map(str, head)) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")


def print_reading(corpus: list[RawMail]) -> None:
    print(f"\n## Reading {len(corpus)} files\n")
    rows = []
    for name, reader in READERS.items():
        row = measure_reading(corpus, reader)
        speed, peak = f"{row.mails / row.seconds:.0f}", f"{peak_memory(corpus, reader):.0f}"
        share = f"{row.found / row.mails:.1%}"
        rows.append((name, row.exceptions, share, f"{row.subjects}/{row.stated}", row.replaced, speed, peak))
    head = ("reader", "exceptions", "text found", "subject right", "bodies with U+FFFD", "mails a second", "peak MB")
    print_table(head, rows)
    print("\n## By source: texts found / exceptions / bodies with U+FFFD, and subjects right where they are stated\n")
    sources = sorted({mail.source for mail in corpus})
    parts = [(source, [mail for mail in corpus if mail.source == source]) for source in sources]
    parts.append(("all that are mails", [mail for mail in corpus if mail.kind == "rfc822"]))
    parts.append(("all", corpus))
    table = []
    for source, mails in parts:
        found = [measure_reading(mails, reader) for reader in READERS.values()]
        stated = found[0].stated
        cells = [
            f"{each.found} / {each.exceptions} / {each.replaced}" + (f"; {each.subjects}" if stated else "")
            for each in found
        ]
        table.append((f"{source} ({len(mails)}" + (f"; {stated})" if stated else ")"), *cells))
    print_table(("source (files; subjects stated)", *READERS), table)


def print_figures(title: str, found: list[Reply], by: Callable[[Reply], str]) -> None:
    rows = {name: measure_replies(found, trimmer, by=by) for name, trimmer in TRIMMERS.items()}
    columns = sorted(next(iter(rows.values())))
    print(f"\n## {title} (exact / token F1)\n")
    counts = rows["nothing cut"]
    print_table(
        ("method", *(f"{column} ({counts[column][2]})" for column in columns)),
        [(name, *(f"{row[each][0]:.2f} / {row[each][1]:.2f}" for each in columns)) for name, row in rows.items()],
    )
    behind = shortfalls(rows)
    print("\nComptoir is " + (f"behind in {'; '.join(behind)}." if behind else "nowhere behind the best library."))


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_FOLDER
    if not (folder / "manifest.jsonl").is_file():
        raise SystemExit(
            f"{folder}: no manifest.jsonl; give the folder of the mail corpus: python -m tests.bench.mail FOLDER"
        )
    corpus = read_corpus(folder)
    if other_libraries.MISSING:
        print(
            f"\n**NOT MEASURED, because not installed: {', '.join(other_libraries.MISSING)}.** Run `make bench-libraries`."
        )
    print_reading(corpus)
    public = list(replies(corpus))
    print_figures("Newest text of a reply, by corpus", public, lambda reply: reply.source)
    print_figures("Newest text of a reply, by the language of the quote", public, lambda reply: reply.language)
    print_figures(
        "Our own mails above the quotes of the usual mail programs", list(own_replies()), lambda reply: reply.language
    )
    html = html_replies(corpus)
    print("\n## HTML replies trimmed exactly\n")
    print_table(("method", f"of {html['all']}"), [(name, right) for name, right in html.items() if name != "all"])
    texts = unquoted(corpus)
    print("\n## Mails without a quote\n")
    print_table(
        ("method", f"left whole, of {len(texts)}", "words taken away"),
        [(name, *left_whole(texts, trimmer)) for name, trimmer in TRIMMERS.items()],
    )
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
