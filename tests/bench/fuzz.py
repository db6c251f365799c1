"""Broken mails without end: `python -m tests.bench.fuzz [--minutes 10] [--seed 1] [--keep FOLDER] [MAILS]`.

Mails of the public corpus (../shared/data/mail beside the checkout, or MAILS) and mails made here are mutated and go
through reading, trimming, the machine rules, deciding, drafting and composing. What raises, breaks a promise of `Mail` or
takes too long is printed with its number (seed and number make the same mail again), kept in FOLDER, and ends in exit code 1.
"""

from __future__ import annotations

import argparse
import base64
import json
import struct
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from random import Random

from tests.bench.mail import DEFAULT_FOLDER
from tests.triage.reader import Reader
from triage import OurSide, compose, draft_reply, read_attachments, read_delivery, split_newest, triage

MAX_SECONDS = 3.0
MAX_BYTES = 200_000
_NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
_OURS = OurSide(frozenset({"contact@shop.example"}), "mx.shop.example")

_WRITTEN = {
    "message-id", "in-reply-to", "references", "from", "to", "subject", "date", "mime-version", "content-type",
    "content-language",
}  # fmt: skip
_HEADERS = [
    b"From: Jean <jean@client.example>", b"From: (((", b"From: =?utf-8?Q?=22a=40b=22?= <a@b>, c", b"From: <>",
    b"From: a@b@c <d@e>", b"To: contact@shop.example", b"To: undisclosed:;", b"Cc: \"a, b\" <",
    b"Reply-To: contact@shop.example", b"Sender: x", b"Subject: =?utf-8?B?w6k=?= =?utf-8?B?w6g=?=",
    b"Subject: =?x?Q?=FF=00?=", b"Subject: Re: AW: R\xe9f : colis", b"Subject:", b"Subject: a\r\n Bcc: x@y",
    b"Date: Mon, 2 Mar 2026 10:12:00 +9999", b"Date: 0 0 0 0:0:0 -0000", b"Date: Mon, 32 Feb 99999999999",
    b"Message-ID: <a@b>", b"Message-ID: <<\x00>>", b"Message-ID: a b", b"In-Reply-To: <x> <y",
    b"References: <a@b> <c@d>\r\n <e@f>", b"Return-Path: <>", b"Return-Path: x", b"Auto-Submitted: auto-replied",
    b"Precedence: ;", b"List-Id: <\xff>", b"Received: " + b"x" * 50,
    b"Authentication-Results: mx.shop.example; dmarc=pass header.from=", b"Authentication-Results: ;;;=", b"X-Loop: 1",
    b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: multipart/alternative; boundary=\"b\"",
    b"Content-Type: multipart/report; boundary=b", b"Content-Type: message/rfc822",
    b"Content-Type: message/delivery-status", b"Content-Type: text/html; charset=utf-7",
    b"Content-Type: text/plain; charset*0*=utf-8''%C3; charset*1=x",
    b"Content-Type: text/plain; charset=utf-16; format=flowed; delsp=yes",
    b"Content-Type: application/ms-tnef; name=winmail.dat", b"Content-Type: text/rtf", b"Content-Type: ;;;",
    b"Content-Type: text/calendar", b"Content-Transfer-Encoding: base64",
    b"Content-Transfer-Encoding: quoted-printable", b"Content-Transfer-Encoding: x-uuencode",
    b"Content-Disposition: attachment; filename*=iso-8859-1'fr'%E9",
    b"Content-Disposition: inline; filename=\"a\\\"b\x00/../c\"",
    b"Content-Disposition: attachment; filename*9999999999=a; filename*0*=''%ff", b"no header", b" folded", b"From x 1",
    b">From y", b"",
]  # fmt: skip
_LINES = [
    b"--b", b"--b--", b"", b"", b"Bonjour, o\xc3\xb9 est mon colis ?", b"\xe9\xe8\x80\xff", b"> cit\xc3\xa9", b">> > |",
    b"-- ", b"________", b"Le 3 mars 2026 \xc3\xa0 10:12, Jean <jean@x.example> a \xc3\xa9crit :",
    b"On Mon, Mar 2, 2026 at 10:12 AM A <a@b>", b"wrote:", b"De : a@b", b"Envoy\xc3\xa9 : lundi", b"\xc3\x80 : c",
    b"Objet : d", b"-----Message d'origine-----", b"Envoy\xc3\xa9 de mon iPhone", b"<html><body><p>Bonjour",
    b"<blockquote type=cite><div class=gmail_quote>", b"</blockquote></table></div>",
    b"<table><tr><td colspan=99999999>", b"<pre>&#x110000;&#xD800;&bogus;<!--", b"<script>", b"<![CDATA[",
    b"<ol start=-9><li value=x>", b"<a href='//x' style='display:none'>", b"begin 644 a.txt", b"#86)C", b"M", b"A",
    b"`", b"end", b"begin 999 ../../x", b"Qm9uam91cg==", b"=C3=A9=", b"+AOk-+2AA-", b"\x1b$B", b"\xef\xbb\xbf",
    b"\xff\xfea\x00", b"Final-Recipient: rfc822; x@y", b"Status: 5.1.1",
    b"{\\rtf1\\ansi{\\u-9 ?\\'e9\\bin99999999 x}}}",
]  # fmt: skip


