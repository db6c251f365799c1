"""Whether the sender of a mail is who the From line says: read from what our own mail server wrote (RFC 8601).

Only Authentication-Results fields that bear our server's name count: for the sender the topmost, against them any. None is
believed unless that name is configured: anybody can write such a field into a mail, and our server must remove those that
claim to be its own (RFC 8601 section 5). A DMARC pass verifies; without a DMARC result, an SPF or DKIM pass for exactly the
From domain does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

MAX_HEADER_BYTES = 512 * 1024

Standing = Literal["verified", "failed", "unknown"]

_BARE_OR_ANGLE = re.compile(r"(?:.*<([^<>\s]+@[^<>\s@]+)>|([^<>\s,;\"]+@[^<>\s,;\"@]+))\s*", re.S)


@dataclass(frozen=True)
class SenderCheck:
    """`verified`: our server vouches for the From address. `failed`: it says that somebody else wrote the mail. `unknown`:
    it says neither. `why` names the result that decided, as `dmarc=pass`."""

    standing: Standing = "unknown"
    why: str = ""


UNKNOWN_SENDER = SenderCheck()


@dataclass(frozen=True)
class MethodResult:
    """One result of an Authentication-Results field; `properties` as `smtp.mailfrom`, names in lower case."""

    method: str
    result: str
    properties: Mapping[str, str]


def verify_sender(raw: bytes, from_address: str, authserv_id: str) -> SenderCheck:
    """Check `from_address` (lower case, as `read_mail` gives it) of the mail `raw`. Without an `authserv_id` nobody is known."""
    fields = list(_header_fields(raw[:MAX_HEADER_BYTES]))
    senders = [value for name, value in fields if name == "from"]
    # Two From lines, two authors, or an address that readers take apart differently: one of them was not checked.
    if not authserv_id or len(senders) != 1 or not from_address or _only_address(senders[0]) != from_address:
        return UNKNOWN_SENDER
    stated = [parse_results(value) for name, value in fields if name == "authentication-results"]
    ours = [results for server, results in stated if server == authserv_id.lower()]
    if any(each.method == "dmarc" and each.result == "fail" for results in ours for each in results):
        return SenderCheck("failed", "dmarc=fail")
    return _standing(ours[0], from_address.rpartition("@")[2]) if ours else UNKNOWN_SENDER


def parse_results(value: str) -> tuple[str, tuple[MethodResult, ...]]:
    """The authserv-id (lower case) and the results of one field; ("", ()) when it is not well formed."""
    statements = _statements(value)
    if not statements or not statements[0]:
        return "", ()
    return statements[0][0].lower(), tuple(result for words in statements[1:] for result in _result(words))


def _standing(results: tuple[MethodResult, ...], domain: str) -> SenderCheck:
    for each in results:
        checked = each.properties.get("header.from", domain).rpartition("@")[2].lower()
        if each.method == "dmarc" and each.result == "pass" and checked == domain:
            return SenderCheck("verified", "dmarc=pass")
    if any(each.method == "dkim" and each.result == "pass" and _signer(each) == domain for each in results):
        return SenderCheck("verified", "dkim=pass")
    for each in results:
        mail_from = each.properties.get("smtp.mailfrom", "").rpartition("@")[2].lower()
        if each.method == "spf" and mail_from == domain and each.result in {"pass", "fail"}:
            return SenderCheck("verified" if each.result == "pass" else "failed", f"spf={each.result}")
    return UNKNOWN_SENDER


def _signer(dkim: MethodResult) -> str:
    """The domain that signed. Exact, not organisational: what is related beyond that is DMARC's to say, by our server."""
    stated = dkim.properties.get("header.d") or dkim.properties.get("header.i", "")
    return stated.rpartition("@")[2].lower()


def _only_address(value: str) -> str:
    match = _BARE_OR_ANGLE.fullmatch(value.strip())
    return (match[1] or match[2]).lower() if match else ""


def _header_fields(raw: bytes) -> Iterator[tuple[str, str]]:
    """The fields of the header block as they stand, unfolded. Encoded words stay: decoded, they could forge a result. Only
    a line feed ends a line: what `str.splitlines` ends one at besides could hide a field from our mail server."""
    block = re.split(rb"\r?\n\r?\n", raw.lstrip(b"\r\n"), maxsplit=1)[0].decode("utf-8", "replace")
    for field in re.sub(r"\r?\n(?=[ \t])", "", block).split("\n"):
        name, colon, value = field.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


def _statements(value: str) -> list[list[str]]:
    """The words between semicolons; comments dropped, quoted strings part of their word. Empty when one is left open."""
    statements: list[list[str]] = [[]]
    word, depth, quoted, at = "", 0, False, 0
    while at < len(value):
        letter = value[at]
        escaped = value[at + 1 : at + 2] if letter == "\\" and (quoted or depth) else ""
        at += 2 if escaped else 1
        if depth:
            depth += 0 if escaped else (letter == "(") - (letter == ")")
        elif quoted:
            quoted = bool(escaped) or letter != '"'
            word += escaped or (letter if quoted else "")
        elif letter == '"':
            quoted = True
        elif letter in "(; \t":
            statements[-1] += [word] if word else []
            word = ""
            depth = int(letter == "(")
            if letter == ";":
                statements.append([])
        else:
            word += letter
    if depth or quoted:
        return []
    statements[-1] += [word] if word else []
    return statements


def _result(words: list[str]) -> Iterator[MethodResult]:
    pairs = _pairs(words)
    if pairs:
        method, result = pairs[0]
        properties: dict[str, str] = {}
        for name, value in pairs[1:]:
            properties.setdefault(name.lower(), value)
        yield MethodResult(method.partition("/")[0].lower(), result.lower(), properties)


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    """`name=value` pairs, with or without blanks around the equals sign."""
    joined: list[str] = []
    for word in words:
        if joined and (
            ("=" not in joined[-1] and word.startswith("="))
            or (joined[-1].count("=") == 1 and joined[-1].endswith("="))
        ):
            joined[-1] += word
        else:
            joined.append(word)
    return [(name, value) for name, sign, value in (each.partition("=") for each in joined) if sign]
