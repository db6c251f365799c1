"""The parts of a mail as spans of its raw bytes, found within fixed bounds of depth, number and size.

Headers go to the standard library; the body is cut here, because the standard parser recurses as deep as a sender likes
(a 3 MB mail nested without end costs it seconds and hundreds of megabytes).
"""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesHeaderParser
from email.policy import Compat32
from functools import cached_property

from triage.charset import to_text
from triage.refused import EXECUTABLES

HEADERS_CUT = "headers beyond the size limit were not read"


@dataclass(frozen=True)
class Limits:
    """How much of one mail is read. What lies beyond stays in the raw bytes, and `Mail.defects` says that it was not read.

    Sizes are in bytes: `text` of all texts of a mail together, decoded; `attachment` of one file and `attachments` of all of
    them, decoded; `headers` of one part's. `parts` counts the files in a winmail.dat too. `refused` are the endings of file
    names and the content types of files that are named only.
    """

    mail: int = 128 * 1024 * 1024
    headers: int = 256 * 1024
    kept_headers: int = 500
    depth: int = 24
    parts: int = 400
    text: int = 2 * 1024 * 1024
    attachment: int = 25 * 1024 * 1024
    attachments: int = 100 * 1024 * 1024
    refused: frozenset[str] = EXECUTABLES


LIMITS = Limits()
_MAX_PARAMETERS = 8_000  # characters; the standard library takes quadratic time to read them
_MAX_DELIMITERS = 100_000
_GUESS_BYTES = 64 * 1024
_CHUNK = 1024 * 1024


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
_BLANK = re.compile(rb"\s*+")
_SPACE_BEFORE_COLON = re.compile(rb"^([\x21-\x39\x3b-\x7e]+)[ \t]+:")
_LINE = re.compile(rb"[^\r\n]*+(?:\r\n|\n|\r|$)")
# Headers as they should be, in one go: nothing but fields and their continuations, then the blank line.
_WHOLE_BLOCK = re.compile(rb"(?:[\x21-\x39\x3b-\x7e]++:[^\r\n]*+\r?\n(?:[ \t]++[^\s][^\r\n]*+\r?\n)*+)++(?=\r?\n)\r?\n")
_FIRST_DELIMITER = re.compile(rb"^--([^\s\-][^\r\n]{0,200})\r?$", re.M)
_UU_BEGIN = re.compile(
    rb"^begin [0-7]{3,4} (\S[^\r\n]{0,200})\r?\n(?=[\x21-`][\x20-`]{1,90}\r?\n|[ `]?\r?\n?end)", re.M
)
_UU_LINES = re.compile(rb"(?:[\x20-`]{1,90}\r?\n)*+")
_UU_END = re.compile(rb"(?:[ `]?\r?\n)?end[ \t]*(?:\r?\n|\Z)")
_AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*(?:\r?\n|\r|\Z)")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))


TOO_NESTED = "nested deeper than is read"


@dataclass
class Bounds:
    """What is left of the limits while one mail is read, and what was wrong with it."""

    limits: Limits = LIMITS
    parts: int = field(init=False)
    text: int = field(init=False)
    delimiters: int = _MAX_DELIMITERS
    unread_parts: int = 0
    defects: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parts = self.limits.parts
        self.text = self.limits.text

    def note(self, defect: str) -> None:
        if defect not in self.defects:
            self.defects.append(defect)

    def all_defects(self) -> tuple[str, ...]:
        """What was wrong, and how much was left out."""
        unread = f"{self.unread_parts} parts beyond the first {self.limits.parts} were not read"
        return (*self.defects, unread) if self.unread_parts else tuple(self.defects)


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
        chunks = (self.source[at : min(at + _CHUNK, self.end)] for at in range(self.start, self.end, _CHUNK))
        return sum(len(chunk.translate(None, delete=_NOT_BASE64 + b"=")) for chunk in chunks) * 3 // 4

    def transfer_encoding(self) -> str:
        return one_header(self.headers, "content-transfer-encoding").strip().strip('"').lower().split(";")[0].strip()

    def parameter(self, name: str) -> str:
        """A parameter of Content-Type, RFC 2231 continuations joined; empty when absent or broken."""
        return self._type_parameters.get(name, "")

    def filename(self) -> str:
        """The file name that the sender states, undecoded; empty when there is none."""
        return self._disposition_parameters.get("filename", "") or self.parameter("name")

    @cached_property
    def _type_parameters(self) -> Mapping[str, str]:
        return _parameters(one_header(self.headers, "content-type"))

    @cached_property
    def _disposition_parameters(self) -> Mapping[str, str]:
        return _parameters(one_header(self.headers, "content-disposition"))

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


