"""What a bounce says: which address did not get which mail of ours, whether for good, and why.

A delivery status notification (RFC 3464) says it in fields; other bounces say it in words, of which only a status code
(RFC 3463, RFC 5321 section 4.2) and an enclosed Message-ID are believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.message import Message
from typing import Literal

from triage.headers import addresses, decode_header, message_ids
from triage.html_text import read_html
from triage.mime import Bounds, Part, one_header, split_mail
from triage.subjects import read_subject

MAX_BYTES = 4 * 1024 * 1024
"""What is read of a bounce: the report and the headers of what came back stand before the bulk of it."""
MAX_REASON = 400
MAX_READ = 256 * 1024
MAX_FAILURES = 50

Lasting = Literal["permanent", "temporary"]

_STATUS_PARTS = {"message/delivery-status", "message/global-delivery-status"}
_OTHER_REPORTS = {"message/disposition-notification", "message/feedback-report"}
"""A mail that was read, deleted unread (RFC 8098) or complained about (RFC 5965) has arrived."""
_ORIGINAL_PARTS = {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global"}
_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
_REPLY = re.compile(r"(?<![\d.\-])([45])\d\d(?=[ \-](?:[245]\.\d|[A-Za-z<\"'#]))")
_ENCLOSED_ID = re.compile(r"^[ \t>|]*(?:message-id|in-reply-to)[ \t]*:[ \t]*(<[^<>\s]{1,900}>)", re.I | re.M)
_DELAYED = re.compile(r"delay|retr(?:y|ied)|will (?:keep|continue)|warning|retard|verz[öo]ger|retras|ritard", re.I)
_ADDRESS = re.compile(r"[\w.+%=\-]{1,64}@[\w\-]+(?:\.[\w\-]+)+")
_ANGLED = re.compile(r"^[ \t>|]*<([\w.+%=/\-]{1,64}@[\w\-]+(?:\.[\w\-]+)+)>", re.M)


@dataclass(frozen=True)
class Failure:
    """One address that did not get our mail. `address` is in lower case and empty when the bounce names none; `lasting` is
    what the address is (5.x permanent, 4.x temporary); `delayed` says that the other server still tries; `status` is the
    enhanced status code or empty; `reason` the other server's words."""

    address: str
    lasting: Lasting
    delayed: bool
    status: str
    reason: str


@dataclass(frozen=True)
class Delivery:
    """What a bounce reports. `original_ids` are the Message-IDs of the mail that came back."""

    failures: tuple[Failure, ...]
    original_ids: tuple[str, ...]


def read_delivery(raw: bytes) -> Delivery:
    """Read a bounce; never raises. A report of success or of something else has no failures."""
    root, bounds = split_mail(raw[:MAX_BYTES])
    parts = list(root.walk())
    original = next((at for at, part in enumerate(parts) if part.content_type in _ORIGINAL_PARTS), len(parts))
    told = _words(parts[:original], bounds)[:MAX_READ]
    reports = [part for part in parts if part.content_type in _STATUS_PARTS]
    if any(part.content_type in _OTHER_REPORTS for part in parts[:original]):
        failures = []
    elif reports:
        failures = [each for part in reports for each in _reported(part, told, bounds)]
    else:
        failures = list(_said(root, told))
    return Delivery(tuple(dict.fromkeys(failures))[:MAX_FAILURES], _original_ids(parts[original:], told, bounds))


def _reported(part: Part, told: str, bounds: Bounds) -> Iterator[Failure]:
    """The failed and delayed recipients of a delivery-status part (RFC 3464, section 2.3)."""
    for block in re.split(r"\n[ \t]*\n", _text(part, bounds)):
        fields = _fields(block)
        action = fields.get("action", "").split("(")[0].strip().lower()
        recipient = fields.get("original-recipient") or fields.get("final-recipient") or ""
        recipient = _address(recipient.partition(";")[2] or recipient)
        if not ("action" in fields or "status" in fields) or action in {"delivered", "relayed", "expanded"}:
            continue
        diagnostic = fields.get("diagnostic-code", "")
        diagnostic = diagnostic.partition(";")[2].strip() or diagnostic
        status = next((match[0] for match in _STATUS.finditer(fields.get("status", ""))), "")
        if action != "delayed":
            # Servers that relay a refusal often state 5.0.0 or 4.0.0 and quote the real one.
            vague = not status or status.endswith(".0.0")
            status = (_code(diagnostic) if vague else "") or status
        lasting: Lasting = "temporary" if action == "delayed" or status[:1] == "4" else "permanent"
        if status[:1] == "2":
            continue
        yield Failure(
            recipient, lasting, action == "delayed", status, _reason(diagnostic or _sentence(told, recipient))
        )


