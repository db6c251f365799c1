"""HTML mail as plain text, quoted history marked with ">" as in plain mail. Nothing is fetched and no script is run."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from itertools import islice

import lxml.etree
import lxml.html
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.html_engine import Inscriptis
from inscriptis.model.config import ParserConfig

from triage.charset import printable

MAX_HTML = 2_000_000  # characters
MAX_ELEMENTS = 30_000  # laying out a table takes more than linear time; newsletters have some thousand
_CONFIG = ParserConfig(css=CSS_PROFILES["strict"], display_images=False, display_links=False)
# Private characters: where a quote begins and ends, and the end of the document, which is lost with all before it where a
# tree is deeper than the parser builds (255) or tables are than the layout follows.
_OPEN, _CLOSE, _END = "\ue0f1", "\ue0f2", "\ue0f3"
_CLOSING = re.compile(r"</(?:body|html)\b", re.I)
_WORD = re.compile(r"\w{2,}")
_TAG = re.compile(r"<!--|</?(?P<name>[a-z][a-z0-9]{0,20})(?:\s[^<>]*+|/)?>|<[!?][^<>]*+>", re.I)
_BLOCKS = {"p", "div", "br", "tr", "li", "h1", "h2", "h3", "blockquote"}
_MARKS = re.compile(f"[{_OPEN}{_CLOSE}{_END}]")

# The containers that mail programs put around the mail that is answered.
_QUOTE_CLASSES = {
    "gmail_quote",
    "gmail_extra",
    "yahoo_quoted",
    "protonmail_quote",
    "zmail_extra",
    "moz-forward-container",
}
_ARGUMENTS = re.compile(r"\([^()]*\)")
_NO_LINE = re.compile(r"none|hidden|initial|unset|0+(?:\.0*)?[a-z%]*")
# The line that Outlook and Windows Mail draw above the header of the mail that is answered, whatever language that is in.
_HEADER_STYLE = re.compile(
    r"border:none;border-top:solid(?:#\w+|windowtext)1(?:\.0)?pt;padding:3(?:\.0)?pt(?:0(?:cm|in)){3}"
    r"|padding-top:5px;border-top-color:[^;]*;border-top-width:1px;border-top-style:solid",
    re.I,
)
_MAX_HEADERS, _MAX_NAMES = 20, 12  # a header has eight names at most; who writes thousands wants us to be busy
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.I)


def html_to_text(source: str) -> str:
    """The text of an HTML document or fragment; lines of quoted mail begin with "> ". Never raises."""
    return read_html(source)[0]


def read_html(source: str) -> tuple[str, str]:
    """`html_to_text`, and what of it was not read or not laid out ("" when all was)."""
    problem = "HTML beyond the size limit was not read" if len(source) > MAX_HTML else ""
    source = _MARKS.sub("", source[:MAX_HTML]).replace("\x00", "")
    if not source.strip():
        return "", problem
    text = ""
    try:
        tree = lxml.html.document_fromstring(
            _with_end(source).encode("utf-8", "replace"),
            parser=lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, no_network=True),
        )
        if sum(1 for _ in islice(tree.iter(), MAX_ELEMENTS + 1)) > MAX_ELEMENTS:
            problem = problem or "HTML with more elements than are laid out: its quotes are not marked"
        else:
            _prepare(tree)
            laid_out = str(Inscriptis(tree, _CONFIG).get_text())
            text = _tidy(_quote_lines(laid_out))
            if _END not in laid_out:
                bare = _tidy(_bare_text(source))
                if len(_WORD.findall(bare)) > len(_WORD.findall(text)):
                    return bare, problem or "HTML nested deeper than is laid out: its quotes are not marked"
    except (lxml.etree.LxmlError, ValueError, AssertionError, RecursionError, IndexError, AttributeError, TypeError):
        text = ""
    return text or _tidy(_bare_text(source)), problem


def _with_end(source: str) -> str:
    """`source` with the mark of its end before the closing tags of the document, where text still counts."""
    closing = _CLOSING.search(source, max(0, len(source) - 1000))
    at = closing.start() if closing else len(source)
    return f"{source[:at]}{_END}{source[at:]}"


def _prepare(tree: lxml.html.HtmlElement) -> None:
    """Take out what a reader does not see, and mark the quotes."""
    for element in tree.xpath("//*[@style]"):
        if _HIDDEN.search(element.get("style", "")) and element.getparent() is not None and element.tag != "body":
            element.tag = "script"
    # In one go: taking out one element after the other joins the text around them anew each time.
    lxml.etree.strip_elements(tree, "script", "style", "noscript", "template", "object", "svg", with_tail=False)
    for first, around in (*((each, each) for each in _quotes(tree)), *_below_headers(tree)):
        first.text = f"{_OPEN}\n{first.text or ''}"
        closing = lxml.html.Element("div")
        closing.text = _CLOSE
        around.append(closing)


def _quotes(tree: lxml.html.HtmlElement) -> Iterator[lxml.html.HtmlElement]:
    """What a mail program marked as the mail that is answered; a blockquote that its writer only indented is none."""
    quotes = {each for each in tree.iter("blockquote") if _is_quote(each)}
    for element in list(tree.iter("blockquote", "div")):
        if element in quotes or (
            element.tag == "div"
            and _QUOTE_CLASSES & set((element.get("class") or "").split())
            # Where quotes are marked one by one, answers may stand between them.
            and quotes.isdisjoint(element.iter("blockquote"))
        ):
            yield element


def _is_quote(blockquote: lxml.html.HtmlElement) -> bool:
    if blockquote.get("type") == "cite" or blockquote.get("cite"):
        return True
    line = _has_line(blockquote.get("style") or "")
    return line if line is not None else bool((blockquote.get("class") or "").split())


def _has_line(style: str) -> bool | None:
    """Whether an inline style draws a line on the left, as CSS 2.1 section 8.5 has it; None when it says nothing of one.
    "Indent more" of Gmail and Apple Mail says "border:none"."""
    drawn: dict[str, bool] = {}
    for declaration in style.lower().split(";"):
        name, _, value = declaration.partition(":")
        values = _ARGUMENTS.sub("", value.replace("!important", "")).split()
        match name.strip():
            case "border" | "border-left" if values:
                drawn = {"style": not any(_NO_LINE.fullmatch(each) for each in values)}
            case "border-style" | "border-width" if values:
                left = values[3] if len(values) == 4 else values[1] if len(values) > 1 else values[0]
                drawn[name.strip().removeprefix("border-")] = not _NO_LINE.fullmatch(left)
            case "border-left-style" | "border-left-width" if values:
                drawn[name.strip().removeprefix("border-left-")] = not _NO_LINE.fullmatch(values[0])
    return all(drawn.values()) if drawn else None


def _below_headers(tree: lxml.html.HtmlElement) -> Iterator[tuple[lxml.html.HtmlElement, lxml.html.HtmlElement]]:
    """The block with the header of the mail that is answered, and the element whose rest is that mail."""
    drawn = (each for each in tree.iter("div") if _HEADER_STYLE.search(re.sub(r"\s+", "", each.get("style") or "")))
    for element in list(islice(drawn, _MAX_HEADERS)):
        bold = islice(element.iter("b", "strong"), _MAX_NAMES)
        names = sum("".join(islice(each.itertext(), 5)).strip().endswith(":") for each in bold)
        around = element.getparent()
        if names < 3 or around is None:
            continue
        # Outlook wraps the block once more: the mail stands behind the wrapping.
        block = element
        while around.getparent() is not None and around.tag == "div" and block.getnext() is None:
            block, around = around, around.getparent()
        yield element, around


def _quote_lines(text: str) -> str:
    """Text between the marks, with a ">" for every quote that is open."""
    depth = 0
    lines = []
    for line in text.split("\n"):
        opened, closed = line.count(_OPEN), line.count(_CLOSE)
        clean = _MARKS.sub("", line)
        depth_here = max(depth, depth + opened - closed)
        depth = max(0, depth + opened - closed)
        if clean.strip() or not (opened or closed):
            lines.append(f"{'>' * depth_here} {clean.strip()}".rstrip() if depth_here else clean)
    return "\n".join(lines)


def _tidy(text: str) -> str:
    text = re.sub(r"[^\S\n]+", " ", printable(text).replace("\u200b", "").replace("\ufeff", "").replace("\u200c", ""))
    text = re.sub(r" ?\n ?", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n ")


def _bare_text(source: str) -> str:
    """The text between the tags, in one pass whatever the markup is: for what the tree builder gives up on."""
    pieces: list[str] = []
    at = 0
    open_ended: set[str] = set()  # ends that were looked for and are nowhere further down
    for tag in _TAG.finditer(source):
        if tag.start() < at:
            continue
        pieces.append(source[at : tag.start()])
        at = tag.end()
        name = (tag["name"] or "").lower()
        if name in _BLOCKS:
            pieces.append("\n")
        ending = "-->" if tag[0] == "<!--" else f"</{name}" if name in {"script", "style"} and tag[0][1] != "/" else ""
        if ending and ending not in open_ended:
            end = re.compile(re.escape(ending), re.I).search(source, at)
            if end is None:
                open_ended.add(ending)
            else:
                at = end.end() if ending == "-->" else end.start()
    return html.unescape("".join((*pieces, source[at:])))
