"""The words of an RTF text, as Outlook packs it into winmail.dat: decompressed ([MS-OXRTFCP]) and freed of its commands."""

from __future__ import annotations

import re
import struct

from triage.charset import to_text
from triage.mime import Bounds

_COMPRESSED, _UNCOMPRESSED = b"LZFu", b"MELA"
# What the dictionary holds at first, [MS-OXRTFCP] 2.1.3.1.
_DICTIONARY = (
    b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans "
    b"SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx"
)
_WINDOW = 4096
_TOKEN = re.compile(
    rb"\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})? ?|\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<symbol>[^a-zA-Z])"
    rb"|(?P<brace>[{}])|(?P<text>[^\\{}\r\n]+)|[\r\n]+",
    re.S,
)
_WORDS = {
    "par": "\n", "line": "\n", "row": "\n", "sect": "\n", "page": "\n", "tab": "\t", "cell": "\t", "emdash": "—", "endash": "–",
    "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”", "bullet": "•", "emspace": " ", "enspace": " ",
}  # fmt: skip
_SYMBOLS = {b"~": "\u00a0", b"_": "-", b"\\": "\\", b"{": "{", b"}": "}", b"\n": "\n", b"\r": "\n"}
_NO_TEXT = {
    "fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "header", "footer", "headerl", "headerr", "headerf", "footerl",
    "footerr", "footerf", "listtable", "listoverridetable", "generator", "themedata", "datastore", "xmlnstbl", "rsidtbl", "fldinst",
}  # fmt: skip


def compressed_rtf_to_text(data: bytes, bounds: Bounds) -> str:
    """The text of PidTagRtfCompressed; empty, and noted, when it is none. Never raises."""
    if len(data) < 16 or data[8:12] not in (_COMPRESSED, _UNCOMPRESSED):
        bounds.note("RTF text could not be read")
        return ""
    size = struct.unpack_from("<I", data, 4)[0]
    rtf = data[16 : 16 + size] if data[8:12] == _UNCOMPRESSED else _decompressed(data, min(size, bounds.limits.text))
    if size > bounds.limits.text:
        bounds.note("text beyond the size limit was not read")
    return rtf_to_text(rtf)


def _decompressed(data: bytes, limit: int) -> bytes:
    """At most about `limit` bytes: references into the last 4,096 written, and literals, eight to a control byte."""
    written = bytearray(_DICTIONARY)
    first = len(written)
    at = 16
    while at < len(data) and len(written) - first < limit:
        control = data[at]
        at += 1
        for bit in range(8):
            if not control >> bit & 1:
                written += data[at : at + 1]
                at += 1
                continue
            if at + 2 > len(data):
                return bytes(written[first:])
            reference = data[at] << 8 | data[at + 1]
            at += 2
            # The window is a ring: where it stands, counted from the end of what was written.
            back = (len(written) - (reference >> 4)) % _WINDOW
            length = (reference & 15) + 2
            if back == 0 or back > len(written):
                return bytes(written[first:])  # a reference to where the next byte goes is the end
            start = len(written) - back
            piece = written[start : start + length]
            written += (piece * (length // len(piece) + 1))[:length]
    return bytes(written[first:])


def rtf_to_text(rtf: bytes) -> str:
    """The words of an RTF document in one pass, however its groups are nested; no picture, no font name."""
    pieces: list[str] = []
    raw = bytearray()  # letters of the document's code page, decoded together: some take two bytes
    charset = "cp1252"
    groups: list[tuple[bool, int]] = []
    silent, skip = False, 1  # `skip`: letters that stand for a \u for old readers
    passed_over = 0
    at = 0
    while match := _TOKEN.match(rtf, at):
        at = match.end()
        kind = match.lastgroup
        if kind == "number":
            kind = "word"
        if kind in ("text", "hex"):
            letters = bytes.fromhex(match["hex"].decode()) if kind == "hex" else match["text"]
            kept = letters[passed_over:]
            passed_over -= min(passed_over, len(letters))
            if not silent:
                raw += kept
            continue
        if raw:
            pieces.append(to_text(bytes(raw), charset)[0])
            raw.clear()
        if kind == "brace":
            passed_over = 0
            if match["brace"] == b"{":
                groups.append((silent, skip))
            elif groups:
                silent, skip = groups.pop()
        elif kind == "symbol":
            if match["symbol"] == b"*":
                silent = True  # a destination that readers may pass over, Outlook's copy of the HTML among them
            elif not silent:
                pieces.append(_SYMBOLS.get(match["symbol"], ""))
        elif kind == "word":
            word, number = match["word"].decode(), int(match["number"] or 0)
            if word == "ansicpg":
                charset = f"cp{number}"
            elif word == "uc":
                skip = max(0, min(number, 16))
            elif word == "bin":
                at += max(0, number)
            elif word == "u":
                passed_over = skip
                if not silent:
                    pieces.append(chr(number & 0xFFFF))
            elif word in _NO_TEXT:
                silent = True
            elif not silent:
                pieces.append(_WORDS.get(word, ""))
    pieces.append(to_text(bytes(raw), charset)[0])
    text = "".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # joins surrogate pairs
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n\x00 ")
