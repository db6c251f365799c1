"""The parts of a mail as spans of its raw bytes, found within fixed bounds of depth, number and size.

Headers go to the standard library; the body is cut here, because the standard parser recurses as deep as a sender likes
(a 3 MB mail nested without end costs it seconds and hundreds of megabytes).
"""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import Compat32

from triage.charset import to_text

MAX_DEPTH = 24
MAX_PARTS = 400
MAX_HEADER_BYTES = 256 * 1024


class _AsWritten(Compat32):
    """Header values as they stand; the standard policy replaces raw 8-bit text before its character set can be found."""

    def header_fetch_parse(self, name: str, value: str) -> str:
        return value


_HEADER_PARSER: BytesHeaderParser[Message[str, str]] = BytesHeaderParser(policy=_AsWritten())
_HEADER_LINE = re.compile(rb"[\x21-\x39\x3b-\x7e]+[ \t]*:|[ \t]+\S")
_NAMED_HEADER = re.compile(
    rb"(?:from|to|cc|subject|date|message-id|received|return-path|mime-version|content-type|delivered-to|x-[\w\-]+):",
    re.I,
)
_SPACE_BEFORE_COLON = re.compile(rb"^([\x21-\x39\x3b-\x7e]+)[ \t]+:")
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|$)")
_FIRST_DELIMITER = re.compile(rb"^--([^\s\-][^\r\n]{0,200}?)[ \t]*\r?$", re.M)
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))


@dataclass
class Bounds:
    """What is left of the bounds while one mail is read, and what was wrong with it."""

    parts: int = MAX_PARTS
    defects: list[str] = field(default_factory=list)

    def note(self, defect: str) -> None:
        if defect not in self.defects:
            self.defects.append(defect)


