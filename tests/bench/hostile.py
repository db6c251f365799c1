"""Mails made to break a reader, at full size: `python -m tests.bench.hostile [WORD]` prints what each costs, as Markdown.

Each case (with WORD, those whose name holds it) is read, sorted with a hand-made understanding, decided and answered in
draft, in a process of its own. Time is that process's own CPU time; memory is its peak resident size above what it held
before, the raw mail not counted. `said` is what the agent is told.
"""

from __future__ import annotations

import base64
import multiprocessing
import struct
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from tests.triage.reader import Reader
from triage import draft_reply, triage

SECONDS = 120
_HEAD = b"From: Jean <jean@client.example>\nTo: shop@shop.example\nSubject: Colis\nMessage-ID: <1@client.example>\n"
_MIXED = _HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n"
_HTML = _HEAD + b"Content-Type: text/html; charset=utf-8\n\n"
_SAYS = b"--b\n\nBonjour\n"
_MB = 1_000_000


def _nested_base64() -> bytes:
    mail = _HEAD + b"\nBonjour\n" + b"x" * 5 * _MB
    for _ in range(5):
        head = _HEAD + b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
        mail = head + base64.encodebytes(mail)
    return mail


def _tnef(*attributes: tuple[int, int, bytes]) -> bytes:
    """A mail with a winmail.dat of (level, identity, data) attributes."""
    stream = struct.pack("<IH", 0x223E9F78, 1) + b"".join(
        struct.pack("<BII", level, identity, len(data)) + data + struct.pack("<H", sum(data) & 0xFFFF)
        for level, identity, data in attributes
    )
    part = b"--b\nContent-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\n"
    return _MIXED + _SAYS + part + base64.encodebytes(stream) + b"--b--\n"


def _tnef_in_tnef(depth: int) -> bytes:
    stream = b""
    for _ in range(depth):
        value = bytes.fromhex("0703020000000000c000000000000046") + stream
        value += bytes(-len(value) % 4)
        props = struct.pack("<IHHII", 1, 0x000D, 0x3701, 1, len(value)) + value
        stream = struct.pack("<IH", 0x223E9F78, 1) + struct.pack("<BII", 2, 0x00069002, 0) + b"\0\0"
        stream += struct.pack("<BII", 2, 0x00069005, len(props)) + props + b"\0\0"
    return (
        _HEAD + b"Content-Type: application/ms-tnef\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(stream)
    )


def _rtf_bomb() -> bytes:
    """17 MB of references to what was just written: a compressed RTF that wants to become 136 MB."""
    tokens = (b"\xff" + b"\x00\x0f" * 8) * 1_000_000
    rtf = struct.pack("<IIII", len(tokens) + 12, 136 * _MB, 0x75465A4C, 0) + tokens
    rtf += bytes(-len(rtf) % 4)
    return _tnef((1, 0x00069003, struct.pack("<IHHII", 1, 0x0102, 0x1009, 1, len(rtf)) + rtf))


