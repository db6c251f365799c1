"""Order numbers, e-mail addresses and postcodes in a text, and the numbers that are none of them.

A shop's order number comes in three shapes: `CMD-2026-104233`, nine digits, or six digits whose context says "order".
People type them with spaces, dots, dashes and across line breaks. Numbers of other kinds (phone, IBAN, VAT, ISBN/EAN,
tracking, date, amount, card) are recognised first, so that none of them is taken for an order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import phonenumbers
import yaml
from stdnum import ean, iban, isbn
from stdnum.eu import vat

REMEMBERED_TEXTS = 256  # of a message, whole and cut into sentences, which is asked several times

EntityKind = Literal["order_number", "email", "postcode"]


@dataclass(frozen=True)
class Entity:
    """`value` is normalised; `start` and `end` are character offsets into the text that was read."""

    kind: EntityKind
    value: str
    start: int
    end: int


_GAP = r"[\s.\-_/\u2010-\u2015]{0,3}"  # what may stand between the groups of one number, line breaks included
_FULL = re.compile(
    rf"(?<![^\W\d_])(?:cmd|commande|cde)[\s.:°º#n\-_/\u2010-\u2015]{{0,6}}(20\d\d){_GAP}(\d(?:{_GAP}\d){{5}})(?!\d)",
    re.I,
)
_YEAR_AND_SIX = re.compile(r"(?<![\d\w])(?<!\d[ .\-/])(20[2-4]\d)\s?[-\u2010-\u2015 ]\s?(\d{6}|\d{3}[ .]\d{3})(?!\d)")
_NINE = re.compile(
    r"""(?<!\w)(?<!\d[ .\-/])
        ([1-9]\d{2} (?P<gap>[\s.\-\u2010-\u2015]{1,2}|) \d{3} (?:(?P=gap)|[\s.\-]{1,2}) \d{3})
        (?![ .\-]?\d)(?![^\W\d_])""",
    re.X,
)
_DIGITS = re.compile(r"(?<![\w])(?<!\d[.,/\-])\d(?:[\s.\-\u2010-\u2015]{0,2}\d){5,8}(?![.,/\-]?\d)(?![^\W\d_])")

_EMAIL = re.compile(r"(?<![\w.+\-])[\w.+\-]{1,64}@(?:[\w\-]{1,63}\.){1,5}[^\W\d_]{2,24}(?![\w\-])")
_LINK = re.compile(r"(?:https?://|www\.)\S+", re.I)
_TRACKING = re.compile(
    r"""(?<!\w)(?: 1Z[0-9A-Z]{16}                                              # UPS
        | [A-Z]{2}[ ]?\d{3}[ ]?\d{3}[ ]?\d{3}[ ]?[A-Z]{2}                      # postal services (UPU S10)
        | (?!(?:LA|LE|MA|DE|DU|EL|DEL|MI|IL|DIE|MY|THE)[ ])\d?[A-Z]{1,3}[ ]?\d{2}(?:[ ]?\d){7,16}  # Colissimo and the like
        | JJD\d{12,20} | \d{12,30} )(?!\w)""",
    re.X,
)
_DATE = re.compile(
    r"(?<!\d)(?:\d{1,2}[/.\-]\d{1,2}[/.\-](?:\d{4}|\d{2})|\d{4}-\d{2}-\d{2}|\d{1,2}\s?[h:]\s?\d{2}(?!\d))(?!\d)"
)
_AMOUNT = re.compile(
    r"""(?<![\d\w])(?: [€$£]\s?\d{1,3}(?:[ .,\u00a0\u202f]?\d{3})*(?:[.,]\d{1,2})?
        | \d{1,3}(?:[ .,\u00a0\u202f]?\d{3})*(?:[.,]\d{1,2})?\s?(?:€|\$|£|euros?\b|eur\b|centimes\b|cents?\b|%) )""",
    re.I | re.X,
)
_DECIMAL = re.compile(r"(?<![\d.,])\d{1,6}[.,]\d{2}(?![\d.,]|\s?\d{3})")
_ALPHANUMERIC = re.compile(r"(?<!\w)(?=\w*\d)(?=\w*[^\W\d_])\w{4,40}(?!\w)")
# A point and a space end a sentence, unless two digits and a space or another point follow.
_PHONE = re.compile(r"(?<![\w])(?:\+|00|\(?0)\(?\d(?:(?:\.[ ]?(?=\d\d\b)|\.(?=\d)|[\s\-/()\u00a0]{0,3})\d){6,13}(?!\w)")
_SPANISH_PHONE = re.compile(
    r"(?<![\w.])(?:[6789]\d{2}(?:[\s.]?\d{2}){3}|[6789]\d{2}(?:[\s.]?\d{3}){2}|[89]\d[\s.]\d{3}(?:[\s.]\d{2}){2})(?!\w)"
)
_BY_TWOS = re.compile(r"\d{3}(?:[\s.]\d\d){3}|\d\d[\s.]\d{3}(?:[\s.]\d\d){2}")  # nobody writes an order so
_ITALIAN_MOBILE = re.compile(r"(?<![\w.])3\d{2}[\s.\-/]?\d{3}[\s.]?\d{3,4}(?!\w)")
_THIRTEEN = re.compile(r"(?<![\w])\d(?:[ \-]?\d){12}(?![\w])")
_ISBN10 = re.compile(r"(?<![\w])\d(?:[ \-]?\d){8}[ \-]?[\dXx](?![\w])")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ ]?[0-9A-Z]{2,4}){3,8}(?!\w)", re.I)
_VAT = re.compile(
    r"(?<!\w)(?!(?:DEL|DER|DEN|DEM|DES|ESE|EST|BEI|LUI)[ ])(?:FR|DE|ES|IT|BE|LU|AT|NL|PT|GB)"
    r"[ .\-]?[0-9A-Z]{1,2}[ .\-]?\d(?:[ .\-]?[0-9A-Z]){5,11}(?!\w)"
)
_CARD = re.compile(r"(?<![\w])\d{4}(?:[ \-]?\d{4}){3}(?![\w])")

# The noun nearest before a number says what it counts.
_NOUNS: dict[str, list[str]] = yaml.safe_load(
    (Path(__file__).parent / "data" / "lexicon" / "numbers.yml").read_text(encoding="utf-8")
)
_ORDER_STEMS = tuple(_NOUNS["order"])
_OTHER_NOUNS = frozenset(_NOUNS["other"])
_BILLS = frozenset(_NOUNS["bill"])
_SPANISH_WORDS = frozenset(_NOUNS["spanish"])
_FEWEST_SPANISH = 3  # different ones: a message shorter than that may be a bare answer to "which order?"
_FILLERS = frozenset(_NOUNS["fillers"])
_WORDS = re.compile(r"[^\W\d_]+", re.UNICODE)
_ACCENTS = str.maketrans("àâäáãéèêëíìîïóòôöõúùûüçñ", "aaaaaeeeeiiiiooooouuuucn")
_SENTENCE_END = re.compile(r"[.!?;]\s+(?=[^\W\d_])|\n\s*\n")
_LABEL_ENDS = re.compile(r"[!?,]|\w{5,}\.(?:\s|$)")  # what stands between a number and a noun that is not its name
# "la 104233", or "N° 104233" without saying of what: an order is meant.
_SPOKEN_OF = re.compile(r"\b(?:la|ma|die|del|il|el|dossier|reserva)$|(?:^|[.!?,;:\n])\s*n[°o.]$", re.I)
# "anulen 813 660 205": nobody cancels a telephone.
_DONE_TO_AN_ORDER = re.compile(r"\b(?:anul|cancel|devolv|devoluci|devu[eé]lv)\w*(?: (?:el|la|del|de la))?\s*$", re.I)
_DAY = re.compile(r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d\d")
_BEFORE = 60
_LINKING = re.compile(r"\s*(?:[,;/&+]|\bet\b|\bou\b|\band\b|\bund\b|\by\b|\be\b|\bn[°º]|\bpuis\b|\s|-)*\s*", re.I)

_FIVE_DIGITS = re.compile(
    r"(?<![\w])(?<!\d[ .,\-/])\d{5}(?![\w])(?![.,]\d|[ \-/]\d{2,})(?!\s?(?:€|euros?\b|eur\b|%))", re.I
)
_BRITISH_POSTCODE = re.compile(r"(?<!\w)(?:[A-Z]{1,2}\d[A-Z\d]?)[ ]\d[ABD-HJLNP-UW-Z]{2}(?!\w)", re.I)


@lru_cache(REMEMBERED_TEXTS)
def find_entities(text: str) -> tuple[Entity, ...]:
    """Order numbers, e-mail addresses and postcodes of `text`, in reading order."""
    if not _DIGIT_OR_AT.search(text):
        return ()
    text = text.replace("º", "°")  # "nº104233": the masculine ordinal counts as a letter, the degree sign does not
    emails = [Entity("email", match.group().lower().rstrip("."), *match.span()) for match in _EMAIL.finditer(text)]
    masked = _mask(text, ((entity.start, entity.end) for entity in emails))
    masked = _mask(masked, (match.span() for match in _LINK.finditer(masked)))
    british = [Entity("postcode", match.group().upper(), *match.span()) for match in _BRITISH_POSTCODE.finditer(masked)]
    if len(_DIGIT.findall(masked)) < _FEWEST_DIGITS:
        return tuple(sorted([*emails, *british], key=_place))
    orders, masked = _order_numbers(_mask(masked, [(entity.start, entity.end) for entity in british]))
    postcodes = list(_postcodes(masked, alone=not text.strip(" .!?\n").translate(_DIGITLESS)))
    return tuple(sorted([*emails, *orders, *british, *postcodes], key=_place))


def _place(entity: Entity) -> int:
    return entity.start


def find_order_numbers(text: str) -> tuple[str, ...]:
    """The normalised order numbers of `text`, each once, in reading order."""
    return tuple(dict.fromkeys(entity.value for entity in find_entities(text) if entity.kind == "order_number"))


_DIGITLESS = str.maketrans("", "", "0123456789 .-")


def _mask(text: str, spans: Iterator[tuple[int, int]] | list[tuple[int, int]]) -> str:
    """`text` with every span blanked, same length, so that offsets stay true."""
    for start, end in spans:
        text = text[:start] + "\x00" * (end - start) + text[end:]
    return text


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _order_numbers(text: str) -> tuple[list[Entity], str]:
    """The order numbers of `text`, and `text` with them and every other recognised number blanked."""
    found: list[Entity] = []

    def take(value: str, start: int, end: int) -> None:
        nonlocal text
        found.append(Entity("order_number", value, start, end))
        text = _mask(text, [(start, end)])

    for match in _FULL.finditer(text):
        take(f"CMD-{match[1]}-{_digits(match[2])}", *match.span())
    claimed = text
    # A number that its own sentence calls an order is one, whatever else it could be.
    for match in list(_NINE.finditer(claimed)):
        if _context(claimed, match.start()) == "order" and match[0][0] != "0":
            take(_digits(match[0]), *match.span())
    text = _mask(text, list(_other_numbers(text)))
    for match in list(_YEAR_AND_SIX.finditer(text)):
        if _context(claimed, match.start()) not in ("other", "bill"):
            take(f"CMD-{match[1]}-{_digits(match[2])}", *match.span())
    for match in list(_NINE.finditer(text)):
        if _context(claimed, match.start()) != "other":
            take(_digits(match[0]), *match.span())
    alone = not text.strip(" .!?,#\n").translate(_DIGITLESS)
    for match in list(_DIGITS.finditer(text)):
        digits = _digits(match[0])
        if len(digits) not in (6, 9) or digits[0] == "0":
            continue
        follows_order = any(
            entity.end <= match.start() and _LINKING.fullmatch(claimed[entity.end : match.start()].replace("\x00", " "))
            for entity in found
        )
        compact = len(match[0].split()) <= 2 or len(digits) == 9
        context = _context(claimed, match.start())
        explained = alone or follows_order or _stands_alone(claimed, *match.span())
        if compact and (context == "order" or (context == "none" and explained)):
            take(digits, *match.span())
    return sorted(found, key=_place), text


def _context(text: str, start: int) -> Literal["order", "bill", "other", "none"]:
    """What the nearest telling noun before `start`, in the same sentence, says that a number there is."""
    before = text[max(0, start - _BEFORE) : start].rstrip()
    ends = [match.end() for match in _SENTENCE_END.finditer(before)]
    before = before[ends[-1] :] if ends else before
    attached = re.search(r"([^\W\d_]+)-$", before)
    if attached and not attached[1].lower().startswith(_ORDER_STEMS):  # "CHE-114.882.305" is a register's number
        return "other"
    labels = True  # nothing but fillers so far: the next noun is what the number is called
    for match in reversed(list(_WORDS.finditer(before))):
        plain = _plain(match[0])
        if plain.startswith(_ORDER_STEMS):
            return "order"
        if labels and plain in _OTHER_NOUNS | _BILLS and not _LABEL_ENDS.search(before[match.start() :]):
            return "bill" if plain in _BILLS else "other"
        labels = labels and plain in _FILLERS
    return "none"


def _plain(word: str) -> str:
    return word.lower().translate(_ACCENTS)


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Is the number a line or a clause of its own, as in "here you go: 104233", or spoken of as in "cancel la 104233"?"""
    before, after = text[max(0, start - 10) : start].rstrip(" "), text[end:].lstrip(" ")
    if before.endswith("("):
        named = {_plain(word) for word in _WORDS.findall(text[max(0, start - _BEFORE) : start])}
        return after.startswith(")") and not named & _OTHER_NOUNS
    own = (not before or before[-1] in ".,:;!?\n") and (not after or after[0] in ".,;!?\n")
    number = text[start:end]
    return own or (number.isdigit() and not _DAY.fullmatch(number) and _SPOKEN_OF.search(before) is not None)


