"""A raw mail as a `Mail`: headers decoded, text found, newest text apart from history and signature, attachments named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.message import Message

from triage.charset import to_text
from triage.headers import Address, addresses, decode_header, message_ids, parse_date
from triage.html_text import html_to_text
from triage.mime import Bounds, Part, from_uuencode, one_header, split_mail
from triage.newest import split_newest

MAX_MAIL_BYTES = 32 * 1024 * 1024
MAX_TEXT_BYTES = 2 * 1024 * 1024
MAX_TEXT = 1_000_000
MAX_KEPT_HEADERS = 500

_UUENCODED = re.compile(r"^begin [0-7]{3,4} (\S.{0,200})\n((?:[\x20-\x60]{1,70}\n)+?)(?:[ `]\n)?end[ \t]*$", re.M)
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset=[\"']?([\w\-]{1,40})", re.I)
_LOOKS_HTML = re.compile(r"\s*(?:<!doctype html|<html\b|<body\b)", re.I)
_NO_MESSAGE = re.compile(
    r"(?:this (?:message|e-?mail).{0,60}html|html.{0,60}(?:capable|enabled|viewer|e-?mail)|"
    r"(?:ce|votre|le) (?:message|e-?mail|mail|client|logiciel).{0,80}html|(?:diese|ihr) .{0,80}html)",
    re.I | re.S,
)
_MARKUP = re.compile(r"</?[a-z][^<>]{0,200}>", re.I)
_TEXT_ATTACHMENTS = {
    "text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/csv", "text/css", "text/javascript", "text/xml",
    "text/rfc822-headers", "text/x-amp-html", "text/watch-html",
}  # fmt: skip


@dataclass(frozen=True)
class Attachment:
    """A file that came along: named, not read. `size` is in bytes, decoded."""

    name: str
    content_type: str
    size: int
    inline: bool


@dataclass(frozen=True)
class Mail:
    """One mail as read. All text is decoded; addresses are in lower case; ids keep their angle brackets.

    `text` is what the sender newly wrote, `quoted` the history below or between it, `signature` the rest; `full_text` is
    the whole body as found. `envelope_from` is the return path: None when unknown, "" for the null sender (a bounce).
    `headers` maps lower-case names to all their values, unfolded and decoded. `content_types` lists every part, enclosed
    mails included. `defects` says what was wrong, in words.
    """

    message_id: str
    message_id_made: bool
    in_reply_to: str | None
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
        return tuple(dict.fromkeys((*self.references, *((self.in_reply_to,) if self.in_reply_to else ()))))

    def header(self, name: str) -> str:
        """The first value of a header, "" when absent."""
        return next(iter(self.headers.get(name.lower(), ())), "")


def read_mail(raw: bytes, *, envelope_from: str | None = None) -> Mail:
    """Read one raw mail (RFC 5322 and what senders make of it). Never raises: what is wrong is noted in `defects`.

    `envelope_from` is what the mail server was told in MAIL FROM; without it the Return-Path header or the mbox line count.
    """
    kept = raw[:MAX_MAIL_BYTES]
    root, bounds = split_mail(kept)
    if len(raw) > len(kept):
        bounds.note(f"only the first {MAX_MAIL_BYTES} bytes of {len(raw)} were read")
    if not raw.strip():
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
    answered = message_ids(one_header(headers, "in-reply-to"))
    return Mail(
        message_id=ids[0] if ids else f"<{hashlib.sha256(raw).hexdigest()[:40]}@content.invalid>",
        message_id_made=not ids,
        in_reply_to=answered[0] if answered else None,
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
        attachments=tuple(body.attachments),
        envelope_from=_envelope(kept, headers, envelope_from),
        headers=_kept_headers(headers, charset, bounds),
        content_types=tuple(part.content_type for part in root.walk()),
        defects=tuple(bounds.defects),
    )


@dataclass
class _Body:
    text: str
    enclosed: str
    has_html: bool
    attachments: list[Attachment]


def _read_body(root: Part, bounds: Bounds) -> _Body:
    body = _Body("", "", any(part.content_type == "text/html" for part in root.walk()), [])
    pieces = [piece for piece in _text_of(root, body, bounds) if piece.strip()]
    body.text = "\n\n".join(piece.strip("\n") for piece in pieces)[:MAX_TEXT]
    body.text = _take_uuencoded(body.text, body.attachments, bounds)
    return body


def _text_of(part: Part, body: _Body, bounds: Bounds, enclosed: bool = False) -> Iterator[str]:
    """The readable text below `part` in reading order; attachments go to `body`."""
    kind = part.content_type
    if kind.startswith("multipart/"):
        chosen = _alternative(part, bounds) if kind == "multipart/alternative" else None
        for child in part.children:
            if chosen is None or child is chosen or not _is_text(child):
                yield from _text_of(child, body, bounds, enclosed)
    elif kind in {"message/rfc822", "message/global", "message/news"}:
        inner = part.children[0] if part.children else None
        if not enclosed:
            subject = decode_header(one_header(inner.headers, "subject")) if inner is not None else ""
            body.attachments.append(Attachment(f"{subject or 'message'}.eml", kind, part.encoded_size(), False))
        if inner is not None:
            text = "\n\n".join(_text_of(inner, _Body("", "", False, []), bounds, True)).strip()
            if enclosed:
                yield text
            elif text:
                body.enclosed = f"{body.enclosed}\n\n{text}".strip()[:MAX_TEXT]
    elif _is_text(part):
        yield _leaf_text(part, bounds)
    else:
        body.attachments.append(_attachment(part))


def _is_text(part: Part) -> bool:
    if part.content_type.startswith("multipart/"):
        return part.content_type in {"multipart/related", "multipart/alternative"}
    return (
        part.content_type.startswith("text/")
        and part.content_type not in _TEXT_ATTACHMENTS
        and part.disposition() != "attachment"
        and not (_filename(part) and part.content_type not in {"text/plain", "text/html"})
    )


def _alternative(part: Part, bounds: Bounds) -> Part | None:
    """The one of a multipart/alternative to read: the plain text, unless it only says that there is HTML."""
    plain = [child for child in part.children if child.content_type == "text/plain" and _is_text(child)]
    rich = [child for child in part.children if child not in plain and _is_text(child)]
    for child in plain:
        text = _leaf_text(child, bounds)
        if not text.strip():
            continue
        stub = rich and len(text) < 500 and _NO_MESSAGE.search(text)
        markup = rich and len(_MARKUP.findall(text)) > 5 and len("".join(_MARKUP.findall(text))) > 0.3 * len(text)
        if not stub and not markup:
            return child
    return rich[-1] if rich else (plain[0] if plain else None)


def _leaf_text(part: Part, bounds: Bounds) -> str:
    data = part.content(MAX_TEXT_BYTES, bounds)
    declared = part.parameter("charset")
    if not declared and part.content_type == "text/html":
        meta = _META_CHARSET.search(data, 0, 4096)
        declared = meta[1].decode() if meta else ""
    text, problem = to_text(data, declared)
    if problem:
        bounds.note(problem)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if part.content_type == "text/html" or _LOOKS_HTML.match(text):
        return html_to_text(text)
    if part.content_type in {"text/enriched", "text/richtext"}:
        return _MARKUP.sub("", text.replace("<nl>", "\n").replace("<<", "<"))
    if part.parameter("format").lower() == "flowed":
        return unflow(text, delete_space=part.parameter("delsp").lower() == "yes")
    return text


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


def _take_uuencoded(text: str, attachments: list[Attachment], bounds: Bounds) -> str:
    """Files written into the text become attachments, their letters leave it."""

    def name_it(match: re.Match[str]) -> str:
        data = from_uuencode(match[0].encode("ascii", "replace"), bounds)
        attachments.append(Attachment(match[1].strip(), "application/octet-stream", len(data), False))
        return ""

    return _UUENCODED.sub(name_it, text) if "\nend" in text and "begin " in text else text


def _attachment(part: Part) -> Attachment:
    name = _filename(part)
    inline = part.disposition() == "inline" or (
        bool(one_header(part.headers, "content-id")) and part.disposition() == ""
    )
    return Attachment(name or _made_name(part.content_type), part.content_type, part.size(), inline)


def _filename(part: Part) -> str:
    name = part.parameter("filename", "content-disposition") or part.parameter("name")
    # Only the last step of a path, and nothing that a file system or a terminal would act on.
    return re.sub(r"[\x00-\x1f\x7f]", "", decode_header(name)).replace("\\", "/").rpartition("/")[2][:200].strip()


def _made_name(content_type: str) -> str:
    subtype = content_type.partition("/")[2]
    return f"{content_type.partition('/')[0]}.{re.sub(r'[^a-z0-9]', '', subtype.removeprefix('x-'))[:8] or 'bin'}"


def _values(headers: Message[str, str], name: str) -> list[str]:
    return [str(value) for value in headers.get_all(name, [])]


def _kept_headers(headers: Message[str, str], charset: str, bounds: Bounds) -> Mapping[str, tuple[str, ...]]:
    kept: dict[str, list[str]] = {}
    for count, (name, value) in enumerate(headers.items()):
        if count >= MAX_KEPT_HEADERS:
            bounds.note("more headers than are kept")
            break
        kept.setdefault(name.strip().lower(), []).append(decode_header(str(value), charset))
    return {name: tuple(values) for name, values in kept.items()}


def _envelope(raw: bytes, headers: Message[str, str], told: str | None) -> str | None:
    if told is not None:
        return told.strip().strip("<>").lower()
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