CASES: dict[str, Callable[[], bytes]] = {
    "multiparts, 100,000 deep": lambda: (
        _HEAD + b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(100_000))
    ),
    "multiparts, all of one boundary": lambda: _HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 500_000,
    "enclosed mails, 1,000,000 deep": lambda: _HEAD + b"Content-Type: message/rfc822\n\n" * 1_000_000,
    "enclosed mails in base64, 5 deep": _nested_base64,
    "1,000,000 parts": lambda: _MIXED + b"--b\n\nhi\n" * 1_000_000,
    "100,000 attachments": lambda: (
        _MIXED + _SAYS + b"--b\nContent-Type: image/png; name=a.png\n\nx\n" * 100_000 + b"--b--\n"
    ),
    "1,000,000 headers": lambda: b"".join(b"X-%d: 1\n" % n for n in range(1_000_000)) + _HEAD + b"\nhi",
    "a header of 100 MB": lambda: _HEAD + b"X: " + b"a" * (100 * _MB) + b"\n\nhi",
    "a header folded 1,000,000 times": lambda: _HEAD + b"X: a" + b"\n a" * 1_000_000 + b"\n\nhi",
    "1,000,000 encoded words": lambda: b"Subject: " + b"=?utf-8?Q?a?= " * 1_000_000 + b"\n" + _HEAD + b"\nhi",
    "100,000 character sets in a header": lambda: (
        b"Subject: " + b"".join(b"=?x%d?B?6Q==?= " % n for n in range(100_000)) + b"\n" + _HEAD + b"\nhi"
    ),
    "500,000 addresses": lambda: _HEAD + b"Cc: " + b'"a, b" <x@y.example>, ' * 500_000 + b"\n\nhi",
    "brackets for a sender": lambda: b"From: " + b"(" * _MB + b"<" * _MB + b"\n" + _HEAD + b"\nhi",
    "1,000,000 references": lambda: _HEAD + b"References: " + b"<a@b> <c" * 1_000_000 + b"\n\nhi",
    "100,000 continued parameters": lambda: (
        _HEAD + b"Content-Type: multipart/mixed; " + b"a*0=b; " * 100_000 + b"\n\nhi"
    ),
    "100,000 numbered parameters": lambda: (
        _HEAD + b"Content-Type: text/plain; " + b"".join(b"charset*%d*=a; " % n for n in range(100_000)) + b"\n\nhi"
    ),
    "a body of 100 MB": lambda: _HEAD + b"\n" + b"Bonjour, mon colis est perdu.\n" * 3_400_000,
    "a body of 100 MB in one line": lambda: _HEAD + b"\n" + b"a" * (100 * _MB),
    "a text of 100 MB in base64": lambda: _HEAD + b"Content-Transfer-Encoding: base64\n\n" + b"QUJD\n" * 20_000_000,
    "an attachment of 100 MB": lambda: (
        _MIXED
        + _SAYS
        + b"--b\nContent-Type: application/zip; name=a.zip\nContent-Transfer-Encoding: base64\n\n"
        + b"QUJD" * 19
        + b"\n"
        + (b"QUJD" * 19 + b"\n") * 1_300_000
        + b"--b\nContent-Type: image/png; name=after.png\n\nx\n--b--\n"
    ),
    "base64 of 1,000,000 closed pieces": lambda: _HEAD + b"Content-Transfer-Encoding: base64\n\n" + b"QQ==" * 1_000_000,
    "quoted-printable of 100 MB": lambda: (
        _HEAD + b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=C3=A9=\n" * 12_500_000
    ),
    "quoted-printable, nothing but =": lambda: (
        _HEAD + b"Content-Transfer-Encoding: quoted-printable\n\n" + b"=" * (50 * _MB)
    ),
    "uuencoded file of 60 MB": lambda: (
        _HEAD + b"\nBonjour\n\nbegin 644 photo.jpg\n" + (b"M" + b"A" * 60 + b"\n") * 970_000 + b"`\nend\n"
    ),
    "500,000 uuencoded files without end": lambda: _HEAD + b"\n" + b"begin 644 a\n#86)C\n" * 500_000,
    "500,000 empty uuencoded files": lambda: _HEAD + b"\n" + b"begin 644 a\nend\n" * 500_000,
    "delimiters that are none": lambda: _MIXED + _SAYS + b"--bb\n" * 10_000_000,
    "a multipart without boundary, 50 MB": lambda: (
        _HEAD + b"Content-Type: multipart/mixed\n\n" + (b"--a" + b" " * 190 + b"b" * 20 + b"\n") * 240_000
    ),
    "format=flowed, 10 MB": lambda: _HEAD + b"Content-Type: text/plain; format=flowed\n\n" + b"a \n" * 3_300_000,
    "unknown character set, 10 MB": lambda: (
        _HEAD + b"Content-Type: text/plain; charset=x\n\n" + bytes(range(128, 256)) * 80_000
    ),
    "UTF-7, 10 MB": lambda: _HEAD + b"Content-Type: text/plain; charset=utf-7\n\n" + b"+AOk-" * 2_000_000,
    "HTML of 1,000,000 elements": lambda: _HTML + b"<b>a</b>" * 1_000_000,
    "HTML of 1,000,000 paragraphs": lambda: _HTML + b"<p>a\n" * 1_000_000,
    "HTML, 1,000,000 deep": lambda: _HTML + b"<div>" * 1_000_000 + b"hi",
    "HTML, formatting left open": lambda: _HTML + b"<p><b><i><u><font color=a>x" * 100_000,
    "tables, 100,000 deep": lambda: _HTML + b"<table><tr><td>" * 100_000 + b"hi",
    "a table of 100,000 columns": lambda: _HTML + b"<table><tr>" + b"<td>a" * 100_000 + b"</table>",
    "a table of 100,000 rows": lambda: _HTML + b"<table>" + b"<tr><td>a<td>b" * 100_000 + b"</table>",
    "lists, 100,000 deep": lambda: _HTML + b"<ul><li>" * 100_000 + b"hi",
    "quotes in HTML, 100,000 deep": lambda: _HTML + b"<blockquote type=cite>" * 90_000 + b"hi",
    "100,000 quotes in HTML": lambda: _HTML + b"<blockquote type=cite>a</blockquote>b" * 100_000,
    "50 parts of 2 MB of HTML": lambda: (
        _MIXED + (b"--b\nContent-Type: text/html\n\n" + b"<table>" + b"<tr><td>a<td>b" * 140_000 + b"\n") * 50
    ),
    "28,000 scripts between text": lambda: _HTML + (b"<script></script>" + b"a" * 50) * 28_000,
    "28,000 hidden elements": lambda: _HTML + b"<i style=display:none>a</i>b" * 28_000,
    "a style attribute of 1 MB": lambda: _HTML + b'<p style="' + b"display : " * 100_000 + b'">hi',
    "HTML, 500,000 attributes": lambda: _HTML + b"<p " + b"".join(b"a%d=b " % n for n in range(300_000)) + b">hi",
    "Outlook's line above 200 headers in each other": lambda: (
        _HTML
        + b"<div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'>" * 200
        + b"<b>" * 40
        + b"<b><i></i>a:</b>" * 9_000
    ),
    "HTML, 300,000 entities": lambda: _HTML + b"&#xD800;&amp&nbsp;" * 100_000,
    "HTML of open brackets": lambda: _HTML + b"<" * 2 * _MB,
    "HTML of open comments": lambda: _HTML + b"<!--" * 500_000 + b"hi",
    "splitter: On On On": lambda: _HEAD + b"\n" + b"On " * 300_000,
    "splitter: 300,000 attributions cut short": lambda: (
        _HEAD + b"\n" + b"Le 3 mars 2026, Jean <j@x.example>\n" * 300_000
    ),
    "splitter: attributions that never end": lambda: (
        _HEAD + b"\n" + (b"12:30 <a@b.example> a ecrit " * 20 + b":x\n") * 20_000
    ),
    "splitter: header blocks cut short": lambda: _HEAD + b"\n" + b"De : x\nDate : y\n\n\n" * 100_000,
    "splitter: 100,000 quotes": lambda: _HEAD + b"\n" + b"> a\nb\n" * 100_000,
    "splitter: blank lines": lambda: _HEAD + b"\n" + b"De : x" + b"\n" * 900_000,
    "splitter: rules and blank lines": lambda: _HEAD + b"\n" + (b"-----" + b"\n" * 500) * 2_000,
    "splitter: signatures": lambda: _HEAD + b"\n" + b"a\n-- \n________\n" * 70_000,
    "splitter: Envoye de Envoye de": lambda: _HEAD + b"\nBonjour\n" + b"Envoye de mon " * 70_000,
    "splitter: a line of underlines": lambda: _HEAD + b"\n" + b"_" * _MB,
    "subject: Re: Re: Re:": lambda: b"Subject: " + b"Re: " * 5_000 + b"re" + b" " * 20_000 + b"\n" + _HEAD + b"\nhi",
    "winmail.dat, 4,294,967,295 properties claimed": lambda: _tnef((1, 0x00069003, b"\xff\xff\xff\xff" + bytes(200))),
    "winmail.dat, 25,000,000 values of one property": lambda: _tnef(
        (1, 0x00069003, struct.pack("<IHHI", 1, 0x101E, 0x1000, 25_000_000) + bytes(25_000_000))
    ),
    "winmail.dat, 2,000,000 attributes": lambda: _tnef(*[(1, 0x00068005, b"x")] * 2_000_000),
    "winmail.dat, 1,000,000 files": lambda: _tnef(*[(2, 0x00069002, b"")] * 1_000_000),
    "winmail.dat, 1,000 in each other": lambda: _tnef_in_tnef(1_000),
    "winmail.dat, RTF bomb of 136 MB": _rtf_bomb,
}


