"""HTML mail as plain text, quoted history marked with ">" as in plain mail. Nothing is fetched and no script is run."""

from __future__ import annotations

import html.parser
import re
from collections.abc import Iterator

import lxml.etree
import lxml.html
from inscriptis.css_profiles import CSS_PROFILES
from inscriptis.html_engine import Inscriptis
from inscriptis.model.config import ParserConfig

from triage.charset import printable

MAX_HTML = 2_000_000
_CONFIG = ParserConfig(css=CSS_PROFILES["strict"], display_images=False, display_links=False)
_OPEN, _CLOSE = "\ue0f1", "\ue0f2"  # private characters that mark where a quote begins and ends
_MARKS = re.compile(f"[{_OPEN}{_CLOSE}]")

# The containers that mail programs put around the mail that is answered.
_QUOTE_CLASSES = {
    "gmail_quote",
    "gmail_extra",
    "yahoo_quoted",
    "protonmail_quote",
    "zmail_extra",
    "moz-forward-container",
}
_QUOTE_STYLE = re.compile(r"border(?:-left)?\s*:|padding-left\s*:", re.I)
_HIDDEN = re.compile(r"display\s*:\s*none|mso-hide\s*:\s*all", re.I)


def html_to_text(source: str) -> str:
    """The text of an HTML document or fragment; lines of quoted mail begin with "> ". Never raises."""
    source = _MARKS.sub("", source[:MAX_HTML]).replace("\x00", "")
    if not source.strip():
        return ""
    try:
        tree = lxml.html.document_fromstring(
            source.encode("utf-8", "replace"),
            parser=lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, no_network=True),
        )
        _prepare(tree)
        text = _quote_lines(str(Inscriptis(tree, _CONFIG).get_text()))
    except (lxml.etree.LxmlError, ValueError, AssertionError, RecursionError, IndexError, AttributeError, TypeError):
        text = ""
    return _tidy(text) or _tidy(_bare_text(source))


def _prepare(tree: lxml.html.HtmlElement) -> None:
    """Take out what a reader does not see, and mark the quotes."""
    for element in list(tree.iter("script", "style", "noscript", "template", "object", "svg")):
        element.drop_tree()
    for element in list(tree.xpath("//*[@style]")):
        if _HIDDEN.search(element.get("style", "")) and element.getparent() is not None and element.tag != "body":
            element.drop_tree()
    for element in _quotes(tree):
        element.text = f"{_OPEN}\n{element.text or ''}"
        closing = lxml.html.Element("div")
        closing.text = _CLOSE
        element.append(closing)


def _quotes(tree: lxml.html.HtmlElement) -> Iterator[lxml.html.HtmlElement]:
    """What a mail program marked as the mail that is answered; a blockquote that its writer only indented is none."""
    for element in list(tree.iter("blockquote", "div")):
        classes = set((element.get("class") or "").split())
        if element.tag == "div":
            if classes & _QUOTE_CLASSES and element.find(".//blockquote") is None:
                yield element
        elif (
            element.get("type") == "cite"
            or element.get("cite")
            or classes
            or _QUOTE_STYLE.search(element.get("style") or "")
        ):
            yield element


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


class _Stripper(html.parser.HTMLParser):
    """What the tree builder gives up on: the bare text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in {"script", "style"}
        if tag in {"p", "div", "br", "tr", "li", "h1", "h2", "h3", "blockquote"}:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in {"script", "style"}))

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.pieces.append(data)


def _bare_text(source: str) -> str:
    stripper = _Stripper()
    try:
        stripper.feed(source)
        stripper.close()
    except (AssertionError, ValueError):
        return re.sub(r"<[^<>]*>", " ", source)
    return "".join(stripper.pieces)