def split_mail(raw: bytes, limits: Limits = LIMITS) -> tuple[Part, Bounds]:
    """The tree of parts of one raw mail. Never raises; what was wrong stands in the second value."""
    bounds = Bounds(limits)
    if b"\n" not in raw and b"\r" in raw:
        raw = raw.replace(b"\r", b"\n")
    return _part(raw, _skip_leading_blank(raw), len(raw), 0, "text/plain", bounds), bounds


def one_header(headers: Message[str, str], name: str) -> str:
    """The first header of that name as text, unfolded; empty when absent."""
    value = headers.get(name)
    return "" if value is None else re.sub(r"[\r\n]+", "", str(value))


def _parameters(value: str) -> Mapping[str, str]:
    """The parameters of a structured header by name, decoded; the first of a name counts."""
    if ";" not in value:
        return {}
    carrier: Message[str, str] = Message(policy=_AsWritten())
    carrier["x"] = value[:_MAX_PARAMETERS]
    try:
        found = carrier.get_params([], header="x")
    except Exception:  # the standard library raises a dozen different errors on malformed parameters
        return {}
    parameters: dict[str, str] = {}
    for name, content in found[1:]:
        if isinstance(content, tuple):  # the standard library's types do not say so
            charset, _, encoded = content
            content = to_text(str(encoded).encode("latin-1", "replace"), charset or "utf-8")[0]
        parameters.setdefault(name.lower(), str(content))
    return parameters


def _skip_leading_blank(raw: bytes) -> int:
    start = _BLANK.match(raw).end()  # type: ignore[union-attr]  # it matches nothing, too
    return start if start and _NAMED_HEADER.match(raw, start) else 0


def _part(source: bytes, start: int, end: int, depth: int, default_type: str, bounds: Bounds) -> Part:
    bounds.parts -= 1
    body = _end_of_headers(source, start, end, bounds)
    headers = _HEADER_PARSER.parsebytes(_joined_headers(source[start : body[0]]))
    content_type = _content_type(headers, default_type)
    if max(len(headers.get(name, "")) for name in ("content-type", "content-disposition")) > _MAX_PARAMETERS:
        bounds.note("parameters beyond the size limit were not read")
    span = (body[1], end)
    children: tuple[Part, ...] = ()
    if content_type.startswith("multipart/"):
        part = Part(headers, content_type, source, *span, ())
        children = tuple(_children(part, depth, bounds))
        if not children:
            if depth < bounds.limits.depth:
                bounds.note("multipart without parts")
            content_type = "text/plain"
    elif content_type in {"message/rfc822", "message/global", "message/news"}:
        part = Part(headers, content_type, source, *span, ())
        inner, inner_start, inner_end = source, *span
        if part.transfer_encoding() in {"base64", "quoted-printable"}:
            inner = part.content(part.encoded_size(), bounds)  # smaller than what it stands in, so no limit of its own
            inner_start, inner_end = 0, len(inner)
        if depth >= bounds.limits.depth:
            bounds.note(TOO_NESTED)
        elif bounds.parts <= 0:
            bounds.unread_parts += 1
        else:
            while inner[inner_start : inner_start + 1] in (b"\r", b"\n") and inner_start < inner_end:
                inner_start += 1
            children = (_part(inner, inner_start, inner_end, depth + 1, "text/plain", bounds),)
    return Part(headers, content_type, source, *span, children)


def _children(part: Part, depth: int, bounds: Bounds) -> Iterator[Part]:
    boundary = part.parameter("boundary").rstrip().encode("utf-8", "surrogateescape")
    if not boundary:
        bounds.note("multipart without boundary")
        guess = _FIRST_DELIMITER.search(part.source, part.start, min(part.end, part.start + _GUESS_BYTES))
        if guess is None:
            return
        boundary = guess[1].rstrip()
    if depth >= bounds.limits.depth:
        bounds.note(TOO_NESTED)
        return
    default_type = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
    opened: int | None = None
    for at, after, closes in _delimiters(part, boundary, bounds):
        if opened is not None:
            if bounds.parts <= 0:
                bounds.unread_parts += 1 + part.source.count(b"\n--" + boundary, at, part.end)
                return
            end = _before_line_end(part.source, opened, at)
            yield _part(part.source, opened, end, depth + 1, default_type, bounds)
        opened = None if closes else after
    if opened is not None and bounds.parts <= 0:
        bounds.unread_parts += 1
    elif opened is not None:
        bounds.note("multipart is not closed")
        yield _part(part.source, opened, part.end, depth + 1, default_type, bounds)


