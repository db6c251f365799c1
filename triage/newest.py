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

from triage.signature import without_signature

MAX_LINES = 5_000
_MAX_LINE = 600
_MAX_INTRO_LINES = 4
_MAX_INTRO = 500


@dataclass(frozen=True)
class Newest:
    """A body in three: what was newly written (answers between quoted lines included), the history, the signature."""

    text: str
    quoted: str
    signature: str


_DATE_FIRST = (
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun|lun|mar|mer|jeu|ven|sam|dim|mo|di|mi|do|fr|sa|so|mi[ée]|jue|vie|s[áa]b|dom|gio)\.?,? )?"
    r"(?:(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.? )?(?=\d)"
)
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
    r"|(?:Quoting|Zitat von|Selon|Citation de|Citando(?: a)?|Mensaje citado por|Citazione (?:di|da))\b.{1,200}:"  # Horde
    # Tuta: "3. März 2025, 10:12 von c@shop.example:".
    rf"|{_DATE_FIRST}(?=.*\d{{4}})(?=.{{1,40}}\b\d{{1,2}}[:.h]\d{{2}}).{{1,60}}"
    r" (?:by|from|von|par|de|por|da|di) <?[^\s<>@]{1,64}@[^\s<>@]{1,200}>?\s?:"
    # In any language: a time of day (no part of a network address), an address in brackets, and a colon at the end.
    r"|(?=.*(?<![\d.])\d{1,2}[:.h]\d{2}(?![\d.]))(?=.*<\s*[^<>\s]+@[^<>\s]+\s*>)\S.*:"
    r")[\s*_]*$",
    re.I,
)
# Zoho: "---- On Mon, 03 Mar 2025 10:12:00 +0100 Shop <c@shop.example> wrote ----"; its first word is often mistranslated.
_WROTE_IN_DASHES = re.compile(
    r"^[>\s*_]*-{3,}\s?[^\s-].*(?:\bwrote|\ba [ée]crit|\bschrieb|\bgeschrieben|\bescribi[óo]|\bha scritto)\s?:?\s?-{2,}[\s*_]*$",
    re.I,
)
# Yahoo on a telephone: the old text follows on the line of the attribution.
_WROTE_INLINE = re.compile(
    r"^[\s*_]*(?:On|Le|Am|El|En|Il)\s(?P<before>[^<>]{4,300})<[^<>\s@]{1,100}@[^<>\s@]{1,200}>\)?\s?"
    r"(?P<verb>wrote|a [ée]crit|schrieb|hat geschrieben|escribi[óo]|ha scritto)?\s?:\s*\S",
    re.I,
)
_WROTE_BEFORE = re.compile(r"\bschrieb\b", re.I)
_INLINE_OPENS = re.compile(r"^[\s*_]*(?:On|Le|Am|El|En|Il)\s\S*\s?.{0,40}\d", re.I)
_TIME = re.compile(
    r"(?<![\d.:])\d{1,2} ?[:h] ?\d{2}(?!\d)"
    r"|\b(?:alle|ore|klo?|um|at|[àa]|las)\.? \d{1,2}\.\d{2}(?![\d.])"
    r"|\b\d{1,2} ?(?:[ap]\.?m\b|uhr\b)",
    re.I,
)
_ADDRESS = re.compile(r"\w@\w")
# What a person who tells of a mail says and no mail program does.
_TOLD = re.compile(
    r"\bm['’]a\b|\bnous a\b|\bwrote (?:to )?(?:me|us)\b|\b(?:mir|uns)\b|\b(?:me|nos) escribi|\b(?:mi|ci) ha\b",
    re.I,
)
_YEAR = re.compile(r"\b(?:19|20)\d\d\b|\b\d{1,2}[./-]\d{1,2}[./-]\d{2}\b")
_OPENS = re.compile(r"^[>\s*_]*(?:Le|On|Am|El|Il|Op|Den|Em|\d{1,4}[-/.])\s?\S*\s?.{0,40}\d")
_DATE_OPENS = re.compile(rf"[>\s*_]*{_DATE_FIRST}", re.I)
_DATED = re.compile(r"\d|@")
_ORIGINAL = re.compile(
    r"^[>\s*]*(?:[-_=*]{2,}\s*)(?:message d['’]origine|message original|message initial|mail original|message transf[ée]r[ée]|"
    r"courriel original|original message|forwarded message|original appointment|reply message|"
    r"urspr[üu]ngliche (?:nachricht|e-?mail|mail)|"
    r"originalnachricht|original-nachricht|weitergeleitete (?:nachricht|e-?mail)|mensaje original|mensaje reenviado|"
    r"messaggio originale|messaggio inoltrato|inoltrato da)[^-_=]{0,80}(?:[-_=*]{2,})?[\s*]*$"
    r"|^[>\s*]*(?:d[ée]but du message (?:transf[ée]r[ée]|r[ée]exp[ée]di[ée]|r[ée]achemin[ée])|begin forwarded message|"
    r"anfang der weitergeleiteten (?:nachricht|e-?mail)|(?:inicio|comienzo) del mensaje reenviado|"
    r"inizio (?:del )?messaggio inoltrato)\s*:?[\s*]*$",
    re.I,
)
_HEADER = re.compile(
    r"^[>\s]*\*?_?(?:"
    r"(?P<sender>de|from|von|da|exp[ée]diteur|mittente|absender|remitente)|"
    r"(?P<moment>message du|envoy[ée](?: le)?|date|sent|gesendet(?: am)?|datum|enviado(?: el)?|enviada(?: el)?|fecha|inviato|data)|"
    r"(?P<subject>objet|sujet|subject|betreff|asunto|oggetto)|"
    r"(?P<other>[àa]|pour|to|an|para|a|per|cc|copie(?: [àa])?|kopie|reply-to|"
    r"r[ée]pondre [àa]|importance|priority|priorit[ée]|destinataires?|empf[äa]nger|destinatario)"
    r")\*?_?[ \u00a0\t]*:(?!//)",
    re.I,
)
_RULE = re.compile(r"^[\s*>]*(?:[-_=–—]{3,}|[*]{3,})[\s*]*$")
_QUOTED = re.compile(r"^\s?(?:>|&gt;|\|\s)(?!\s*\d+(?:[.,]\d+)?\s*(?:€|euros?\b|%))")
_INITIALS = re.compile(r"^[A-Z]{1,3}> ?")