def generated(random: Random) -> bytes:
    """A mail of pieces that are each likely to be somewhere in one."""
    if random.random() < 0.2:
        return _winmail(random)
    end = random.choice([b"\n", b"\r\n", b"\r"])
    lines = random.choices(_HEADERS, k=random.randrange(12))
    for _ in range(random.randrange(6)):
        lines += [
            b"",
            *random.choices(_LINES, k=random.randrange(8)),
            b"--b",
            *random.choices(_HEADERS, k=random.randrange(4)),
        ]
    return end.join(lines)


def _winmail(random: Random) -> bytes:
    """A winmail.dat of likely attributes and properties, whose lengths are often wrong."""
    return (
        b"From: a@b.example\nContent-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\n"
        + base64.encodebytes(_stream(random, 0))
    )


def _stream(random: Random, depth: int) -> bytes:
    attributes = [0x00069002, 0x00018010, 0x0006800F, 0x00069005, 0x00069003, 0x0002800C, 0x00069007, 0x00018004]
    stream = struct.pack("<IH", 0x223E9F78, 1)
    for _ in range(random.randrange(10)):
        attribute = random.choice(attributes)
        value = (
            _properties(random, depth)
            if attribute in (0x00069003, 0x00069005)
            else random.randbytes(random.randrange(12))
        )
        wrong = random.choice([0] * 9 + [1, -1, 2**31])
        length = max(0, len(value) + wrong)
        stream += struct.pack("<BII", random.choice([1, 2]), attribute, length) + value + b"\0\0"
    return stream


def _properties(random: Random, depth: int) -> bytes:
    count = random.randrange(6)
    found = struct.pack("<I", random.choice([count] * 9 + [2**32 - 1]))
    for _ in range(count):
        kind = random.choice([1, 2, 3, 0x0D, 0x1E, 0x1F, 0x102, 0x40, 0x48, 0x101E, 0x1003, 0x999])
        identity = random.choice([0x37, 0x1000, 0x1013, 0x1009, 0x3FDE, 0x3707, 0x3701, 0x370E, 0x3712, 0x8001])
        value = random.choice(
            [random.randbytes(random.randrange(40)), "Où est mon colis ?".encode("utf-16-le"), b"<p>caf\xe9"]
        )
        if identity == 0x1009:
            value = struct.pack("<II4sI", 99, random.choice([50, 2**31]), b"LZFu", 0) + value
        if identity == 0x3701 and depth < 4:
            value = bytes.fromhex("0703020000000000c000000000000046") + _stream(random, depth + 1)
        found += struct.pack("<HH", kind, identity)
        found += struct.pack("<II", 1, len(value)) + value + bytes(-len(value) % 4) if random.random() < 0.8 else value
    return found