def run(raw: bytes) -> tuple[float, float, str]:
    """CPU seconds and MB that a mail costs, and what is said of it."""
    _reset_peak()
    before = _status("VmRSS")
    started = time.process_time()
    result = triage(raw, Reader())
    draft_reply(result.mail, result.sorting, shop_name="Tournesol")
    seconds = time.process_time() - started
    return seconds, (_status("VmHWM") - before) / 1024, "; ".join(result.mail.defects)


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    """Kilobytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _child(make: Callable[[], bytes], answer: Connection) -> None:
    raw = make()
    answer.send((len(raw), *run(raw)))


def main() -> None:
    word = sys.argv[1] if len(sys.argv) > 1 else ""
    fork = multiprocessing.get_context("fork")
    run(_HEAD + b"\nBonjour")  # what is loaded on first use is no mail's fault
    run(_HTML + b"<p>\xe9")
    print("| case | MB | seconds | peak MB | said |\n|---|---|---|---|---|")
    for name, make in CASES.items():
        if word not in name:
            continue
        ours, theirs = fork.Pipe(duplex=False)
        child = fork.Process(target=_child, args=(make, theirs))
        child.start()
        theirs.close()
        try:
            size, seconds, peak, said = ours.recv() if ours.poll(SECONDS) else (0, float("inf"), 0.0, "STOPPED")
        except EOFError:
            size, seconds, peak, said = 0, float("nan"), 0.0, "DIED"
        child.kill()
        child.join()
        print(f"| {name} | {size / 1e6:.1f} | {seconds:.2f} | {peak:.0f} | {said} |", flush=True)


if __name__ == "__main__":
    main()