def split_newest(body: str) -> Newest:
    """Divide a plain-text body. Never raises; beyond `MAX_LINES` lines the text is not looked at and stays with the part
    that was open there. Without a quote nothing but the signature is set apart; a mail that is nothing but a quote (a
    forward) is its own text."""
    lines = body.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").split("\n")
    unread = lines[MAX_LINES:]
    kept, quoted = _without_quotes(lines[:MAX_LINES])
    if not _block(kept):
        kept, quoted = lines[:MAX_LINES], []  # a mail that is all quote was sent for the sake of what it quotes
    kept, signature = without_signature(kept)
    if unread:
        (quoted if quoted and not kept else kept).extend(unread)
    return Newest(_block(kept), _block(quoted), _block(signature))


def _without_quotes(lines: list[str]) -> tuple[list[str], list[str]]:
    kept: list[str] = []
    quoted: list[str] = []
    at = 0
    while at < len(lines):
        if _old_text_on_the_line(lines, at):
            quoted += lines[at:]
            break
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
            return end if _is_attribution(candidate, lines, end) else None
    return None


def _wrote(lines: list[str], at: int) -> int | None:
    """The line after an attribution that begins at `at`; mail programs break it over up to four lines."""
    joined = ""
    for n in range(at, min(at + _MAX_INTRO_LINES, len(lines))):
        line = lines[n].strip()
        if not line or len(joined) + len(line) > _MAX_INTRO:
            return None
        if n > at and (_OPENS.match(line) or _is_complete(line) or _marked(line) != _marked(lines[at])):
            return None  # the attribution begins further down
        joined = f"{joined} {line}".strip()
        # A date or an address: "le livreur m'a écrit :" introduces the customer's own story.
        if line.endswith((":", ":*", ":_")) and _WROTE.match(joined) and _DATED.search(joined):
            return n + 1 if _is_attribution(joined, lines, n + 1) else None
        if line.endswith("--") and _WROTE_IN_DASHES.match(joined) and _is_attribution(joined, lines, n + 1):
            return n + 1
    return None


def _is_attribution(intro: str, lines: list[str], end: int) -> bool:
    """Whether a mail program wrote `intro` above the line `end`. "Le 12 novembre à 10 h, Anne a écrit :" tells a story
    unless quoted lines follow: programs state the year too."""
    following = _next_filled(lines, end)
    if _ADDRESS.search(intro) or (following < len(lines) and _is_quote(lines, following)):
        return True
    return bool(_TIME.search(intro) and _YEAR.search(intro)) and not _TOLD.search(intro)


def _old_text_on_the_line(lines: list[str], at: int) -> bool:
    """Whether an attribution begins at `at` that the old text follows without a new line; it may be broken like others."""
    if not _INLINE_OPENS.match(lines[at][:_MAX_INTRO]):
        return False
    joined = ""
    for line in lines[at : at + _MAX_INTRO_LINES]:
        if not line.strip():
            return False
        joined = f"{joined} {line[:_MAX_INTRO].strip()}".strip()[:_MAX_INTRO]
        if line.rstrip().endswith((":", ":*", ":_")):
            return False
        match = _WROTE_INLINE.match(joined)
        if match:
            return bool((match["verb"] or _WROTE_BEFORE.search(match["before"])) and _TIME.search(match["before"]))
    return False


def _is_complete(line: str) -> bool:
    """Whether a line is an attribution from its date to its colon; what stands above it is no part of it."""
    return bool(line.endswith(":") and _DATE_OPENS.match(line) and _TIME.search(line) and _ADDRESS.search(line))


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
    # "De: Paris / Pour: Lyon / Date: 3 mars" is a journey.
    of_a_mail = any(_ADDRESS.search(line[:_MAX_LINE]) or _TIME.search(line[:_MAX_LINE]) for line in lines[at:end])
    complete = "sender" in seen and {"subject", "other"} & seen and ("moment" in seen or count >= 4) and count >= 3
    if complete and of_a_mail:
        return end
    following = _next_filled(lines, end)
    marked = following < len(lines) and _is_quote(lines, following)
    return end if marked and (complete or {"sender", "moment"} <= seen) else None


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


def _next_filled(lines: list[str], n: int) -> int:
    while n < len(lines) and not lines[n].strip():
        n += 1
    return n


def _block(lines: list[str]) -> str:
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n")
