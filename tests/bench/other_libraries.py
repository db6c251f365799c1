"""The mail libraries that Comptoir is measured beside, as readers and as trimmers of replies.

Comptoir depends on none of them. `make bench-libraries` installs those that `.venv` has not (`requirements.txt` beside this file)
into `.venv-bench`; they are looked for there, behind everything that `.venv` has. `MISSING` names those that are not to be
had: whoever prints a table says so.
"""

from __future__ import annotations

import contextlib
import email
import email.header
import email.policy
import io
import re
import site
import sys
import warnings
from collections.abc import Callable
from email.message import EmailMessage, Message
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import quotequail
from mailparser_reply import EmailReplyParser

Reader = Callable[[bytes], tuple[str, str]]
"""A raw mail to its subject and its text, or its HTML where the library makes no text of it."""
Trimmer = Callable[[str], str]
"""A whole body to what it takes for the newest text."""

ROOT = Path(__file__).resolve().parents[2]
MISSING: list[str] = []

for folder in (ROOT / ".venv-bench" / "lib").glob("python*/site-packages"):
    if folder.parent.name == f"python{sys.version_info.major}.{sys.version_info.minor}":
        site.addsitedir(str(folder))


def _module(name: str) -> Any:
    """A module of a library that may be missing: None then."""
    try:
        # flanker's grammar reports itself on the error output when it is built.
        with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return import_module(name)
    except ImportError:
        MISSING.append(name.partition(".")[0].replace("_", "-"))
        return None


_imap_tools = _module("imap_tools")
_flanker = _module("flanker.mime")
_talon = _module("talon.quotations")
_talon_signature = _module("talon.signature.bruteforce") if _talon else None
if _talon:
    _talon.register_xpath_extensions()


# ---- readers


def stdlib_default(raw: bytes) -> tuple[str, str]:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain", "html"))
    return str(message["subject"] or ""), body.get_content() if body is not None else ""


def stdlib_compat32(raw: bytes) -> tuple[str, str]:
    message: Message = email.message_from_bytes(raw)
    subject = str(email.header.make_header(email.header.decode_header(message.get("subject", ""))))
    texts = []
    for part in message.walk():
        if part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment":
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            texts.append(payload.decode(part.get_content_charset("utf-8"), "replace"))
    return subject, "\n".join(texts)


def imap_tools(raw: bytes) -> tuple[str, str]:
    message = _imap_tools.MailMessage.from_bytes(raw)
    return message.subject, message.text or message.html


def flanker(raw: bytes) -> tuple[str, str]:
    message = _flanker.from_string(raw)
    texts: dict[str, list[str]] = {"plain": [], "html": []}
    for part in message.walk(with_self=True):
        if part.content_type.main == "text" and part.content_type.sub in texts and not part.is_attachment():
            body = part.body
            texts[part.content_type.sub].append(body if isinstance(body, str) else body.decode("utf-8", "replace"))
    return message.subject or "", "\n".join(texts["plain"]) or "\n".join(texts["html"])


READERS: dict[str, Reader] = {
    "stdlib, policy.default": stdlib_default,
    "stdlib, compat32": stdlib_compat32,
    **({"imap-tools": imap_tools} if _imap_tools else {}),
    **({"flanker": flanker} if _flanker else {}),
}


# ---- newest text


@cache
def _reply_parser() -> EmailReplyParser:
    return EmailReplyParser(languages=["fr", "en", "de", "es", "it"])


def _talon_text(text: str) -> str:
    return str(_talon.extract_from_plain(text))


def _talon_without_signature(text: str) -> str:
    return str(_talon_signature.extract_signature(_talon_text(text))[0])


TRIMMERS: dict[str, Trimmer] = {
    "quotequail": lambda text: quotequail.quote(text, quote_intro_line=True)[0][1],
    "mail-parser-reply, full body": lambda text: _reply_parser().read(text).replies[0].full_body,
    "mail-parser-reply, body": lambda text: _reply_parser().read(text).replies[0].body,
    **({"talon": _talon_text, "talon, without signature": _talon_without_signature} if _talon else {}),
}


def quotequail_html(source: str) -> str:
    return str(quotequail.quote_html(source, quote_intro_line=True)[0][1])


def talon_html(source: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(_talon.extract_from_html(source))


HTML_TRIMMERS: dict[str, Trimmer] = {
    "quotequail": quotequail_html,
    **({"talon": talon_html} if _talon else {}),
}
"""HTML in, HTML out."""


def text_between_tags(source: str) -> str:
    """What the corpus's upstream compares: the document's text, without styles."""
    import lxml.html

    tree = lxml.html.document_fromstring(source or "<p></p>")
    for element in tree.xpath("//style|//script|//title"):
        element.drop_tree()
    return re.sub(r"\s+", " ", tree.text_content())