def _delimiters(part: Part, boundary: bytes, bounds: Bounds) -> Iterator[tuple[int, int, bool]]:
    """Begin and end of each delimiter line (RFC 2046 5.1.1), and whether it is the last."""
    source, end, opening = part.source, part.end, b"--" + boundary
    at = part.start if source.startswith(opening, part.start, end) else _line_begins(source, opening, part.start, end)
    while at >= 0:
        if bounds.delimiters <= 0:
            bounds.note("more delimiters of parts than are looked at")
            return
        bounds.delimiters -= 1
        line = _AFTER_BOUNDARY.match(source, at + len(opening), end)
        if line:
            yield at, line.end(), bool(line[1])
        # The line end that closes one delimiter may open the next.
        at = _line_begins(source, opening, max(line.end() - 1 if line else 0, at + len(opening)), end)


def _line_begins(source: bytes, opening: bytes, start: int, end: int) -> int:
    """Where the next line after `start` begins with `opening`; -1 when none does."""
    found = source.find(b"\n" + opening, start, end)
    return found + 1 if found >= 0 else -1


def _before_line_end(source: bytes, start: int, end: int) -> int:
    """RFC 2046 5.1.1: the line end before a delimiter belongs to the delimiter."""
    if end > start and source[end - 1 : end] == b"\n":
        end -= 1
    if end > start and source[end - 1 : end] == b"\r":
        end -= 1
    return end


def _end_of_headers(source: bytes, start: int, end: int, bounds: Bounds) -> tuple[int, int]:
    """Where the headers end and where the body begins."""
    limit = min(end, start + bounds.limits.headers)
    whole = _WHOLE_BLOCK.match(source, start, limit)
    if whole:
        return whole.end() - (2 if source[whole.end() - 2 : whole.end()] == b"\r\n" else 1), whole.end()
    at = start
    while at < end:
        line = _LINE.match(source, at, limit)
        after = line.end() if line else limit
        if after >= limit < end:
            bounds.note(HEADERS_CUT)
            return at, _after_blank_line(source, at, end)
        content = source[at:after].rstrip(b"\r\n")
        if not content:
            return at, after
        if not (_HEADER_LINE.match(content) or (at == start and content.startswith((b"From ", b">From ")))):
            following = _LINE.match(source, after, limit)
            if at == start or following is None or not _NAMED_HEADER.match(following[0]):
                if at > start or content.strip():
                    bounds.note("no blank line between headers and body" if at > start else "no headers")
                return at, at
            bounds.note("a line among the headers is no header")
        at = after
    return end, end


def _after_blank_line(source: bytes, start: int, end: int) -> int:
    """Where the body begins, looked for from within the headers; the end when it does not."""
    found = [at + len(blank) for blank in (b"\n\n", b"\n\r\n") if (at := source.find(blank, start, end)) >= 0]
    return min(found, default=end)


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
    decoded = []
    for piece in re.finditer(rb"[^=]+", clean):  # lines that were encoded one by one close in the middle
        chunk = piece[0]
        if len(chunk) % 4 == 1:
            bounds.note("base64 is cut off")
            chunk = chunk[:-1]
        decoded.append(binascii.a2b_base64(chunk + b"=" * (-len(chunk) % 4)))
    return b"".join(decoded)


def uuencoded_files(source: bytes, start: int, end: int) -> Iterator[tuple[int, int, bytes, bool]]:
    """The uuencoded files that stand in a text: begin, end, stated name, and whether the file is closed."""
    at = source.find(b"begin ", start, end)
    while at >= 0 and (begin := _UU_BEGIN.search(source, at, end)) is not None:
        lines = _UU_LINES.match(source, begin.end(), end)
        at = lines.end() if lines else begin.end()
        closed = _UU_END.match(source, at, end)
        at = closed.end() if closed else at
        yield begin.start(), at, begin[1].strip(), closed is not None


def uuencoded_size(file: bytes) -> int:
    """Bytes after decoding, without decoding: what the first letter of each line says, at most what it can hold."""
    lines = file.splitlines()[1:]
    return sum(min((line[0] - 32) & 63, (len(line) - 1) * 3 // 4 + 2) for line in lines if line and line != b"end")


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
