"""Header values as text: encoded words (RFC 2047), addresses, message ids, dates. Nothing here raises on bad input."""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import getaddresses, parsedate_to_datetime

from triage.charset import codec_name, to_text

_WORD = re.compile(
    r"=\?([^?\s]{1,60})\?([BbQq])\?((?:(?!=\?).)*?)\?=(?=\s|=\?|[\"'<>(),;:\]]|$)|=\?([^?\s]{1,60})\?([BbQq])\?([^?]*?)\?=",
    re.S,
)
_GAP = re.compile(r"(\?=)\s+(?==\?[^?\s]+\?[BbQq]\?)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,900}>")
_BARE_ID = re.compile(r"(?<![^<>\s,;])[^<>\s,;@]+@[^<>\s,;]+")
_ADDRESS = re.compile(r"(?<![^\s<>@\",;:()\[\]])[^\s<>@\",;:()\[\]]{1,128}@[^\s<>@\",;:()]{1,255}")
MAX_VALUE = 20_000
MAX_ID = 400
MAX_ADDRESS = 320  # a path of RFC 5321 has 256, some servers write more


@dataclass(frozen=True)
class Address:
    """A mailbox: `address` in lower case (empty when there is none), `name` decoded."""

    address: str
    name: str


def decode_header(value: str, charset: str = "") -> str:
    """A header value as a person reads it: unfolded, encoded words and raw 8-bit text decoded.

    `charset` is what raw 8-bit text is tried in first: the character set of the mail's body.
    """
    value = _raw_to_text(re.sub(r"[\r\n]+", "", value[:MAX_VALUE]), charset)
    value = _GAP.sub(r"\1", value)
    pieces: list[str] = []
    run: list[tuple[str, bytes]] = []  # adjacent words: a character may be cut between two of them
    at = 0
    for match in _WORD.finditer(value):
        if value[at : match.start()]:
            pieces.append(_join(run))
            run = []
            pieces.append(value[at : match.start()])
        charset, encoding, text = (match[1], match[2], match[3]) if match[1] else (match[4], match[5], match[6])
        run.append((charset, _word_bytes(encoding, text)))
        at = match.end()
    pieces.append(_join(run))
    pieces.append(value[at:])
    return _CONTROL.sub(" ", "".join(pieces)).strip()


def addresses(values: Iterable[str], charset: str = "") -> tuple[Address, ...]:
    """The mailboxes of address headers, in order; groups flattened, encoded names decoded."""
    found = []
    for value in values:
        text = _raw_to_text(re.sub(r"[\r\n]+", "", value[:MAX_VALUE]), charset)
        try:
            pairs = getaddresses([text])
        except Exception:  # the standard library raises on some malformed lists
            pairs = []
        for name, address in pairs:
            if "@" in address:
                found.append(Address(_clean_address(address), decode_header(name)))
            elif name or address:
                # Unquoted commas and encoded words with specials make the strict reader give up: take what looks like an address.
                found += [
                    Address(_clean_address(each), "") for each in _ADDRESS.findall(decode_header(f"{name} {address}"))
                ]
        if not any(each.address for each in found):
            decoded = decode_header(text)
            name = decoded.split("<")[0].strip().strip('"')
            found += [Address(_clean_address(each), name) for each in _ADDRESS.findall(decoded)]
    return tuple(dict.fromkeys(found))


def message_ids(value: str) -> tuple[str, ...]:
    """The ids of Message-ID, In-Reply-To or References, each once, with their angle brackets; of one that is longer than any
    program makes it, a digest."""
    value = re.sub(r"[\r\n]+", "", value[: 10 * MAX_VALUE])
    found = _MESSAGE_ID.findall(value) or [f"<{each}>" for each in _BARE_ID.findall(value)]
    return tuple(dict.fromkeys(_bounded(_CONTROL.sub("", each).encode("ascii", "replace").decode()) for each in found))


def _bounded(message_id: str) -> str:
    if len(message_id) <= MAX_ID:
        return message_id
    return f"<{hashlib.sha256(message_id.encode()).hexdigest()[:40]}@long.invalid>"


def parse_date(value: str) -> datetime | None:
    """The moment of a Date header in UTC; None when it says none."""
    try:
        moment = parsedate_to_datetime(re.sub(r"[\r\n]+", "", value))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None


def _clean_address(address: str) -> str:
    clean = _CONTROL.sub("", decode_header(address)).strip().strip("<>").replace(" ", "").lower()
    return clean if len(clean) <= MAX_ADDRESS else ""


def _raw_to_text(value: str, charset: str = "") -> str:
    """Undo the surrogates by which the standard library carries raw bytes."""
    try:
        data = value.encode("ascii", "surrogateescape")
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode("utf-8")
    return to_text(data, charset)[0]


def _word_bytes(encoding: str, text: str) -> bytes:
    if encoding in "Qq":
        return binascii.a2b_qp(text.encode("utf-8", "replace"), header=True)
    data = re.sub(rb"[^A-Za-z0-9+/]", b"", text.encode("ascii", "ignore"))
    if len(data) % 4 == 1:
        data = data[:-1]
    return binascii.a2b_base64(data + b"=" * (-len(data) % 4))


def _join(run: list[tuple[str, bytes]]) -> str:
    text = ""
    while run:
        charset = run[0][0].split("*")[0]
        same = [data for name, data in run if codec_name(name) == codec_name(charset)]
        if len(same) == len(run):
            return text + to_text(b"".join(same), charset)[0]
        count = next(n for n, (name, _) in enumerate(run) if codec_name(name) != codec_name(charset))
        text += to_text(b"".join(data for _, data in run[:count]), charset)[0]
        run = run[count:]
    return text
