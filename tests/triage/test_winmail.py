"""winmail.dat: Outlook's own wrapping. Its text is read when there is no other, its files are named like any."""

from __future__ import annotations

import base64
import struct

import pytest

from tests.triage.reader import mail
from triage import LeftOut, Limits, Mail, read_attachments, read_mail

NEW_FILE, TITLE, DATA, FILE_PROPERTIES = (2, 0x00069002), (2, 0x00018010), (2, 0x0006800F), (2, 0x00069005)
PROPERTIES, BODY, CODEPAGE = (1, 0x00069003), (1, 0x0002800C), (1, 0x00069007)
ENCLOSED = bytes.fromhex("0703020000000000c000000000000046")
RTF = b"{\\rtf1\\ansi\\ansicpg1252{\\fonttbl{\\f0 Arial;}}O\\'f9 est {\\b mon} colis ?\\par{\\*\\htmltag <b>}Merci \\u8364 ?!}"


def stream(*attributes: tuple[tuple[int, int], bytes]) -> bytes:
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(
        struct.pack("<BII", *identity, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)
        for identity, value in attributes
    )


def properties(**values: bytes) -> bytes:
    """A property list; `x1000_1f` is the property 0x1000 of type 0x1f."""
    found = struct.pack("<I", len(values))
    for name, value in values.items():
        identity, kind = (int(each, 16) for each in name.removeprefix("x").split("_"))
        found += struct.pack("<HHII", kind, identity, 1, len(value)) + value + bytes(-len(value) % 4)
    return found


def outlook(content: bytes, text: str = "", limits: Limits | None = None) -> Mail:
    part = "--x\nContent-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\n"
    part += base64.encodebytes(content).decode()
    words = f"--x\nContent-Type: text/plain\n\n{text}\n" if text else ""
    raw = mail(f"{words}{part}--x--\n", content_type="multipart/mixed; boundary=x")
    return read_mail(raw, limits=limits) if limits else read_mail(raw)


def test_files_in_it_are_named_and_its_text_is_not_read_twice() -> None:
    content = stream(
        (PROPERTIES, properties(x1000_1f="Où est mon colis ?".encode("utf-16-le"))),
        (NEW_FILE, bytes(14)),
        (TITLE, b"PHOTO~1.JPG\x00"),
        (DATA, b"12345"),
        (FILE_PROPERTIES, properties(x3707_1f="photo été.jpg".encode("utf-16-le"), x370e_1e=b"image/jpeg\x00")),
        (NEW_FILE, bytes(14)),
        (TITLE, b"..\\note.txt\x00"),
        (DATA, b"abc"),
    )
    read = outlook(content, "Où est mon colis ?")
    assert read.text == "Où est mon colis ?"
    assert [(file.name, file.content_type, file.size) for file in read.attachments] == [
        ("photo été.jpg", "image/jpeg", 5),
        ("note.txt", "application/octet-stream", 3),
    ]
    assert read.defects == ()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([(PROPERTIES, properties(x1000_1f="Où ?\r\nIci".encode("utf-16-le")))], "Où ?\nIci"),
        ([(CODEPAGE, struct.pack("<II", 1251, 0)), (BODY, "Привет\x00".encode("cp1251"))], "Привет"),
        ([(PROPERTIES, properties(x1013_102="<p>Où <b>est</b></p>".encode("cp1252")))], "Où est"),
        (
            [(PROPERTIES, properties(x1009_102=struct.pack("<II4sI", len(RTF) + 12, len(RTF), b"MELA", 0) + RTF))],
            "Où est mon colis ?\nMerci €!",
        ),
    ],
)
def test_a_mail_of_nothing_else_has_its_text(content: list[tuple[tuple[int, int], bytes]], text: str) -> None:
    assert outlook(stream(*content)).text == text


def test_compressed_rtf_is_unpacked() -> None:
    # The example of [MS-OXRTFCP] 4.1: "{\rtf1\ansi\ansicpg1252\pard hello world}\r\n".
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    )
    assert outlook(stream((PROPERTIES, properties(x1009_102=packed)))).text == "hello world"


def test_an_enclosed_message_is_a_file_and_history() -> None:
    inner = stream(
        (
            PROPERTIES,
            properties(x1000_1f="Votre colis".encode("utf-16-le"), x0037_1f="Livraison 1/2".encode("utf-16-le")),
        )
    )
    read = outlook(
        stream((NEW_FILE, bytes(14)), (FILE_PROPERTIES, properties(x3701_d=ENCLOSED + inner))), "Voici leur mail"
    )
    assert read.text == "Voici leur mail"
    assert read.quoted == "Votre colis"
    assert read.attachments[0].name == "Livraison 1-2"


def test_one_that_cannot_be_read_stays_a_file() -> None:
    read = outlook(b"no tnef at all", "Bonjour")
    assert [file.name for file in read.attachments] == ["winmail.dat"]
    assert "winmail.dat could not be read" in read.defects


@pytest.mark.parametrize(
    ("content", "defect"),
    [
        (stream((PROPERTIES, b"\xff\xff\xff\xff" + bytes(40))), "winmail.dat is broken"),
        (stream((NEW_FILE, b""), (DATA, b"x" * 99))[:-50], "winmail.dat is cut off"),
        (stream(*[((1, 0x00068005), b"")] * 20_100), "more attributes"),
        (stream(*[(NEW_FILE, b"")] * 9), "parts beyond the first 6 were not read"),
    ],
)
def test_what_is_wrong_in_it_is_said_and_the_mail_is_read(content: bytes, defect: str) -> None:
    read = outlook(content, "Bonjour", Limits(parts=6))
    assert read.text == "Bonjour"
    assert any(defect in each for each in read.defects)


def test_one_message_in_the_other_ends_at_the_limit_of_depth() -> None:
    content = stream((PROPERTIES, properties(x1000_1e=b"au fond")))
    for _ in range(60):
        content = stream((NEW_FILE, b""), (FILE_PROPERTIES, properties(x3701_d=ENCLOSED + content)))
    read = outlook(content, "Bonjour")
    assert "nested deeper than is read" in read.defects
    assert "au fond" not in read.quoted


def test_the_contents_of_its_files_can_be_had() -> None:
    content = stream((NEW_FILE, b""), (TITLE, b"a.txt"), (DATA, b"Bonjour"))
    head = b"From: a@b.example\nContent-Type: application/ms-tnef\nContent-Transfer-Encoding: base64\n\n"
    ((file, data),) = read_attachments(head + base64.encodebytes(content))
    assert (file.name, data) == ("a.txt", b"Bonjour")


@pytest.mark.parametrize(("name", "content"), [(b"facture.exe", b"hello"), (b"photo.jpg", b"MZ\x90\x00" + bytes(80))])
def test_a_program_in_it_is_refused_like_any(name: bytes, content: bytes) -> None:
    (file,) = outlook(stream((NEW_FILE, b""), (TITLE, name), (DATA, content))).attachments
    assert (file.name, file.left_out) == (name.decode(), LeftOut.REFUSED)
