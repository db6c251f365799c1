"""Bytes of unknown or wrongly declared character set, as text: declared, then its usual alias, then UTF-8, then a guess."""

from __future__ import annotations

import codecs
import re

import charset_normalizer

# What a name means in practice rather than in its standard: the superset that the sender's program really used.
_ALIASES = {
    "ansi": "cp1252",
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "ansi_x3.4-1968": "cp1252",
    "646": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "iso_8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "x-ansi": "cp1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "big5": "big5hkscs",
    "tis-620": "cp874",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "unicode-1-1-utf-7": "utf-7",
    "utf8mb4": "utf-8",
    "utf-8-mac": "utf-8",
    "cp-850": "cp850",
}
_NO_TEXT_CODECS = re.compile(r"base64|hex|rot|bz2|zip|zlib|uu|quopri|quoted|idna|punycode|undefined|escape|mbcs|oem")
_UTF8_PAIR = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")
_ISO2022 = re.compile(rb"\x1b(?:\$[@AB]|\([BIJ])")
_GUESS_BYTES = 20_000
_GUESS_NEEDS = 40  # high bytes; on fewer of them statistics guess Hungarian for French
_WESTERN = re.compile(
    rb"[\xc0\xc2\xc7-\xcb\xce\xcf\xd1\xd4\xd6\xd9\xdb\xdc\xdf-\xe2\xe4\xe7-\xef\xf1-\xf4\xf6\xf9-\xfc\x80\x85\x91-\x97\x9c\xa0\xa1\xab\xb0\xbb\xbf]"
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_STRAY_BYTES = "comptoir-stray-bytes"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def to_text(data: bytes, declared: str = "") -> tuple[str, str]:
    """`data` as printable text, and what was wrong with the declaration ("" when nothing was). Never raises."""
    text, problem = _decoded(data, declared)
    return printable(text), problem


def printable(text: str) -> str:
    """`text` without control characters but tab and line ends, and without lone surrogates: databases and JSON readers
    refuse whole objects for one of them."""
    return _SURROGATE.sub("\ufffd", _UNPRINTABLE.sub("", text))


def _decoded(data: bytes, declared: str) -> tuple[str, str]:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data.decode(name, "replace"), ""
    name = codec_name(declared)
    if not _HIGH.search(data) and name not in {"utf-7", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "hz"}:
        if _ISO2022.search(data):
            return data.decode("iso2022_jp_ext", "replace"), ""
        return data.decode("ascii"), "" if name or not declared else f"unknown character set {declared[:40]}"
    if name == "cp1252" and _is_utf8(data):
        # "us-ascii" or "iso-8859-1" over bytes that are valid UTF-8: no Latin-1 text looks so by chance.
        return data.decode("utf-8"), "character set is not the declared one"
    if name:
        try:
            return data.decode(name), ""
        except (UnicodeError, ValueError):
            pass
    problem = (
        f"unknown character set {declared[:40]}" if declared and not name else "character set is not the declared one"
    )
    if name == "utf-8" and _mostly_utf8(data):
        return _lenient_utf8(data), "broken UTF-8"
    if name and _is_utf8(data):
        return _encoded_once(data.decode("utf-8"), name), problem
    if name and name not in {"utf-8", "cp1252"}:
        replaced = data.decode(name, "replace")
        if replaced.count("\ufffd") <= max(2, len(data) // 200):
            return replaced, "broken characters"
    return _sniff(data), problem if declared else ""


def codec_name(declared: str) -> str:
    """The Python codec that a declared character set means in practice; empty when there is none."""
    name = declared.strip().strip("\"'<>;,").lower().split("*")[0].removeprefix("charset=").strip("\"' ")
    name = _ALIASES.get(name, name)
    name = re.sub(r"^(?:windows|win|x-cp|cp-)-?(?=\d{3,4}$)", "cp", name)
    if not name or _NO_TEXT_CODECS.search(name):
        return ""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError, UnicodeError):
        return ""
    return _ALIASES.get(found.name, found.name)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _mostly_utf8(data: bytes) -> bool:
    high = len(_HIGH.findall(data))
    good = sum(len(pair) for pair in _UTF8_PAIR.findall(data))
    return good >= 0.8 * high


def _lenient_utf8(data: bytes) -> str:
    return data.decode("utf-8", _STRAY_BYTES)


def _read_stray_byte(error: UnicodeError) -> tuple[str, int]:
    """A single byte between UTF-8 is most often a letter that another program added in Windows' character set (a footer, a
    quotation mark); a character that has lost some of its bytes cannot be known."""
    assert isinstance(error, UnicodeDecodeError)
    stray = error.object[error.start : error.end]
    single = len(stray) == 1 and error.end < len(error.object)
    return (_western(stray) if single else "\ufffd"), error.end


codecs.register_error(_STRAY_BYTES, _read_stray_byte)


def _encoded_once(text: str, declared: str) -> str:
    """`text`, or what it was before a program took its bytes for Latin-1 and made UTF-8 of them: then they are valid in the
    declared character set, in which the text as it stands is not."""
    try:
        return text.encode("latin-1").decode(declared)
    except (UnicodeError, ValueError):
        return text


def _sniff(data: bytes) -> str:
    if _is_utf8(data):
        return data.decode("utf-8")
    if _mostly_utf8(data):
        return _lenient_utf8(data)
    if _is_western(data):
        return _western(data)
    best = charset_normalizer.from_bytes(data[:_GUESS_BYTES]).best()
    if best is not None:
        try:
            return data.decode(best.encoding)
        except (UnicodeError, LookupError):
            pass
    return _western(data)


def _is_western(data: bytes) -> bool:
    """Whether the high bytes are the letters of French, German, Spanish or Italian, or too few to tell."""
    high = len(_HIGH.findall(data))
    return high < _GUESS_NEEDS or (len(_WESTERN.findall(data)) >= 0.95 * high and high < 0.25 * len(data))


def _western(data: bytes) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # cp1252 leaves five bytes undefined; Latin-1 gives every byte a character