def mutated(raw: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """`raw` with a few changes of the kinds that break readers."""
    changed = raw[:MAX_BYTES]
    for _ in range(random.randrange(1, 6)):
        changed = random.choice(_MUTATIONS)(changed, random, others)[:MAX_BYTES]
    return changed


def _bytes_changed(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    letters = bytearray(raw)
    for _n in range(random.randrange(1, 20)):
        if letters:
            letters[random.randrange(len(letters))] = random.choice(
                [0, 9, 10, 13, 32, 45, 58, 61, 62, 63, 128, 233, 255]
            )
    return bytes(letters)


def _cut_out(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, end = sorted(random.randrange(len(raw) + 1) for _n in range(2))
    return raw[:start] + raw[end:] if random.random() < 0.5 else raw[:end]


def _doubled(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    start, end = sorted(random.randrange(len(raw) + 1) for _n in range(2))
    return raw[:start] + raw[start:end] * random.choice([2, 3, 30]) + raw[end:]


def _line_put_in(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    lines = raw.split(b"\n")
    lines.insert(random.randrange(min(len(lines), 40) + 1), random.choice(_HEADERS))
    lines.insert(random.randrange(len(lines) + 1), random.choice(_LINES))
    return b"\n".join(lines)


def _lines_mixed(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    lines = raw.split(b"\n")
    start = random.randrange(len(lines))
    some = lines[start : start + 12]
    random.shuffle(some)
    return b"\n".join(lines[:start] + some + lines[start + 12 :])


def _spliced(raw: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    other = random.choice(others)[:MAX_BYTES]
    return raw[: random.randrange(len(raw) + 1)] + other[random.randrange(len(other) + 1) :]


def _wrapped(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    kind = random.choice(
        [b"message/rfc822", b"text/plain", b"text/html", b"multipart/digest; boundary=b", b"application/ms-tnef"]
    )
    head = b"From: a@b.example\nContent-Type: " + kind
    if random.random() < 0.5:
        return head + b"\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(raw)
    return head + b"\n\n" + raw


def _line_ends_changed(raw: bytes, random: Random, _: Sequence[bytes]) -> bytes:
    return raw.replace(b"\r\n", b"\n").replace(b"\n", random.choice([b"\r", b"\n", b"\r\n", b"\n\n", b"\r\r\n"]))


_MUTATIONS: list[Callable[[bytes, Random, Sequence[bytes]], bytes]] = [
    _bytes_changed, _cut_out, _doubled, _line_put_in, _lines_mixed, _spliced, _wrapped, _line_ends_changed,
]  # fmt: skip


def one_case(random: Random, seeds: Sequence[bytes]) -> bytes:
    raw = random.choice(seeds) if seeds and random.random() < 0.7 else generated(random)
    return mutated(raw, random, seeds or [raw]) if random.random() < 0.9 else raw


def check(raw: bytes) -> None:
    """Everything that happens to a mail before and around an agent; AssertionError when a promise is broken."""
    result = triage(raw, Reader(), ours=_OURS)
    mail = result.mail
    json.dumps(result.to_dict()).encode("ascii")
    texts = (mail.subject, mail.from_name, mail.from_address, mail.reply_to, mail.text, mail.quoted, mail.signature)
    for text in (*texts, mail.full_text, mail.message_id, *mail.thread_ids, *(file.name for file in mail.attachments)):
        text.encode("utf-8")  # raises on half a character
        assert "\x00" not in text, text[:80]
    for text in (mail.subject, mail.from_name, mail.from_address, mail.reply_to, mail.message_id, *mail.thread_ids):
        assert not {"\r", "\n"} & set(text), text[:80]
    for file in mail.attachments:
        assert file.name == file.name.strip() != ""
        assert "/" not in file.name
    contents = list(read_attachments(raw))
    assert tuple(file for file, _ in contents) == mail.attachments
    assert all((content is None) == bool(file.left_out) for file, content in contents)
    newest = split_newest(mail.full_text)
    left = "\n".join((newest.text, newest.quoted, newest.signature)).split()
    assert sorted(left) == sorted(mail.full_text.split()), "the splitter lost or made words"
    read_delivery(raw)
    draft = draft_reply(mail, result.sorting, shop_name="Tournesol")
    composed = compose(
        sender="contact@shop.example",
        sender_name=mail.from_name,
        recipient="jean@client.example",
        subject=draft.subject,
        text=f"{draft.text}\n{mail.text[:2000]}",
        language=draft.language,
        now=_NOW,
        answers=mail.message_id,
        references=mail.thread_ids,
        message_id="<case@shop.example>",
    )
    names = [name.lower() for name, _ in message_from_bytes(composed.raw).items()]
    assert set(names) <= _WRITTEN
    assert len(names) == len(set(names))


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutated and made-up mails through reading, trimming and drafting.")
    parser.add_argument("mails", nargs="?", type=Path, default=DEFAULT_FOLDER, help="a folder of raw mails")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path("var/fuzz"), help="where mails that broke something are put")
    given = parser.parse_args()
    seeds = [file.read_bytes() for file in sorted(given.mails.rglob("*")) if file.is_file() and file.suffix != ".jsonl"]
    started = time.monotonic()
    count, size, failures = 0, 0, 0
    slowest = (0.0, 0)
    while time.monotonic() - started < given.minutes * 60:
        raw = one_case(Random(f"{given.seed}/{count}"), seeds)
        before = time.process_time()
        reason = ""
        try:
            check(raw)
        except Exception:
            reason = traceback.format_exc(limit=-3)
        seconds = time.process_time() - before
        if seconds > MAX_SECONDS:
            reason = f"{reason}took {seconds:.1f} s"
        if reason:
            failures += 1
            given.keep.mkdir(parents=True, exist_ok=True)
            (given.keep / f"{given.seed}-{count}.eml").write_bytes(raw)
            print(f"seed {given.seed}, number {count}: {reason}", flush=True)
        slowest = max(slowest, (seconds, count))
        count, size = count + 1, size + len(raw)
    print("| minutes | seed mails | mails | MB | slowest, s | failures |\n|---|---|---|---|---|---|")
    print(
        f"| {given.minutes:g} | {len(seeds)} | {count} | {size / 1e6:.0f} | {slowest[0]:.2f} (number {slowest[1]}) | {failures} |"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
