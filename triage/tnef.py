"""winmail.dat: the body and the files that Outlook wraps up in its own format ([MS-OXTNEF]), read within fixed bounds.

Our own reader because tnefparse 1.4.0, the one library, loops four thousand million times over a property list that claims
so many entries (41 bytes do it), takes quadratic time over many attributes, and has had no release since 2021.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from triage.charset import to_text
from triage.html_text import read_html
from triage.mime import TOO_NESTED, Bounds
from triage.rtf import compressed_rtf_to_text

_SIGNATURE = 0x223E9F78
_MAX_ATTRIBUTES = 20_000
_MAX_PROPERTIES = 10_000  # of one list
_MAX_NAME = 1_000  # bytes of a file name

# Attributes, [MS-OXTNEF] 2.1.3.2
_BODY, _PROPERTIES, _CODEPAGE = 0x0002800C, 0x00069003, 0x00069007
_NEW_FILE, _FILE_TITLE, _FILE_DATA, _FILE_PROPERTIES = 0x00069002, 0x00018010, 0x0006800F, 0x00069005
# Properties, [MS-OXPROPS]
_SUBJECT, _TEXT, _HTML, _RTF, _TEXT_CODEPAGE = 0x0037, 0x1000, 0x1013, 0x1009, 0x3FDE
_LONG_NAME, _SHORT_NAME, _SHOWN_NAME, _DATA, _MIME_TYPE, _CONTENT_ID = 0x3707, 0x3704, 0x3001, 0x3701, 0x370E, 0x3712
# Types, [MS-OXCDATA] 2.11.1
_INTEGER, _STRING8, _STRING = 0x0003, 0x001E, 0x001F
_SIZES = {0x02: 2, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 2, 0x14: 8, 0x40: 8, 0x48: 16}
_VARIABLE = {0x000D, _STRING8, _STRING, 0x0102}
_ENCLOSED_MESSAGE = bytes.fromhex(
    "0703020000000000c000000000000046"
)  # IID_IMessage stands before an enclosed TNEF stream

Span = tuple[int, int]
Properties = dict[int, tuple[int, Span]]  # identity -> type, value; the first value of several


@dataclass
class TnefFile:
    """A file as a span of the stream; `message` is set when it is an enclosed message."""

    name: str = ""
    content_type: str = "application/octet-stream"
    span: Span = (0, 0)
    inline: bool = False
    message: Tnef | None = None


@dataclass
class Tnef:
    """What was found. `text` is decoded, its HTML or RTF turned into plain text."""

    subject: str = ""
    text: str = ""
    files: list[TnefFile] = field(default_factory=list)


def read_tnef(stream: bytes, bounds: Bounds) -> Tnef | None:
    """The content of a TNEF stream; None when it is none. Never raises; what was wrong is noted in `bounds`."""
    return _message(stream, (0, len(stream)), 0, bounds) if _is_tnef(stream, (0, len(stream))) else None


def _is_tnef(stream: bytes, span: Span) -> bool:
    return span[1] - span[0] >= 6 and _u32(stream, span[0]) == _SIGNATURE


def _message(stream: bytes, span: Span, depth: int, bounds: Bounds) -> Tnef:
    found = Tnef()
    codepage = "cp1252"
    plain = b""
    properties: Properties = {}
    file: TnefFile | None = None
    for attribute, value in _attributes(stream, span, bounds):
        if attribute == _CODEPAGE and value[1] - value[0] >= 4:
            codepage = _codec(_u32(stream, value[0]))
        elif attribute == _BODY:
            plain = _taken(stream, value, bounds)
        elif attribute == _PROPERTIES:
            properties |= _properties(stream, value, bounds)
        elif attribute == _NEW_FILE:
            if bounds.parts <= 0:
                bounds.unread_parts += 1
                file = None
                continue
            bounds.parts -= 1
            file = TnefFile()
            found.files.append(file)
        elif file is not None and attribute == _FILE_TITLE:
            file.name = file.name or _name(stream, value, codepage)
        elif file is not None and attribute == _FILE_DATA:
            file.span = value
        elif file is not None and attribute == _FILE_PROPERTIES:
            _describe(file, stream, _properties(stream, value, bounds), codepage, depth, bounds)
    found.subject = _string(stream, properties, _SUBJECT, codepage, bounds)
    found.text = _text(stream, properties, plain, codepage, bounds)
    return found


def _attributes(stream: bytes, span: Span, bounds: Bounds) -> Iterator[tuple[int, Span]]:
    """Each attribute's identity (type in the high half) and value."""
    at, end = span[0] + 6, span[1]
    for _ in range(_MAX_ATTRIBUTES):
        if at + 9 > end or stream[at] not in (1, 2):
            return  # the end, or the padding that some senders add
        identity, length = _u32(stream, at + 1), _u32(stream, at + 5)
        at += 9
        if at + length > end:
            bounds.note("winmail.dat is cut off")
        yield identity, (at, min(at + length, end))
        at += length + 2
    if at + 9 <= end:
        bounds.note("winmail.dat has more attributes than are read")


