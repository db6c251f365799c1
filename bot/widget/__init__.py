"""The chat widget: a launcher and a conversation on the merchant's own pages, put there by one script tag.

The sources under `static/` are plain JavaScript modules, a style sheet, and one file of strings a language. There is no build:
the service joins style and modules into one script when it is first asked for, without comments, and compresses it. A
language is added by adding `strings/<language>.json`. The widget speaks to the chat API of the origin that served it, so the
merchant configures nothing but the tag's address.
"""

from __future__ import annotations

import gzip
import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response, abort, request

STATIC = Path(__file__).resolve().parent / "static"
MAX_AGE_SECONDS = 300
"""How long a browser keeps a file before it asks again (with the ETag) whether it changed."""

_MODULES = (
    "dom.js",
    "colour.js",
    "safe_html.js",
    "store.js",
    "outbox.js",
    "service.js",
    "conversation.js",
    "view.js",
    "widget.js",
)
"""The script's modules, each after those it imports."""

__all__ = ["MAX_AGE_SECONDS", "widget_blueprint"]


@dataclass(frozen=True)
class _Served:
    """One file as browsers get it."""

    media_type: str
    plain: bytes
    packed: bytes
    etag: str


def widget_blueprint() -> Blueprint:
    """`/widget/widget.js` and `/widget/strings/<language>.json`, for pages of any origin.

    Each has an ETag and is compressed for browsers that take gzip; a language without strings is a 404.
    """
    widget = Blueprint("widget", __name__)

    @widget.get("/widget/widget.js")
    def widget_script() -> Response:
        return _answer(_script())

    @widget.get("/widget/strings/<language>.json")
    def widget_strings(language: str) -> Response:
        if not re.fullmatch("[a-z]{2,3}", language) or not (STATIC / "strings" / f"{language}.json").is_file():
            abort(404)
        return _answer(_strings(language))

    return widget


@cache
def _script() -> _Served:
    style = (STATIC / "widget.css").read_text(encoding="utf-8")
    style = re.sub(r"/\*.*?\*/|\s*\n\s*|(?<=:) ", "", style, flags=re.DOTALL)
    joined = "\n".join((STATIC / name).read_text(encoding="utf-8") for name in _MODULES)
    code = re.sub(r"^(import .*;|export (?=\w))", "", joined, flags=re.MULTILINE)
    lean = re.sub(r"^\s*(//.*|/\*.*\*/)$|(?<=[;,{]) //.*$|^\s+", "", code, flags=re.MULTILINE)
    # One script, one request, one version of everything; in a function, so that the page sees nothing of it.
    return _pack("text/javascript", f'(()=>{{"use strict";\nconst STYLE=`{style}`;\n{lean}}})();\n')


@cache
def _strings(language: str) -> _Served:
    return _pack("application/json", (STATIC / "strings" / f"{language}.json").read_text(encoding="utf-8"))


def _pack(media_type: str, text: str) -> _Served:
    plain = text.encode()
    return _Served(media_type, plain, gzip.compress(plain, 9, mtime=0), sha256(plain).hexdigest()[:20])


def _answer(served: _Served) -> Response:
    packed = request.accept_encodings["gzip"] > 0
    response = Response(served.packed if packed else served.plain, content_type=f"{served.media_type}; charset=utf-8")
    if packed:
        response.content_encoding = "gzip"
    # Two representations, two strong validators (RFC 9110, section 8.8.3.3).
    response.set_etag(f"{served.etag}-gzip" if packed else served.etag)
    response.vary.add("Accept-Encoding")
    response.cache_control.public = True
    response.cache_control.max_age = MAX_AGE_SECONDS
    # The shop's page has another origin: strings are fetched with CORS.
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.make_conditional(request)
    return response