def _other_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Spans of numbers that are certainly no order number."""
    for match in _THIRTEEN.finditer(text):
        if ean.is_valid(_digits(match[0])) or _digits(match[0]).startswith(("978", "979")):
            yield match.span()
    for match in _ISBN10.finditer(text):
        if isbn.is_valid(match[0]) and not _NINE.fullmatch(match[0]):
            yield match.span()
    for match in _IBAN.finditer(text):
        if iban.is_valid(match[0]):
            yield match.span()
    for match in _VAT.finditer(text):
        if vat.is_valid(match[0]) or len(_digits(match[0])) >= 8:
            yield match.span()
    for match in _PHONE.finditer(text):
        if any(_is_phone(match[0], region) for region in ("FR", "DE", "IT", "GB", "ES", "BE", "CH", "AT")):
            yield match.span()
    phones = [match for match in _SPANISH_PHONE.finditer(text) if _is_phone(match[0], "ES")]
    spanish = len(_SPANISH_WORDS.intersection(_WORDS.findall(_plain(text)))) if phones else 0
    for match in phones:
        if _meant_as_spanish_phone(text, match, spanish):
            yield match.span()
    for match in _ITALIAN_MOBILE.finditer(text):
        if _is_phone(match[0], "IT") and _context(text, match.start()) == "other":
            yield match.span()
    for pattern in (_CARD, _TRACKING, _DATE, _AMOUNT, _DECIMAL, _ALPHANUMERIC):
        yield from (match.span() for match in pattern.finditer(text))


def _meant_as_spanish_phone(text: str, match: re.Match[str], spanish: int) -> bool:
    """Nine digits are an order's as well as a Spanish telephone's. `spanish`: how many words of the text only Spanish has."""
    context = _context(text, match.start())
    if context in ("other", "bill"):
        return context == "other"
    if _BY_TWOS.fullmatch(match[0]):
        return True
    if _DONE_TO_AN_ORDER.search(text[max(0, match.start() - _BEFORE) : match.start()]):
        return False
    if match[0].isdigit():  # "mi pedido no llega, es el 612345678", but "estoy en el 612 345 678"
        before = text[max(0, match.start() - 10) : match.start()].rstrip(" ")
        return spanish >= _FEWEST_SPANISH and _SPOKEN_OF.search(before) is None
    return spanish >= _FEWEST_SPANISH - 1


def _is_phone(text: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(text, region))
    except phonenumbers.NumberParseException:
        return False


def _postcodes(text: str, alone: bool) -> Iterator[Entity]:
    """Postcodes in what is left: five digits (France, Germany, Spain, Italy) that a place or a word explains."""
    for match in _FIVE_DIGITS.finditer(text):
        after = text[match.end() : match.end() + 30]
        before = text[max(0, match.start() - 30) : match.start()].lower().translate(_ACCENTS)
        named = re.search(r"postal|postcode|zip|plz|postleitzahl|\bcp\b|\bcap\b", before)
        place = re.match(r"[ ,\-]{1,3}(?:[àa] )?[^\W\d_]", after)
        if match[0] != "00000" and (
            alone or named or (place and (after.lstrip(" ,-")[:1].isupper() or "," in before or "rue" in before))
        ):
            yield Entity("postcode", match[0], *match.span())


def without_entities(text: str) -> str:
    """`text` with order numbers taken out and addresses shortened, as the heads read it.

    A number says nothing about what its owner wants, yet "where is 104871265" looks much like "104871265". A text that
    is nothing but entities stays as it is.
    """
    plain, position = "", 0
    for entity in find_entities(text):
        plain += text[position : entity.start] + (" @ " if entity.kind == "email" else " ")
        position = entity.end
        if entity.kind == "postcode":
            plain += entity.value
    plain += text[position:]
    return plain.strip() if _TWO_LETTERS.search(plain) else text


_DIGIT = re.compile(r"\d")
_DIGIT_OR_AT = re.compile(r"[\d@]")  # every entity has one
_FEWEST_DIGITS = 5  # of an order number and of a postcode outside Britain
_TWO_LETTERS = re.compile(r"[^\W\d_]{2}")
