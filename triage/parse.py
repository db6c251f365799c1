"""A raw mail as a `Mail`: headers decoded, text found, newest text apart from history and signature, attachments named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import Message
from enum import StrEnum

from triage.charset import to_text
from triage.headers import MAX_ADDRESS, Address, addresses, decode_header, message_ids, parse_date
from triage.html_text import read_html
from triage.mime import (
    LIMITS,
    Bounds,
    Limits,
    Part,
    from_uuencode,
    one_header,
    split_mail,
    uuencoded_files,
    uuencoded_size,
)
from triage.newest import split_newest
from triage.refused import HEAD, is_refused
from triage.tnef import Tnef, read_tnef

MAX_MAIL_BYTES = LIMITS.mail
MAX_TEXT = 1_000_000  # characters
MORE_HEADERS = "more headers than are kept"

_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset=[\"']?([\w\-]{1,40})", re.I)
_LOOKS_HTML = re.compile(r"\s*(?:<!doctype html|<html\b|<body\b)", re.I)
_NO_MESSAGE = re.compile(
    r"(?:this (?:message|e-?mail).{0,60}html|html.{0,60}(?:capable|enabled|viewer|e-?mail)|"
    r"(?:ce|votre|le) (?:message|e-?mail|mail|client|logiciel).{0,80}html|(?:diese|ihr) .{0,80}html)",
    re.I | re.S,
)
_UNSAFE_IN_NAMES = re.compile(r"[\x00-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_MARKUP = re.compile(r"</?[a-z][^<>]{0,200}>", re.I)
_TEXT_ATTACHMENTS = {
    "text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/csv", "text/css", "text/javascript", "text/xml",
    "text/rfc822-headers", "text/x-amp-html", "text/watch-html",
}  # fmt: skip


class LeftOut(StrEnum):
    """Why the content of a file is only to be had from the raw mail; NO when `read_attachments` gives it."""

    NO = ""
    TOO_BIG = "too_big"
    TOO_MUCH = "too_much"
    """The files of the mail before it have used up what is kept of one mail."""
    REFUSED = "refused_type"


@dataclass(frozen=True)
class Attachment:
    """A file that came along: named, not read. `size` is in bytes, decoded."""

    name: str
    content_type: str
    size: int
    inline: bool
    left_out: LeftOut = LeftOut.NO


@dataclass(frozen=True)
class Mail:
    """One mail as read. All text is decoded; addresses are in lower case; ids keep their angle brackets.

    `text` is what the sender newly wrote, `quoted` the history below or between it, `signature` the rest; `full_text` is
    the whole body as found. `envelope_from` is the return path: None when unknown, "" for the null sender (a bounce).
    `answers` are the ids of In-Reply-To.
    `headers` maps lower-case names to all their values, unfolded and decoded. `content_types` lists every part, enclosed
    mails included. `defects` says in words what was wrong and what was left out; an agent must see it.
    """

    message_id: str
    message_id_made: bool
    answers: tuple[str, ...]
    references: tuple[str, ...]
    from_address: str
    from_name: str
    reply_to: str
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    subject: str
    date: datetime | None
    text: str
    quoted: str
    signature: str
    full_text: str
    has_html: bool
    attachments: tuple[Attachment, ...]
    envelope_from: str | None
    headers: Mapping[str, tuple[str, ...]]
    content_types: tuple[str, ...]
    defects: tuple[str, ...]

    @property
    def thread_ids(self) -> tuple[str, ...]:
        """The ids of the mails that this one answers, oldest first."""
        return tuple(dict.fromkeys((*self.references, *self.answers)))

    @property
    def in_reply_to(self) -> str | None:
        """The mail that this one answers; programs that answer several name it first."""
        return self.answers[0] if self.answers else None

    def header(self, name: str) -> str:
        """The first value of a header, "" when absent."""
        return next(iter(self.headers.get(name.lower(), ())), "")


def read_mail(raw: bytes, *, envelope_from: str | None = None, limits: Limits = LIMITS) -> Mail:
    """Read one raw mail (RFC 5322 and what senders make of it). Never raises: what is wrong is noted in `defects`.

    `envelope_from` is what the mail server was told in MAIL FROM; without it the Return-Path header or the mbox line count.
    """
    kept = raw[: limits.mail]
    root, bounds = split_mail(kept, limits)
    if len(raw) > len(kept):
        bounds.note(f"only the first {len(kept)} bytes of {len(raw)} were read")
    if not raw or raw.isspace():
        bounds.note("empty")
    headers = root.headers
    body = _read_body(root, bounds)
    newest = split_newest(body.text)
    ids = message_ids(one_header(headers, "message-id"))
    if not ids:
        bounds.note("no Message-ID")
    charset = next((stated for part in root.walk() if (stated := part.parameter("charset"))), "")
    senders = addresses(_values(headers, "from"), charset) or addresses(_values(headers, "sender"), charset)
    sender = next((each for each in senders if each.address), senders[0] if senders else Address("", ""))
    replies = addresses(_values(headers, "reply-to"))
    if not sender.address:
        bounds.note("no sender")
    return Mail(
        message_id=ids[0] if ids else f"<{hashlib.sha256(raw).hexdigest()[:40]}@content.invalid>",
        message_id_made=not ids,
        answers=message_ids(" ".join(_values(headers, "in-reply-to"))),
        references=message_ids(" ".join(_values(headers, "references"))),
        from_address=sender.address,
        from_name=sender.name,
        reply_to=next((each.address for each in replies if each.address), ""),
        to=addresses(_values(headers, "to")),
        cc=addresses(_values(headers, "cc")),
        subject=decode_header(one_header(headers, "subject"), charset),
        date=parse_date(one_header(headers, "date")),
        text=newest.text if body.text else "",
        quoted="\n\n".join(each for each in (newest.quoted, body.enclosed) if each),
        signature=newest.signature,
        full_text=body.text or body.enclosed,
        has_html=body.has_html,
        attachments=tuple(file.attachment for file in body.files),
        envelope_from=_envelope(kept, headers, envelope_from),
        headers=_kept_headers(headers, charset, bounds),
        content_types=tuple(part.content_type for part in root.walk()),
        defects=bounds.all_defects(),
    )


def read_attachments(raw: bytes, *, limits: Limits = LIMITS) -> Iterator[tuple[Attachment, bytes | None]]:
    """The files of `Mail.attachments` in the same order, each with its decoded content; None for one that is left out.
    Never raises."""
    root, bounds = split_mail(raw[: limits.mail], limits)
    for file in _read_body(root, bounds).files:
        yield file.attachment, None if file.attachment.left_out else file.content(None, bounds)


_Content = Callable[[int | None, Bounds], bytes]
"""The decoded bytes of a file, about as many as asked for or all."""


@dataclass(frozen=True)
class _File:
    attachment: Attachment
    content: _Content


@dataclass
class _Body:
    """What is found on the way through the parts. `outlook` is the text of a winmail.dat, read when there is no other."""

    bounds: Bounds
    text: str = ""
    enclosed: str = ""
    outlook: str = ""
    has_html: bool = False
    files: list[_File] = field(default_factory=list)
    kept_bytes: int = 0

    def add_file(self, name: str, kind: str, size: int, inline: bool, content: _Content) -> None:
        """Name a file; what is refused or beyond the limits of size is named with the reason."""
        limits, reason = self.bounds.limits, LeftOut.NO
        if is_refused(name, kind, content(HEAD, Bounds(limits))[:HEAD], limits.refused):
            reason = LeftOut.REFUSED
            self.bounds.note("attachments of a refused type are only in the raw mail")
        elif size > limits.attachment:
            reason = LeftOut.TOO_BIG
        elif self.kept_bytes + size > limits.attachments:
            reason = LeftOut.TOO_MUCH
        if reason in (LeftOut.TOO_BIG, LeftOut.TOO_MUCH):
            self.bounds.note("attachments beyond the size limit are only in the raw mail")
        elif not reason:
            self.kept_bytes += size
        self.files.append(_File(Attachment(name, kind, size, inline, reason), content))

    def enclose(self, text: str) -> None:
        if text:
            self.enclosed = f"{self.enclosed}\n\n{text}".strip()[:MAX_TEXT]


def _read_body(root: Part, bounds: Bounds) -> _Body:
    body = _Body(bounds, has_html=any(part.content_type == "text/html" for part in root.walk()))
    body.text = _joined_text(root, body)[:MAX_TEXT]
    return body


def _joined_text(part: Part, body: _Body) -> str:
    """All readable text below `part`; without any, that of a winmail.dat."""
    pieces = [piece.strip("\n") for piece in _text_of(part, body) if piece.strip()]
    return "\n\n".join(pieces) if pieces else body.outlook


def _text_of(part: Part, body: _Body, enclosed: bool = False, files_only: bool = False) -> Iterator[str]:
    """The readable text below `part` in reading order; attachments go to `body`."""
    kind = part.content_type
    if kind == "multipart/alternative":
        chosen, text = (None, None) if files_only else _alternative(part, body)
        for child in part.children:
            if child is not chosen:
                yield from _text_of(child, body, enclosed, files_only=chosen is not None or files_only)
            elif text is not None:
                yield text
            else:
                yield from _text_of(child, body, enclosed)
    elif kind.startswith("multipart/"):
        for child in part.children:
            yield from _text_of(child, body, enclosed, files_only)
    elif kind in {"message/rfc822", "message/global", "message/news"}:
        inner = part.children[0] if part.children else None
        if not enclosed:
            subject = decode_header(one_header(inner.headers, "subject")) if inner is not None else ""
            name = f"{_title(subject) or 'message'}.eml"
            body.add_file(name, kind, part.encoded_size(), False, _content_of(part))
        if inner is not None:
            inside = _Body(body.bounds)
            pieces = [each for each in _text_of(inner, inside, True) if each.strip()] or [inside.outlook]
            text = "\n\n".join(pieces).strip()
            if enclosed:
                yield text
            else:
                body.enclose(text)
    elif _is_text(part):
        if not files_only:
            yield _leaf_text(part, body)
    elif not _read_winmail(part, body):
        _add_part(part, body)


def _content_of(part: Part) -> _Content:
    return lambda limit, bounds: part.content(part.encoded_size() if limit is None else limit, bounds)


def _is_text(part: Part) -> bool:
    return (
        part.content_type.startswith("text/")
        and part.content_type not in _TEXT_ATTACHMENTS
        and part.disposition() != "attachment"
        and not (_filename(part) and part.content_type not in {"text/plain", "text/html"})
    )


def _has_text(part: Part) -> bool:
    return _is_text(part) or (
        part.content_type.startswith("multipart/") and any(_has_text(child) for child in part.children)
    )


def _alternative(part: Part, body: _Body) -> tuple[Part | None, str | None]:
    """The one of a multipart/alternative to read, the plain text unless it only says that there is HTML; and its text when
    that was already read for the choice."""
    plain = [child for child in part.children if child.content_type == "text/plain" and _is_text(child)]
    rich = [child for child in part.children if child not in plain and _has_text(child)]
    for child in plain:
        text = _leaf_text(child, body)
        if not text.strip():
            continue
        stub = rich and len(text) < 500 and _NO_MESSAGE.search(text)
        markup = rich and len(_MARKUP.findall(text)) > 5 and len("".join(_MARKUP.findall(text))) > 0.3 * len(text)
        if not stub and not markup:
            return child, text
    return (rich[-1], None) if rich else (plain[0], text) if plain else (None, None)


def _leaf_text(part: Part, body: _Body) -> str:
    bounds = body.bounds
    data = _text_bytes(part, body)
    declared = part.parameter("charset")
    if not declared and part.content_type == "text/html":
        meta = _META_CHARSET.search(data, 0, 4096)
        declared = meta[1].decode() if meta else ""
    text, problem = to_text(data, declared)
    if problem:
        bounds.note(problem)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if part.content_type == "text/html" or _LOOKS_HTML.match(text):
        text, problem = read_html(text)
        if problem:
            bounds.note(problem)
        return text
    if part.content_type in {"text/enriched", "text/richtext"}:
        return _MARKUP.sub("", text.replace("<nl>", "\n").replace("<<", "<"))
    if part.parameter("format").lower() == "flowed":
        return unflow(text, delete_space=part.parameter("delsp").lower() == "yes")
    return text


def _text_bytes(part: Part, body: _Body) -> bytes:
    """The bytes of a text part, as many as the mail may still have, without the files that are written into it."""
    bounds = body.bounds
    source, start, end = part.source, part.start, part.end
    if part.transfer_encoding() in {"base64", "quoted-printable", "x-uuencode", "uuencode", "x-uue"}:
        source = part.content(bounds.text, bounds)
        start, end = 0, len(source)
    elif part.transfer_encoding() not in {"", "7bit", "8bit", "binary"}:
        bounds.note("unknown transfer encoding")
    pieces = []
    left = bounds.text
    at = start
    if part.content_type == "text/plain":
        for begin, after, name, closed in uuencoded_files(source, start, end):
            pieces.append(source[at : min(begin, at + left)])
            left -= len(pieces[-1])
            at = after
            if not closed:
                bounds.note("a uuencoded file is cut off")
            _add_uuencoded(source, begin, after, name, body)
    pieces.append(source[at : min(end, at + left)])
    if end - at > left:
        bounds.note("text beyond the size limit was not read")
    bounds.text = left - len(pieces[-1])
    return b"".join(pieces)


def _add_uuencoded(source: bytes, begin: int, end: int, stated: bytes, body: _Body) -> None:
    if body.bounds.parts <= 0:
        body.bounds.unread_parts += 1
        return
    body.bounds.parts -= 1
    size = uuencoded_size(source[begin:end])
    name = _safe_name(to_text(stated)[0]) or "file.bin"

    def content(limit: int | None, bounds: Bounds) -> bytes:
        # A line holds 45 bytes in 61 letters, behind a first line with the name.
        return from_uuencode(source[begin : end if limit is None else min(end, begin + 1000 + 2 * limit)], bounds)

    body.add_file(name, "application/octet-stream", size, False, content)


def _read_winmail(part: Part, body: _Body) -> bool:
    """Take body and files out of a winmail.dat; False when `part` is none, or none that can be read."""
    name = _filename(part).lower()
    if part.content_type not in {"application/ms-tnef", "application/vnd.ms-tnef"} and name != "winmail.dat":
        return False
    bounds = body.bounds
    if part.size() > bounds.limits.attachment:
        return False  # it is named with the reason
    stream = part.content(part.encoded_size(), bounds)
    found = read_tnef(stream, bounds)
    if found is None:
        bounds.note("winmail.dat could not be read")
        return False
    body.outlook = body.outlook or found.text
    for file in found.files:
        label = _safe_name(file.name)
        if file.message is not None:
            body.enclose(_enclosed_outlook(file.message))
            label = label or _title(file.message.subject) or "message"
        start, end = file.span
        body.add_file(
            label or _made_name(file.content_type),
            file.content_type,
            end - start,
            file.inline,
            _span_of(stream, start, end),
        )
    return True


def _span_of(stream: bytes, start: int, end: int) -> _Content:
    return lambda limit, _bounds: stream[start : end if limit is None else min(end, start + limit)]


def _enclosed_outlook(message: Tnef) -> str:
    """The text of a message in a winmail.dat and of those in it."""
    inside = (_enclosed_outlook(file.message) for file in message.files if file.message is not None)
    return "\n\n".join(text for text in (message.text, *inside) if text)


def unflow(text: str, *, delete_space: bool = False) -> str:
    """Join the soft-broken lines of format=flowed text (RFC 3676 section 4)."""
    paragraphs: list[list[str]] = []
    open_depth = -1
    for line in text.split("\n"):
        depth = len(line) - len(line.lstrip(">"))
        content = line[depth:].removeprefix(" ")  # space-stuffing
        signature = content == "-- "
        soft = content.endswith(" ") and not signature
        if soft and delete_space:
            content = content[:-1]
        if open_depth == depth and not signature:
            paragraphs[-1].append(content)
        else:
            paragraphs.append([f"{'>' * depth} {content}" if depth else content])
        open_depth = depth if soft else -1
    return "\n".join(each if each == "-- " else each.rstrip() for each in map("".join, paragraphs))


def _add_part(part: Part, body: _Body) -> None:
    inline = part.disposition() == "inline" or (
        bool(one_header(part.headers, "content-id")) and part.disposition() == ""
    )
    name = _filename(part) or _made_name(part.content_type)
    body.add_file(name, part.content_type, part.size(), inline, _content_of(part))


def _filename(part: Part) -> str:
    stated = part.filename()
    return _safe_name(decode_header(stated)) if stated else ""


def _title(subject: str) -> str:
    """A subject as a file name."""
    return _safe_name(re.sub(r"[/\\]", "-", subject))


def _safe_name(name: str) -> str:
    """Only the last step of a path, and nothing that a file system or a terminal would act on, nor what turns the direction
    of writing around: "photo\\u202egpj.exe" looks like a picture."""
    return _UNSAFE_IN_NAMES.sub("", name).replace("\\", "/").rpartition("/")[2][:200].strip()


def _made_name(content_type: str) -> str:
    subtype = content_type.partition("/")[2]
    return f"{content_type.partition('/')[0]}.{re.sub(r'[^a-z0-9]', '', subtype.removeprefix('x-'))[:8] or 'bin'}"


def _values(headers: Message[str, str], name: str) -> list[str]:
    return [str(value) for value in headers.get_all(name, [])]


def _kept_headers(headers: Message[str, str], charset: str, bounds: Bounds) -> Mapping[str, tuple[str, ...]]:
    kept: dict[str, list[str]] = {}
    for count, (name, value) in enumerate(headers.items()):
        if count >= bounds.limits.kept_headers:
            bounds.note(MORE_HEADERS)
            break
        kept.setdefault(name.strip().lower(), []).append(decode_header(str(value), charset))
    return {name: tuple(values) for name, values in kept.items()}


def _envelope(raw: bytes, headers: Message[str, str], told: str | None) -> str | None:
    if told is not None:
        return told.strip().strip("<>").lower()[:MAX_ADDRESS]
    path = headers.get("return-path")
    if path is not None:
        stated = re.sub(r"\s", "", decode_header(str(path)))
        return "" if stated in {"<>", ""} else next(iter(_bare_addresses(stated)), stated.strip("<>").lower())
    line = re.match(rb">?From (\S+) ", raw)
    if line and b":" not in line[1]:
        sender = line[1].decode("ascii", "replace").strip("<>").lower()
        return "" if sender == "mailer-daemon" else sender
    return None


def _bare_addresses(text: str) -> Iterator[str]:
    yield from (each.address for each in addresses([text]) if each.address)
