"""Mails made to break a reader: each is read within bounds, kept, and says what was left out."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from triage import judge, read_mail, split_newest

_HEAD = b"From: a@b.example\nMessage-ID: <1@x>\n"
HOSTILE = {
    "nested multiparts": _HEAD
    + b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(10_000)),
    "nested mails": _HEAD + b"Content-Type: message/rfc822\n\n" * 30_000,
    "many parts": _HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nhi\n" * 50_000,
    "many headers": b"".join(b"X-%d: 1\n" % n for n in range(60_000)) + b"\nhi",
    "one long header": _HEAD + b"X: " + b"a" * 3_000_000 + b"\n\nhi",
    "many encoded words": b"Subject: " + b"=?utf-8?Q?a?= " * 50_000 + b"\n\nhi",
    "many addresses": b"To: " + b'"a, b" <x@y.example>, ' * 50_000 + b"\nFrom: " + b"(" * 50_000 + b"\n\nhi",
    "deep html": _HEAD + b"Content-Type: text/html\n\n" + b"<div>" * 50_000 + b"hi",
    "deep tables": _HEAD + b"Content-Type: text/html\n\n" + b"<table><tr><td>" * 10_000 + b"hi",
    "deep quotes": _HEAD + b"Content-Type: text/html\n\n" + b"<blockquote type=cite>" * 10_000 + b"hi",
    "big base64": _HEAD + b"Content-Transfer-Encoding: base64\n\n" + b"QUJD\n" * 2_000_000,
    "flowed": _HEAD + b"Content-Type: text/plain; format=flowed\n\n" + b"a \n" * 300_000,
    "many parameters": _HEAD + b"Content-Type: multipart/mixed; " + b"a*0=b; " * 6_000 + b"\n\nhi",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_mail_costs_bounded_time_and_memory(name: str) -> None:
    raw = HOSTILE[name]
    started = time.process_time()
    judge(read_mail(raw))
    assert time.process_time() - started < 5
    tracemalloc.start()
    read_mail(raw[:300_000])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6


@pytest.mark.parametrize(
    ("name", "defect"),
    [
        ("nested multiparts", "deeper"),
        ("nested mails", "deeper"),
        ("many parts", "more parts"),
        ("many headers", "headers beyond"),
        ("big base64", "beyond the size limit"),
    ],
)
def test_what_was_left_out_is_said(name: str, defect: str) -> None:
    assert any(defect in each for each in read_mail(HOSTILE[name]).defects)


@pytest.mark.parametrize(
    "body",
    [
        "On " + "a " * 200_000,
        ("On " + "a " * 200 + "\n") * 3_000,
        "Le 3 " * 100_000,
        ("De : x\n\n") * 3_000,
        "A> x\n" * 3_000,
        ("12:30 <a@b> " * 40 + "\n") * 2_000,
        "_" * 1_000_000,
    ],
)
def test_trimming_takes_bounded_time(body: str) -> None:
    started = time.process_time()
    split_newest(body)
    assert time.process_time() - started < 5