@dataclass(frozen=True)
class Part:
    """One part: its headers, and its body as a span of `source`; `children` of a multipart or an enclosed mail."""

    headers: Message[str, str]
    content_type: str
    source: bytes
    start: int
    end: int
    children: tuple[Part, ...]

    def walk(self) -> Iterator[Part]:
        """This part and all below it, in reading order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def encoded_size(self) -> int:
        return self.end - self.start

    def size(self) -> int:
        """Bytes after decoding, without decoding."""
        if self.transfer_encoding() != "base64":
            return self.encoded_size()
        return len(self.source[self.start : self.end].translate(None, delete=_NOT_BASE64 + b"=")) * 3 // 4

    def transfer_encoding(self) -> str:
        return one_header(self.headers, "content-transfer-encoding").strip().strip('"').lower().split(";")[0].strip()

    def parameter(self, name: str, header: str = "content-type") -> str:
        """A parameter of a structured header, RFC 2231 continuations joined; empty when absent or broken."""
        try:
            value = self.headers.get_param(name, "", header=header)
        except Exception:  # the standard library raises a dozen different errors on malformed parameters
            return ""
        if isinstance(value, tuple):
            charset, _, encoded = value
            return to_text(str(encoded).encode("latin-1", "replace"), charset or "utf-8")[0]
        return str(value)

    def disposition(self) -> str:
        return one_header(self.headers, "content-disposition").split(";")[0].strip().lower()

    def content(self, limit: int, bounds: Bounds) -> bytes:
        """The decoded body; at most about `limit` bytes of it."""
        encoding = self.transfer_encoding()
        body = self.source[
            self.start : min(self.end, self.start + limit * (3 if encoding == "quoted-printable" else 2))
        ]
        if self.end - self.start > len(body):
            bounds.note("text beyond the size limit was not read")
        if encoding == "base64":
            return _from_base64(body, bounds)[:limit]
        if encoding == "quoted-printable":
            return quopri.decodestring(body)[:limit]
        if encoding in {"x-uuencode", "uuencode", "x-uue"}:
            return from_uuencode(body, bounds)[:limit]
        if encoding not in {"", "7bit", "8bit", "binary"}:
            bounds.note("unknown transfer encoding")
        return body[:limit]


def split_mail(raw: bytes) -> tuple[Part, Bounds]:
    """The tree of parts of one raw mail. Never raises; what was wrong stands in the second value."""
    bounds = Bounds()
    if b"\n" not in raw and b"\r" in raw:
        raw = raw.replace(b"\r", b"\n")
    return _part(raw, _skip_leading_blank(raw), len(raw), 0, "text/plain", bounds), bounds


def one_header(headers: Message[str, str], name: str) -> str:
    """The first header of that name as text, unfolded; empty when absent."""
    value = headers.get(name)
    return "" if value is None else re.sub(r"[\r\n]+", "", str(value))


def _skip_leading_blank(raw: bytes) -> int:
    start = len(raw) - len(raw.lstrip())
    return start if start and _NAMED_HEADER.match(raw, start) else 0


def _part(source: bytes, start: int, end: int, depth: int, default_type: str, bounds: Bounds) -> Part:
    bounds.parts -= 1
    body = _end_of_headers(source, start, end, bounds)
    headers = _HEADER_PARSER.parsebytes(_joined_headers(source[start : body[0]]))
    content_type = _content_type(headers, default_type)
    span = (body[1], end)
    children: tuple[Part, ...] = ()
    if content_type.startswith("multipart/"):
        part = Part(headers, content_type, source, *span, ())
        children = tuple(_children(part, depth, bounds))
        if not children:
            bounds.note("multipart without parts")
            content_type = "text/plain"
    elif content_type in {"message/rfc822", "message/global", "message/news"}:
        part = Part(headers, content_type, source, *span, ())
        inner, inner_start, inner_end = source, *span
        if part.transfer_encoding() in {"base64", "quoted-printable"}:
            inner = part.content(part.encoded_size(), bounds)
            inner_start, inner_end = 0, len(inner)
        if depth >= MAX_DEPTH or bounds.parts <= 0:
            bounds.note("nested deeper or in more parts than is read")
        else:
            while inner[inner_start : inner_start + 1] in (b"\r", b"\n") and inner_start < inner_end:
                inner_start += 1
            children = (_part(inner, inner_start, inner_end, depth + 1, "text/plain", bounds),)
    return Part(headers, content_type, source, *span, children)


def _children(part: Part, depth: int, bounds: Bounds) -> Iterator[Part]:
    boundary = part.parameter("boundary").rstrip().encode("utf-8", "surrogateescape")
    if not boundary:
        bounds.note("multipart without boundary")
        guess = _FIRST_DELIMITER.search(part.source, part.start, part.end)
        if guess is None:
            return
        boundary = guess[1]
    if depth >= MAX_DEPTH:
        bounds.note("nested deeper or in more parts than is read")
        return
    default_type = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
    delimiter = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|\r|\Z)", re.M)
    opened: int | None = None
    for match in delimiter.finditer(part.source, part.start, part.end):
        if opened is not None:
            if bounds.parts <= 0:
                bounds.note("nested deeper or in more parts than is read")
                return
            yield _part(
                part.source,
                opened,
                _before_line_end(part.source, opened, match.start()),
                depth + 1,
                default_type,
                bounds,
            )
        opened = None if match[1] else match.end()
    if opened is not None and bounds.parts > 0:
        bounds.note("multipart is not closed")
        yield _part(part.source, opened, part.end, depth + 1, default_type, bounds)


def _before_line_end(source: bytes, start: int, end: int) -> int:
    """RFC 2046 5.1.1: the line end before a delimiter belongs to the delimiter."""
    if end > start and source[end - 1 : end] == b"\n":
        end -= 1
    if end > start and source[end - 1 : end] == b"\r":
        end -= 1
    return end


def _end_of_headers(source: bytes, start: int, end: int, bounds: Bounds) -> tuple[int, int]:
    """Where the headers end and where the body begins."""
    at = start
    limit = min(end, start + MAX_HEADER_BYTES)
    while at < end:
        if at >= limit:
            bounds.note("headers beyond the size limit were not read")
            blank = re.compile(rb"\r?\n\r?\n").search(source, at, end)
            return at, blank.end() if blank else end
        line = _LINE.match(source, at, end)
        after = line.end() if line else end
        content = source[at:after].rstrip(b"\r\n")
        if not content:
            return at, after
        if not (_HEADER_LINE.match(content) or (at == start and content.startswith((b"From ", b">From ")))):
            following = _LINE.match(source, after, end)
            if at == start or following is None or not _NAMED_HEADER.match(following[0]):
                if at > start or _is_text(content):
                    bounds.note("no blank line between headers and body" if at > start else "no headers")
                return at, at
            bounds.note("a line among the headers is no header")
        at = after
    return end, end


def _is_text(line: bytes) -> bool:
    return bool(line.strip())


def _joined_headers(block: bytes) -> bytes:
    """`block` without what would make the standard parser stop early: an mbox line, and lines that are no header."""
    lines = block.splitlines()
    if lines and lines[0].startswith((b"From ", b">From ")):
        lines = lines[1:]
    lines = [_SPACE_BEFORE_COLON.sub(rb"\1:", line) if _HEADER_LINE.match(line) else b" " + line for line in lines]
    return b"\n".join(lines) + b"\n\n"


def _content_type(headers: Message[str, str], default: str) -> str:
    """RFC 2045 5.2, and what senders write instead ("text", "html", "text/html charset=...")."""
    stated = one_header(headers, "content-type").split(";")[0].strip().lower().strip("\"'")
    found = re.match(r"([\w.+\-]+)\s*/\s*([\w.+\-]+)", stated)
    if found:
        return f"{found[1]}/{found[2]}"
    if stated in {"html", "text-html"}:
        return "text/html"
    return default if not stated else "text/plain"


def _from_base64(body: bytes, bounds: Bounds) -> bytes:
    clean = body.translate(None, delete=_NOT_BASE64)
    blank = len(body) - len(body.translate(None, delete=b" \t\r\n"))
    if len(clean) < 0.9 * (len(body) - blank):
        bounds.note("text declared as base64 is not")
        return body
    if len(clean) != len(body) - blank:
        bounds.note("base64 with foreign characters")
    decoded = b""
    for chunk in re.findall(rb"[^=]+", clean):
        if len(chunk) % 4 == 1:
            bounds.note("base64 is cut off")
            chunk = chunk[:-1]
        decoded += binascii.a2b_base64(chunk + b"=" * (-len(chunk) % 4))
    return decoded


def from_uuencode(body: bytes, bounds: Bounds) -> bytes:
    """The content of the first uuencoded file in `body`; lines that cannot be decoded are left out."""
    lines = body.splitlines()
    begin = next((n for n, line in enumerate(lines) if line.startswith(b"begin ")), -1)
    decoded = []
    for line in lines[begin + 1 :]:
        if line.strip() in {b"end", b"`"}:
            break
        try:
            decoded.append(binascii.a2b_uu(line))
        except binascii.Error:
            bounds.note("uuencoded text is broken")
    return b"".join(decoded)