def _said(root: Part, told: str) -> Iterator[Failure]:
    """What a bounce without fields says, about the addresses that it names."""
    subject = decode_header(one_header(root.headers, "subject"))
    named = [each.address for each in addresses([one_header(root.headers, "x-failed-recipients")]) if each.address]
    if not named:
        ours = {each.address for each in addresses([one_header(root.headers, "to")])}
        found = _ANGLED.findall(told) or _ADDRESS.findall(told)
        daemon = {each.address for each in addresses([one_header(root.headers, "from")])}
        named = [each.lower() for each in found if each.lower() not in ours | daemon][:1]
    for address in dict.fromkeys(named or [""]):
        sentence = _sentence(told, address)
        status = _code(sentence) or _code(told)
        delayed = not status and bool(_DELAYED.search(f"{subject}\n{told[:2000]}"))
        if not (address or status or delayed or read_subject(subject)):
            continue  # nothing says that a mail has failed
        lasting: Lasting = "temporary" if delayed or status[:1] == "4" else "permanent"
        yield Failure(address, lasting, delayed, status, _reason(sentence or subject))


def _code(text: str) -> str:
    """The first status code in a text: an enhanced one, else what an SMTP reply code amounts to ("5.0.0")."""
    enhanced = next((match[0] for match in _STATUS.finditer(text) if match[1] != "2"), "")
    if enhanced:
        return enhanced
    reply = _REPLY.search(text)
    return f"{reply[1]}.0.0" if reply else ""


def _sentence(told: str, address: str) -> str:
    """The paragraph that follows an address in a bounce's text."""
    at = told.lower().find(address) if address else -1
    after = told[at + len(address) : at + 2000] if at >= 0 else ""
    paragraphs = (each.strip(' >:;()"\n\t') for each in re.split(r"\n[ \t]*\n", after))
    return next((each for each in paragraphs if each), "")


def _original_ids(parts: list[Part], told: str, bounds: Bounds) -> tuple[str, ...]:
    found: list[str] = []
    for part in parts:
        if part.content_type in {"message/rfc822", "message/global"}:
            # Its own id only: the mails that it answers are not the one that came back.
            found += [each for child in part.children for each in message_ids(one_header(child.headers, "message-id"))]
        elif part.content_type in _ORIGINAL_PARTS:
            found += _ENCLOSED_ID.findall(_text(part, bounds))[:1]
    return tuple(dict.fromkeys(found or _ENCLOSED_ID.findall(told)[:1]))


def _fields(block: str) -> dict[str, str]:
    unfolded = re.sub(r"\n[ \t]+", " ", block)
    pairs = (line.partition(":") for line in unfolded.split("\n") if ":" in line)
    return {name.strip().lower(): decode_header(value.strip()) for name, _, value in pairs}


def _words(parts: Sequence[Part], bounds: Bounds) -> str:
    """What is said in plain text, or where nothing is, in HTML."""
    said = {
        kind: "\n".join(_text(part, bounds) for part in parts if part.content_type == kind and not part.children)
        for kind in ("text/plain", "text/html")
    }
    return said["text/plain"] if said["text/plain"].strip() else read_html(said["text/html"])[0]


def _text(part: Part, bounds: Bounds) -> str:
    if part.children:
        # A delivery-status part is cut like an enclosed mail by nobody; a multipart has no words of its own.
        return "\n\n".join(_header_text(child.headers) for child in part.children)
    data = part.content(MAX_READ, bounds).decode("utf-8", "replace")
    return data.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


def _header_text(headers: Message[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers.items())


def _address(text: str) -> str:
    found = next((each.address for each in addresses([text.strip().strip("<>")]) if each.address), "")
    return found.lower()


def _reason(text: str) -> str:
    return " ".join(re.sub(r"[\x00-\x1f\x7f]+", " ", text).split())[:MAX_REASON]
