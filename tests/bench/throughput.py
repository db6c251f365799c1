"""Mails a second through read, sort and decide: `python -m tests.bench.throughput [--mails 20000] [CORPUS]`, as Markdown.

First every mail once, on one core, with the trained models, in the groups in which the worker reads mails that wait, beside
one by one, the bare standard library and the encoder alone on the same mails in the same run: the customers' mails that the
models were trained on (`triage/data`), and the public corpus, whose mails are longer. Then as many of both as asked for
(100,000: about half an hour), each with a text of its own, and the resident memory at each mark: a cache that grows with the
mails would be seen.
"""

from __future__ import annotations

import argparse
import email
import email.policy
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from email.message import Message
from email.policy import Policy as ParserPolicy
from pathlib import Path
from unittest.mock import patch

import numpy as np
import psutil

import models
from models.encoder import Vectors
from tests.bench.mail import DEFAULT_FOLDER, read_corpus
from triage import MAILS_TOGETHER, Mail, Sorting, decide, read_mail, sort, sort_all

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "models" / "artifacts"
MAILS = ROOT / "triage" / "data"
MARKS = (1_000, 5_000, 20_000, 100_000)


class Watched:
    """Stands in for an encoder's `encode`: remembers what it was asked and how long it took."""

    def __init__(self, encoder: models.Encoder) -> None:
        self.asked: list[list[str]] = []
        self.seconds = 0.0
        self._encode = encoder.encode

    def __call__(self, texts: Sequence[str]) -> Vectors:
        started = time.process_time()
        vectors = self._encode(texts)
        self.seconds += time.process_time() - started
        self.asked.append(list(texts))
        return vectors


def seconds_of(run: Callable[[], object]) -> float:
    started = time.process_time()
    run()
    return time.process_time() - started


def groups(mails: Sequence[Mail]) -> Iterator[Sequence[Mail]]:
    return (mails[start : start + MAILS_TOGETHER] for start in range(0, len(mails), MAILS_TOGETHER))


def parse_all(raws: Sequence[bytes], policy: ParserPolicy[Message]) -> None:
    """What a program does at the least: parse each mail, and ask for its subject and its texts."""
    for raw in raws:
        try:
            message = email.message_from_bytes(raw, policy=policy)
            str(message["subject"])
            for part in message.walk():
                if part.get_content_maintype() == "text":
                    part.get_payload(decode=True)
        except Exception:
            continue  # the standard library raises on some of these mails


def speed(name: str, raws: Sequence[bytes], encoder: models.Encoder, understanding: models.Understanding) -> None:
    watched = Watched(encoder)
    mails: list[Mail] = []
    reading = seconds_of(lambda: mails.extend(read_mail(raw) for raw in raws))
    for some in groups(mails):  # the caches of words and word pieces are as full for the first way as for the second
        sort_all(some, understanding)
    encoder._cache.clear()  # sentences are read anew
    each: list[float] = []
    for mail in mails:
        started = time.process_time()
        sort(mail, understanding)
        each.append(time.process_time() - started)
    encoder._cache.clear()
    sortings: list[Sorting] = []
    with patch.object(encoder, "encode", watched):
        sorting_all = seconds_of(
            lambda: sortings.extend(each for some in groups(mails) for each in sort_all(some, understanding))
        )
    encoding, asked = watched.seconds, watched.asked
    deciding = seconds_of(lambda: [decide(mail, sorting) for mail, sorting in zip(mails, sortings, strict=True)])
    whole = reading + sorting_all + deciding
    longest = sorted(zip(each, mails, strict=True), key=lambda pair: -pair[0])
    rows = {
        f"read, sort, decide, {MAILS_TOGETHER} mails together": whole,
        "- read (triage)": reading,
        "- sort: the encoder (models)": encoding,
        "- sort: the rest (models: language, entities, heads)": sorting_all - encoding,
        "- decide (triage)": deciding,
        "read, sort, decide, one by one": reading + sum(each) + deciding,
        "stdlib parse, policy.default": seconds_of(lambda: parse_all(raws, email.policy.default)),
        "stdlib parse, compat32": seconds_of(lambda: parse_all(raws, email.policy.compat32)),
    }
    print(f"\n{name}: {len(raws)} mails of {sum(map(len, raws)) / 1e6:.1f} MB; CPU time of one core.\n")
    print("| | mails/s | ms a mail | of the whole |\n|---|---|---|---|")
    for step, seconds in rows.items():
        print(f"| {step} | {len(raws) / seconds:.0f} | {1000 * seconds / len(raws):.2f} | {seconds / whole:.1%} |")
    texts = [text for request in asked for text in request]
    print(
        f"\nThe encoder was asked {len(asked) / len(raws):.1f} times a mail for {len(texts) / len(raws):.1f} texts of "
        f"{statistics.mean(map(len, texts)):.0f} characters. Sorting one mail: p50 {1000 * np.percentile(each, 50):.0f} ms, "
        f"p95 {1000 * np.percentile(each, 95):.0f} ms, longest {1000 * longest[0][0]:.0f} ms "
        f"({len(longest[0][1].text)} characters)."
    )


def memory(raws: Sequence[bytes], count: int, understanding: models.Understanding) -> None:
    process = psutil.Process()
    print("\n| mails | resident MB | mails/s so far |\n|---|---|---|")
    started = time.process_time()
    marks = sorted({mark for mark in MARKS if mark < count} | {count})
    waiting: list[Mail] = []
    for number in range(1, count + 1):
        subject = f"Subject: {number} demande\n".encode()  # a text that no cache has seen
        waiting.append(read_mail(subject + raws[number % len(raws)]))
        marked = number in marks or number == 100
        if len(waiting) == MAILS_TOGETHER or marked:
            for mail, sorting in zip(waiting, sort_all(waiting, understanding), strict=True):
                decide(mail, sorting)
            waiting.clear()
        if marked:
            seconds = time.process_time() - started
            print(f"| {number} | {process.memory_info().rss / 1e6:.0f} | {number / seconds:.0f} |", flush=True)


def customers_mails() -> list[bytes]:
    rows = [
        json.loads(line) for file in sorted(MAILS.glob("*/*.jsonl")) for line in file.read_text("utf-8").splitlines()
    ]
    head = "From: Client <client@client.example>\nTo: contact@shop.example\nContent-Type: text/plain; charset=utf-8\n"
    return [f"{head}Subject: {row['subject']}\n\n{row['body']}".encode() for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description="Mails a second on one core, and memory over many mails.")
    parser.add_argument("corpus", nargs="?", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--mails", type=int, default=20_000, help="how many to run for the memory table; 0 for none")
    given = parser.parse_args()
    encoder = models.load_encoder()
    understanding = models.load_understanding(ARTIFACTS, encoder)
    public = [mail.raw for mail in read_corpus(given.corpus) if mail.kind == "rfc822"]
    own = customers_mails()
    for raw in own[-20:]:  # what is loaded on first use is no mail's fault
        warm = read_mail(raw)
        decide(warm, sort(warm, understanding))
    speed("Customers' mails", own[:-20:3], encoder, understanding)
    speed("Public corpus", public, encoder, understanding)
    if given.mails:
        memory([*own, *public], given.mails, understanding)


if __name__ == "__main__":
    main()
