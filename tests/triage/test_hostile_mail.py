"""Mails made to break a reader: each is read within bounds, kept, and says what was left out."""

from __future__ import annotations

import base64
import binascii
import time
import tracemalloc

import pytest

from tests.triage.reader import mail
from triage import LIMITS, LeftOut, Limits, judge, read_attachments, read_mail, split_newest

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
    "closed base64": _HEAD + b"Content-Transfer-Encoding: base64\n\n" + b"QQ==" * 1_000_000,
    "numbered parameters": _HEAD
    + b"Content-Type: text/plain; "
    + b"".join(b"charset*%d*=a; " % n for n in range(15_000))
    + b"\n\nhi",
    "wide tables": _HEAD + b"Content-Type: text/html\n\n<table><tr>" + b"<td>a" * 100_000,
    "open comments": _HEAD + b"Content-Type: text/html\n\n" + b"<!--" * 400_000,
    "no boundary": _HEAD + b"Content-Type: multipart/mixed\n\n" + (b"--a" + b" " * 190 + b"b" * 20 + b"\n") * 40_000,
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
        ("many parts", "49600 parts beyond the first 400"),
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


def _parts(*parts: str) -> bytes:
    return mail("".join(f"--x\n{part}\n" for part in parts) + "--x--\n", content_type="multipart/mixed; boundary=x")


_PICTURE = "Content-Type: image/png; name={}\n\n"


def test_a_file_beyond_the_limit_is_named_with_the_reason_and_its_content_stays_in_the_raw_mail() -> None:
    raw = _parts("\nBonjour", _PICTURE.format("big.png") + "x" * 300, _PICTURE.format("small.png") + "y" * 20)
    limits = Limits(attachment=100)
    read = read_mail(raw, limits=limits)
    assert [(file.name, file.size, file.left_out) for file in read.attachments] == [
        ("big.png", 300, LeftOut.TOO_BIG),
        ("small.png", 20, LeftOut.NO),
    ]
    assert "attachments beyond the size limit are only in the raw mail" in read.defects
    assert [content for _, content in read_attachments(raw, limits=limits)] == [None, b"y" * 20]


def test_files_beyond_the_limit_of_all_are_named_with_the_reason() -> None:
    raw = _parts(*(_PICTURE.format(f"{n}.png") + "x" * 60 for n in range(3)))
    files = read_mail(raw, limits=Limits(attachments=130)).attachments
    assert [file.left_out for file in files] == [LeftOut.NO, LeftOut.NO, LeftOut.TOO_MUCH]


def test_what_was_left_out_uses_nothing_up() -> None:
    sizes = (60, 300, 60)
    raw = _parts(*(_PICTURE.format(f"{n}.png") + "x" * size for n, size in enumerate(sizes)))
    files = read_mail(raw, limits=Limits(attachment=100, attachments=130)).attachments
    assert [file.left_out for file in files] == [LeftOut.NO, LeftOut.TOO_BIG, LeftOut.NO]


_PROGRAM = base64.b64encode(b"MZ\x90\x00\x03\x00\x00\x00" + b"x" * 200).decode()
_FILE = "Content-Type: {}; name={}\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\n\n{}"


@pytest.mark.parametrize(
    ("content_type", "name", "content"),
    [
        ("application/octet-stream", "facture.exe", "aGVsbG8="),
        ("application/octet-stream", "FACTURE.PDF.EXE", "aGVsbG8="),
        ("application/octet-stream", '"facture.exe. "', "aGVsbG8="),
        ("image/png", '"photo.js"', "aGVsbG8="),
        ("application/x-msdownload", "photo.png", "aGVsbG8="),
        ("image/png", "photo.png", _PROGRAM),
        ("application/pdf", "f.pdf", base64.b64encode(b"\x7fELF\x02\x01" + b"x" * 90).decode()),
    ],
)
def test_a_program_is_named_and_not_handed_out_whatever_it_calls_itself(
    content_type: str, name: str, content: str
) -> None:
    raw = _parts("\nBonjour", _FILE.format(content_type, name, content), _PICTURE.format("a.png") + "y" * 20)
    read = read_mail(raw)
    assert [file.left_out for file in read.attachments] == [LeftOut.REFUSED, LeftOut.NO]
    assert "attachments of a refused type are only in the raw mail" in read.defects
    assert [content for _, content in read_attachments(raw)] == [None, b"y" * 20]