def _properties(stream: bytes, span: Span, bounds: Bounds) -> Properties:
    """A property list ([MS-OXTNEF] 2.1.3.4) as far as it can be followed."""
    found: Properties = {}
    at, end = span[0] + 4, span[1]
    count = _u32(stream, span[0]) if end - span[0] >= 4 else 0
    for _ in range(min(count, _MAX_PROPERTIES)):
        try:
            kind, identity, value, at = _property(stream, at, end)
        except (struct.error, ValueError):
            bounds.note("winmail.dat is broken")
            return found
        found.setdefault(identity, (kind, value))
    if count > _MAX_PROPERTIES:
        bounds.note("winmail.dat has more properties than are read")
    return found


def _property(stream: bytes, at: int, end: int) -> tuple[int, int, Span, int]:
    """Type, identity, first value, and where the next property begins. Raises ValueError when it leaves the list."""
    kind, identity = struct.unpack_from("<HH", stream, at)
    at += 4
    if identity >= 0x8000:  # a named property: its set, then a number or a name
        at += 16
        named = _u32(stream, at)
        at += 8 + (_padded(_u32(stream, at + 4)) if named else 0)
    several, kind = bool(kind & 0x1000), kind & 0x0FFF
    if kind in _VARIABLE:
        count = _u32(stream, at)
        at += 4
        value = (at, at)
        if count > _MAX_PROPERTIES:
            raise ValueError
        for n in range(count):
            length = _u32(stream, at)
            at += 4
            if n == 0:
                value = (at, at + length)
            at += _padded(length)
            if at > end:
                raise ValueError
    elif kind in _SIZES:
        count = 1
        if several:
            count = _u32(stream, at)
            at += 4
        value = (at, at + _SIZES[kind] * min(count, 1))
        at += _padded(count * _SIZES[kind])
    elif kind <= 1:  # unspecified, null: no value
        value = (at, at)
    else:
        raise ValueError
    if at > end:
        raise ValueError
    return kind, identity, value, at


def _describe(file: TnefFile, stream: bytes, properties: Properties, codepage: str, depth: int, bounds: Bounds) -> None:
    for identity in (_LONG_NAME, _SHORT_NAME, _SHOWN_NAME):
        if identity in properties and (stated := _value_text(stream, properties[identity], codepage)):
            file.name = stated
            break
    if _MIME_TYPE in properties:
        file.content_type = _value_text(stream, properties[_MIME_TYPE], codepage).lower() or file.content_type
    file.inline = _CONTENT_ID in properties
    if _DATA not in properties:
        return
    file.span = properties[_DATA][1]
    enclosed = (file.span[0] + len(_ENCLOSED_MESSAGE), file.span[1])
    if stream.startswith(_ENCLOSED_MESSAGE, *file.span) and _is_tnef(stream, enclosed):
        file.span = enclosed
        file.content_type = "application/ms-tnef"
        if depth >= bounds.limits.depth:
            bounds.note(TOO_NESTED)
        else:
            file.message = _message(stream, enclosed, depth + 1, bounds)


def _text(stream: bytes, properties: Properties, plain: bytes, codepage: str, bounds: Bounds) -> str:
    """The body in the first form that has words: plain, HTML, RTF."""
    text = _string(stream, properties, _TEXT, codepage, bounds) or to_text(plain.rstrip(b"\x00"), codepage)[0]
    if text.strip():
        return text.replace("\r\n", "\n").replace("\r", "\n")
    text, problem = read_html(_string(stream, properties, _HTML, codepage, bounds))
    if problem:
        bounds.note(problem)
    if text or _RTF not in properties:
        return text
    return compressed_rtf_to_text(_taken(stream, properties[_RTF][1], bounds), bounds)


def _string(stream: bytes, properties: Properties, identity: int, codepage: str, bounds: Bounds) -> str:
    if identity not in properties:
        return ""
    kind, span = properties[identity]
    stated_kind, stated = properties.get(_TEXT_CODEPAGE, (0, (0, 0)))
    if stated_kind == _INTEGER and stated[1] > stated[0]:
        codepage = _codec(_u32(stream, stated[0]))
    return _decoded(_taken(stream, span, bounds), kind, codepage)


def _value_text(stream: bytes, value: tuple[int, Span], codepage: str) -> str:
    kind, (start, end) = value
    return _decoded(stream[start : min(end, start + _MAX_NAME)], kind, codepage).strip()


def _decoded(data: bytes, kind: int, codepage: str) -> str:
    if kind == _STRING:
        return to_text(data[: len(data) // 2 * 2], "utf-16-le")[0]
    return to_text(data.rstrip(b"\x00"), codepage)[0]


def _name(stream: bytes, span: Span, codepage: str) -> str:
    return _value_text(stream, (_STRING8, span), codepage)


def _taken(stream: bytes, span: Span, bounds: Bounds) -> bytes:
    """A text's bytes, as many as the mail may still have."""
    size = span[1] - span[0]
    if size > bounds.text:
        bounds.note("text beyond the size limit was not read")
    data = stream[span[0] : min(span[1], span[0] + bounds.text)]
    bounds.text -= len(data)
    return data


def _codec(page: int) -> str:
    """A Windows code page as the name of a character set."""
    return {65001: "utf-8", 20127: "us-ascii", 20866: "koi8-r", 20932: "euc-jp", 28591: "iso-8859-1"}.get(
        page, f"iso-8859-{page - 28590}" if 28591 <= page <= 28606 else f"cp{page}"
    )


def _padded(length: int) -> int:
    return -(-length // 4) * 4


def _u32(stream: bytes, at: int) -> int:
    """Raises struct.error beyond the end."""
    number: int = struct.unpack_from("<I", stream, at)[0]
    return number
