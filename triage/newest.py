"""The newest text of a mail, apart from the quoted history and the signature.

quotequail finds the lines that introduce a quote in the languages it knows; what it misses in our five languages, and
where it would cut a customer's own words, is corrected here. mail-parser-reply was measured too and is not used: it finds
less, and its expressions take quadratic time (1.6 s for 5 kB of "On On On"). Every line that is taken away is kept in
`quoted` or `signature`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import quotequail

MAX_LINES = 5_000
_MAX_LINE = 600
_MAX_INTRO_LINES = 4
_MAX_SIGNATURE = 15  # lines with text
_MAX_INTRO = 500


@dataclass(frozen=True)
class Newest:
    """A body in three: what was newly written (answers between quoted lines included), the history, the signature."""

    text: str
    quoted: str
    signature: str


# "Le 3 mars 2025 à 10:12, Jean <jean@x.example> a écrit :", and with the writer first.
_WROTE = re.compile(
    r"^[>\s*_]*(?:"
    r"(?:Le|En date du|Date|Message du)\b.*\b(?:a|à|avez|ont|m'a) [ée]crit\b[^:]{0,40}:"
    r"|.*\b(?:a|à) [ée]crit(?: le\b.*)?\s*:"
    r"|On\b.*\b(?:wrote|writes|said)\b[^:]{0,40}:"
    r"|.*[>)\"]\s*(?:wrote|writes)\b.*:"
    r"|(?:Am|Vom)\b.*\b(?:schrieb|geschrieben)\b.*:"
    r"|.*\bschrieb(?: am\b.*)?\s*:"
    r"|.*\bhat (?:am )?.*geschrieben\s*:"
    r"|El\b.*\bescribi[óo]\b[^:]{0,40}:"
    r"|.*\bescribi[óo](?: el\b.*)?\s*:"
    r"|Il\b.*\bha scritto\b[^:]{0,40}:"
    r"|.*\bha scritto(?: il\b.*)?\s*:"
    # In any language: a time of day (no part of a network address), an address in brackets, and a colon at the end.
    r"|(?=.*(?<![\d.])\d{1,2}[:.h]\d{2}(?![\d.]))(?=.*<\s*[^<>\s]+@[^<>\s]+\s*>)\S.*:"
    r")[\s*_]*$",
    re.I,
)
_OPENS = re.compile(r"^[>\s*_]*(?:Le|On|Am|El|Il|Op|Den|Em|\d{1,4}[-/.])\s?\S*\s?.{0,40}\d")
_DATED = re.compile(r"\d|@")
_ORIGINAL = re.compile(
    r"^[>\s*]*(?:[-_=*]{2,}\s*)(?:message d['’]origine|message original|message initial|mail original|message transf[ée]r[ée]|"
    r"courriel original|original message|forwarded message|original appointment|reply message|"
    r"urspr[üu]ngliche (?:nachricht|e-?mail|mail)|"
    r"originalnachricht|original-nachricht|weitergeleitete (?:nachricht|e-?mail)|mensaje original|mensaje reenviado|"
    r"messaggio originale|messaggio inoltrato|inoltrato da)[^-_=]{0,80}(?:[-_=*]{2,})?[\s*]*$"
    r"|^[>\s*]*(?:d[ée]but du message (?:transf[ée]r[ée]|r[ée]exp[ée]di[ée])|begin forwarded message|"
    r"anfang der weitergeleiteten (?:nachricht|e-?mail)|inicio del mensaje reenviado|inizio messaggio inoltrato)\s*:?[\s*]*$",
    re.I,
)
_HEADER = re.compile(
    r"^[>\s]*\*?_?(?:"
    r"(?P<sender>de|from|von|da|exp[ée]diteur|mittente|absender|remitente)|"
    r"(?P<moment>message du|envoy[ée](?: le)?|date|sent|gesendet(?: am)?|datum|enviado(?: el)?|enviada(?: el)?|fecha|inviato|data)|"
    r"(?P<other>[àa]|pour|to|an|para|a|per|cc|copie(?: [àa])?|kopie|objet|sujet|subject|betreff|asunto|oggetto|reply-to|"
    r"r[ée]pondre [àa]|importance|priority|priorit[ée]|destinataires?|empf[äa]nger|destinatario)"
    r")\*?_?[ \u00a0\t]*:(?!//)",
    re.I,
)
_RULE = re.compile(r"^[\s*>]*(?:[-_=–—]{3,}|[*]{3,})[\s*]*$")
_QUOTED = re.compile(r"^\s?(?:>|&gt;|\|\s)(?!\s*\d+(?:[.,]\d+)?\s*(?:€|euros?\b|%))")
_INITIALS = re.compile(r"^[A-Z]{1,3}> ?")
_DELIMITER = re.compile(r"^\s*(?:--|—|––|__)\s*$")
_SIGN_RULE = re.compile(r"^\s*[_*=~-]{8,}\s*$")
_DEVICE = re.compile(
    r"^[\s*_>-]*(?:"
    r"envoy[ée](?:e|es|s)? (?:de|depuis|via|par|avec|[àa] partir (?:de|du)|sous|[àa] l'aide)\b.{0,90}"
    r"|(?:t[ée]l[ée]charge[rz]|obtenez|obtenir) .{0,20}outlook .{0,60}"
    r"|provenance\s*: courrier pour windows.{0,20}"
    r"|sent (?:from|via|with|by|on) (?:my|the|your|an?|outlook|mail|yahoo|aol|samsung|proton|gmail|"
    r"iphone|ipad|windows|mobile|android|spark|sparrow|blackberry|mailbird)\b.{0,90}"
    r"|sent from (?!\w+ (?:the|a|an)\b)[\w.]+(?: [\w.]+){0,3}"
    r"|get outlook for \w+.{0,40}|download outlook .{0,40}"
    r"|(?:gesendet|versendet|verschickt) (?:von|mit|[üu]ber|aus)\b.{0,90}"
    r"|von meinem .{0,60} gesendet.{0,60}|von .{0,40}(?:iphone|ipad|handy|samsung).{0,20} gesendet"
    r"|diese nachricht wurde (?:von|mit) .{0,90} gesendet\.?"
    r"|enviado (?:desde|con|a trav[ée]s)\b.{0,90}|obtener outlook .{0,40}"
    r"|inviato (?:da|dal|con|tramite)\b.{0,90}|scarica outlook .{0,40}|ottieni outlook .{0,40}"
    r"|(?:garanti )?sans virus[. ].{0,60}|virus-?free[. ].{0,60}"
    r"|virenfrei[. ].{0,60}|libre de virus[. ].{0,60}|privo di virus[. ].{0,60}"
    r"|l'absence de virus dans ce courrier .{0,120}"
    r")[\s*_.]*$",
    re.I,
)


def split_newest(body: str) -> Newest:
    """Divide a plain-text body. Never raises; beyond `MAX_LINES` lines the text is not looked at and stays with the part
    that was open there. Without a quote nothing but the signature is set apart; a mail that is nothing but a quote (a
    forward) is its own text."""
    lines = body.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").split("\n")
    unread = lines[MAX_LINES:]
    kept, quoted = _without_quotes(lines[:MAX_LINES])
    if not _block(kept):
        kept, quoted = lines[:MAX_LINES], []  # a mail that is all quote was sent for the sake of what it quotes
    kept, signature = _without_signature(kept)
    if unread:
        (quoted if quoted and not kept else kept).extend(unread)
    return Newest(_block(kept), _block(quoted), _block(signature))


def _without_quotes(lines: list[str]) -> tuple[list[str], list[str]]:
    kept: list[str] = []
    quoted: list[str] = []
    at = 0
    while at < len(lines):
        intro = _intro(lines, at)
        if intro is not None:
            following = _next_filled(lines, intro)
            nested = following < len(lines) and _is_quote(lines, following)
            end = _end_of_quote(lines, following) if nested else len(lines)
            quoted += lines[at:end]
            at = end
        elif _is_quote(lines, at):
            end = _end_of_quote(lines, at)
            quoted += lines[at:end]
            at = end
        else:
            kept.append(lines[at])
            at += 1
    return kept, quoted


def _intro(lines: list[str], at: int) -> int | None:
    """The line after what introduces a quote at `at`; None when nothing does."""
    line = lines[at]
    if not line.strip() or len(line) > _MAX_LINE:
        return None
    if _ORIGINAL.match(line):
        return at + 1
    start = at + 1 if _RULE.match(line) else at
    headers = _header_block(lines, _next_filled(lines, start) if start > at else at)
    if headers is not None:
        return headers
    if start > at:
        return None
    wrote = _wrote(lines, at)
    if wrote is not None:
        return wrote
    return _library_intro(lines, at)


def _library_intro(lines: list[str], at: int) -> int | None:
    """The line after what quotequail takes for an introduction; it knows languages that are not ours. It is asked only
    where a date or an address makes one likely: alone it cuts a story at "le livreur a écrit :", and takes its time."""
    for end in (at + 1, at + 2):
        candidate = "\n".join(lines[at:end])
        if (
            len(candidate) > _MAX_LINE
            or not candidate.rstrip().endswith((":", "-", ">"))
            or not _DATED.search(candidate)
        ):
            continue
        pieces = quotequail.quote(candidate, quote_intro_line=True)
        if len(pieces) > 1 and not pieces[0][1]:
            return end
    return None


def _wrote(lines: list[str], at: int) -> int | None:
    """The line after an attribution that begins at `at`; mail programs break it over up to four lines."""
    joined = ""
    for n in range(at, min(at + _MAX_INTRO_LINES, len(lines))):
        line = lines[n].strip()
        if not line or len(joined) + len(line) > _MAX_INTRO:
            return None
        if n > at and (_OPENS.match(line) or _marked(line) != _marked(lines[at])):
            return None  # the attribution begins further down
        joined = f"{joined} {line}".strip()
        # A date or an address: "le livreur m'a écrit :" introduces the customer's own story.
        if line.endswith((":", ":*", ":_")) and _WROTE.match(joined) and _DATED.search(joined):
            return n + 1
    return None


def _marked(line: str) -> bool:
    return bool(re.match(r"\s*>(?!\s*:)", line))


def _header_block(lines: list[str], at: int) -> int | None:
    """The line after a block such as "De : / Envoyé : / À : / Objet :" that begins at `at`."""
    seen: set[str] = set()
    count = 0
    end = at
    misses = 0
    for n in range(at, min(at + 14, len(lines))):
        match = _HEADER.match(lines[n]) if len(lines[n]) <= _MAX_LINE else None
        if match:
            seen.add(match.lastgroup or "")
            count += 1
            end = n + 1
            misses = 0
        elif n == at:
            return None
        elif lines[n].strip():
            misses += 1
            if misses > 2:
                break
        elif count >= 3:
            break
    if {"sender", "other"} <= seen and ("moment" in seen or count >= 4) and count >= 3:
        return end
    following = _next_filled(lines, end)
    marked = following < len(lines) and _is_quote(lines, following)
    return end if marked and {"sender", "moment"} <= seen else None


def _is_quote(lines: list[str], n: int) -> bool:
    """Whether line `n` is marked as quoted; the initials of "JD> text" count when the next line has them too."""
    if _QUOTED.match(lines[n]):
        return True
    initials = _INITIALS.match(lines[n])
    if initials is None:
        return False
    neighbours = (*lines[max(0, n - 1) : n], *lines[n + 1 : n + 2])
    return any(line.startswith(initials[0].strip()) for line in neighbours)


def _end_of_quote(lines: list[str], at: int) -> int:
    """The line after the last one of the quoted block at `at`, with the lines that a mail program broke off."""
    end = at
    n = at
    while n < len(lines):
        if _is_quote(lines, n):
            end = n + 1
        elif lines[n].strip() and not (end == n and _is_wrapped(lines, n)):
            break
        elif lines[n].strip():
            end = n + 1
        n += 1
    return end


def _is_wrapped(lines: list[str], n: int) -> bool:
    """Whether line `n` is the tail of a long quoted line that was broken without a mark."""
    long_before = len(lines[n - 1]) > 60 and _is_quote(lines, n - 1)
    goes_on = n + 1 < len(lines) and _is_quote(lines, n + 1) and len(lines[n]) < 40
    return long_before and (goes_on or lines[n].lstrip()[:1].islower())


def _without_signature(lines: list[str]) -> tuple[list[str], list[str]]:
    filled = [n for n, line in enumerate(lines) if line.strip()]
    # A signature is no longer than this, so that only the last lines can open one.
    last = filled[-_MAX_SIGNATURE - 1 :]
    first = max(last[0] if len(last) > _MAX_SIGNATURE else 0, filled[0] + 1 if filled else 0)
    for n in range(first, len(lines)):
        rest = [lines[m] for m in last if m > n]
        short = len(rest) <= 6 and all(len(each) < 80 for each in rest)
        if _DELIMITER.match(lines[n]) or (short and _SIGN_RULE.match(lines[n])):
            return _without_device(lines[:n], lines[n:])
    return _without_device(lines, [])


def _without_device(lines: list[str], signature: list[str]) -> tuple[list[str], list[str]]:
    """Take "Envoyé de mon iPhone" and its like off the last lines."""
    filled = [n for n, line in enumerate(lines) if line.strip()]
    taken = [n for n in filled[-3:] if n > filled[0] and len(lines[n]) <= _MAX_LINE and _DEVICE.match(lines[n])]
    return [line for n, line in enumerate(lines) if n not in taken], [lines[n] for n in taken] + signature


def _next_filled(lines: list[str], n: int) -> int:
    while n < len(lines) and not lines[n].strip():
        n += 1
    return n


def _block(lines: list[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n")