def test_a_shop_may_refuse_other_types_or_none() -> None:
    raw = _parts(_FILE.format("application/octet-stream", "a.exe", _PROGRAM), _PICTURE.format("a.svg") + "<svg>")
    assert [file.left_out for file in read_mail(raw, limits=Limits(refused=frozenset({"svg"}))).attachments] == [
        LeftOut.REFUSED,
        LeftOut.REFUSED,
    ]
    assert not any(file.left_out for file in read_mail(raw, limits=Limits(refused=frozenset())).attachments)


@pytest.mark.parametrize(
    "name", ["photo.jpg", "contrat.docx", "export.csv", "logo.svg", "page.html", "courrier.eml", "MZ"]
)
def test_what_customers_send_is_not_refused(name: str) -> None:
    names = base64.b64encode(b"MZ Marie Zimmer; Mons; 7000").decode()
    (file,) = read_mail(_parts(_FILE.format("application/octet-stream", name, names))).attachments
    assert file.left_out is LeftOut.NO


def test_a_uuencoded_program_is_refused_too() -> None:
    uuencoded = "begin 644 photo.png\n" + binascii.b2a_uu(b"MZ" + b"\x00" * 40).decode() + "`\nend\n"
    (file,) = read_mail(mail("Bonjour\n" + uuencoded)).attachments
    assert (file.name, file.left_out) == ("photo.png", LeftOut.REFUSED)


def test_a_name_cannot_be_turned_around() -> None:
    (file,) = read_mail(
        _parts(_FILE.format("image/jpeg", '"=?utf-8?q?photo=E2=80=AEgpj.exe?="', "aGVsbG8="))
    ).attachments
    assert (file.name, file.left_out) == ("photogpj.exe", LeftOut.REFUSED)


@pytest.mark.parametrize(
    ("limits", "raw", "defect"),
    [
        (Limits(mail=80), mail("a" * 200), "only the first 80 bytes of"),
        (Limits(headers=40), mail(), "headers beyond the size limit"),
        (Limits(kept_headers=2), mail(), "more headers than are kept"),
        (Limits(parts=3), _parts(*["\na"] * 5), "3 parts beyond the first 3"),
        (Limits(depth=1), _parts("Content-Type: multipart/mixed; boundary=y\n\n--y\n\na\n--y--"), "nested deeper"),
        (Limits(text=30), mail("Bonjour " * 30), "text beyond the size limit"),
        (Limits(parts=2), mail("Bonjour\n" + "begin 644 a\n#86)C\n`\nend\n" * 4), "3 parts beyond the first 2"),
        (LIMITS, mail(content_type="text/plain; a=" + "b" * 9_000), "parameters beyond the size limit"),
        (LIMITS, mail("<b>a</b>" * 40_000, content_type="text/html"), "more elements than are laid out"),
        (LIMITS, mail("<p>" + "a" * 2_050_000, content_type="text/html"), "HTML beyond the size limit"),
        (LIMITS, _parts("\nBonjour", *["-xx"] * 1), "no headers"),
    ],
)
def test_each_limit_says_what_it_left_out(limits: Limits, raw: bytes, defect: str) -> None:
    assert any(defect in each for each in read_mail(raw, limits=limits).defects)


def test_all_texts_of_a_mail_share_one_limit() -> None:
    read = read_mail(_parts(*["\n" + "a" * 100] * 5), limits=Limits(text=250))
    assert len(read.text.replace("\n", "")) == 250


def test_markup_that_is_not_laid_out_still_gives_its_words() -> None:
    html = "<table>" + "<tr><td>colis<td>perdu" * 20_000 + "<!-- <script>x" + "<!--" * 100_000
    text = read_mail(mail(html, content_type="text/html")).text
    assert text.startswith("colis")
    assert "<" not in text.split("perdu")[0]


def test_text_around_scripts_is_all_read_in_linear_time() -> None:
    html = ("<script>steal()</script>" + "b" * 20) * 14_000
    started = time.process_time()
    text = read_mail(mail(html, content_type="text/html")).text
    assert time.process_time() - started < 5
    assert text == "b" * 280_000


@pytest.mark.parametrize("tag", ["<div>", "<table><tr><td>", "<blockquote type=cite>", "<ul><li>"])
@pytest.mark.parametrize("depth", [60, 300, 10_000])
def test_text_at_the_bottom_of_deep_markup_is_not_lost(tag: str, depth: int) -> None:
    read = read_mail(mail("<p>avant</p>" + tag * depth + "au fond", content_type="text/html"))
    assert "avant" in read.full_text
    assert "au fond" in read.full_text
