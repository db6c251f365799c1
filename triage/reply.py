"""Replies: a draft from templates in the customer's language, and a finished message from an agent's words."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jinja2
from babel.dates import format_date
from babel.dates import format_datetime as format_moment
from babel.numbers import format_currency
from jinja2.utils import Namespace
from markdown_it import MarkdownIt

from triage.case import CaseMarks, without_tags
from triage.html_text import html_to_text
from triage.parse import Mail
from triage.sort import Sorting

TEMPLATES = Path(__file__).parent / "templates"
# A customer whose language has no templates is answered in English, whatever the shop's own language is: of the
# languages at hand it is the one that a stranger to French most likely reads.
FALLBACK_LANGUAGES = ("en", "fr")
MAX_REFERENCES = 20
MAX_SUBJECT = 250

LEAST_SURE = 0.5
"""A motive below it is a guess that the agent sees; in the reply it would put words into the customer's mouth."""
NO_MOTIVE = "other"

ReplyKind = Literal["mail", "automatic", "acknowledgement"]

_REPLY_PREFIX = re.compile(
    r"^\s*(?:(?:re|aw|antw|sv|vs|r[ée]f(?!\s*:\W*\d)|r|rif|res|tr|wg|fwd?|i|enc|rv)\s*(?:\[\d+\])?\s*:\s*)+", re.I
)
_NAME = re.compile(r"[^\W\d_](?:[^\W\d_]|[ '’.\-]){1,58}[^\W_.]?")
_SITE = re.compile(r"\w\w\.\w")  # "www.shop", "shop.com"; but "J.-P. Martin"
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_SAFE_ADDRESS = re.compile(rf"(?=.{{3,254}}\Z){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_SAFE_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,500}>")
_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]]")
_MARKDOWN = MarkdownIt("commonmark", {"html": False})


@dataclass(frozen=True)
class Draft:
    """A proposed reply in plain text; `language` is the one it is written in, which may be a fallback."""

    subject: str
    text: str
    language: str


@dataclass(frozen=True)
class OrderFacts:
    """What a reply may say of orders, and what it must ask for.

    `orders`: those that the reader may hear about, as the shop shows them (number, state, parcels, returns). `unproven`:
    further numbers that they have given; `proof_given`: with something that may prove that they are theirs.
    `sender_known`: the sender is a customer beyond doubt, so that a number is enough.
    """

    orders: tuple[Mapping[str, Any], ...] = ()
    unproven: tuple[str, ...] = ()
    proof_given: bool = False
    sender_known: bool = False


@dataclass(frozen=True)
class Composed:
    """A finished message: `raw` (CRLF line ends) goes to the envelope recipient `recipient`."""

    message_id: str
    recipient: str
    raw: bytes


def draft_reply(
    mail: Mail,
    sorting: Sorting,
    *,
    shop_name: str,
    faq_answer: str | None = None,
    orders: OrderFacts | None = None,
    signature: str | None = None,
    promised: datetime | None = None,
    kind: ReplyKind = "mail",
    templates: Path = TEMPLATES,
) -> Draft:
    """A reply to edit: a paragraph for each motive, in the customer's language or the first fallback that has templates.

    `kind` is "mail" for an agent's reply, "automatic" for one that no agent reads before it goes out, "acknowledgement"
    for one that only says when an agent answers: at `promised` the latest, a moment in the shop's time zone.
    Without `orders` it asks for the proof of every order that the mail names. `faq_answer` is the Markdown of an answer that
    fits. In a reply that no agent reads only a known sender is called by their name: anybody can write another's.
    """
    facts = orders or OrderFacts(unproven=sorting.order_numbers)
    language = template_language(sorting.language, templates)
    environment = _environment(templates, language)
    text = environment.get_template(f"{kind}.txt.j2").render(
        name=_greeting_name(mail.from_name) if kind == "mail" or facts.sender_known else "",
        motives=[guess.motive for guess in sorting.motives if guess.probability >= LEAST_SURE] or [NO_MOTIVE],
        attached=any(not file.inline for file in mail.attachments),
        wants_human=sorting.wants_human,
        orders=facts.orders,
        unproven=facts.unproven,
        proof_given=facts.proof_given,
        sender_known=facts.sender_known,
        faq_answer=_plain(faq_answer) if faq_answer else "",
        shop_name=shop_name,
        signature=signature or "",
        promised=promised,
        # What one paragraph has already asked or said, the next does not repeat.
        said=Namespace(order=False),
    )
    return Draft(reply_subject(mail.subject), _tidy(text), language)


def template_language(language: str, templates: Path = TEMPLATES) -> str:
    """The language to answer in: the customer's when there are templates for it, else the first fallback."""
    for candidate in (language, *FALLBACK_LANGUAGES):
        if re.fullmatch(r"[a-z]{2}", candidate) and (templates / candidate / "mail.txt.j2").is_file():
            return candidate
    raise FileNotFoundError(f"{templates}: no language has mail templates; one of {', '.join(FALLBACK_LANGUAGES)} must")


def reply_subject(subject: str) -> str:
    """`subject` with exactly one "Re: ", whatever prefixes of whatever languages were on it, and without a case's tag."""
    bare = _REPLY_PREFIX.sub("", without_tags(_one_line(subject))).strip()
    return f"Re: {bare}"[:MAX_SUBJECT].strip()


def compose(
    *,
    sender: str,
    sender_name: str,
    recipient: str,
    subject: str,
    text: str,
    language: str,
    now: datetime,
    answers: str | None = None,
    references: tuple[str, ...] = (),
    automatic: bool = False,
    message_id: str | None = None,
    case: CaseMarks | None = None,
) -> Composed:
    """An agent's reply (or, with `automatic`, a machine's) as a finished message: text and HTML, UTF-8.

    `answers` is the Message-ID that is answered and `references` that mail's own references. `now` needs a time zone.
    `case` marks it so that its answer finds back: its Message-ID, a Reply-To, one tag in the subject.
    Line breaks in any header value become spaces. Raises ValueError when an address cannot be written to, or when
    `message_id` is no Message-ID.
    """
    sender, recipient = _written_address(sender), _written_address(recipient)
    own_id = message_id or (case.message_id if case else make_msgid(domain=sender.rpartition("@")[2]))
    if not _SAFE_ID.fullmatch(own_id):
        raise ValueError(f"{own_id!r} is no Message-ID; it must look like <unique@domain>")
    subject = _one_line(subject)
    if case is not None:
        subject = f"{without_tags(subject)[: MAX_SUBJECT - len(case.tag) - 1]} {case.tag}".strip()
    message = EmailMessage(policy=SMTP)
    message["From"] = HeaderAddress(display_name=_one_line(sender_name), addr_spec=sender)
    message["To"] = HeaderAddress(addr_spec=recipient)
    if case is not None and case.address is not None:
        message["Reply-To"] = HeaderAddress(
            display_name=_one_line(sender_name), addr_spec=_written_address(case.address)
        )
    message["Subject"] = subject[:MAX_SUBJECT]
    message["Date"] = format_datetime(now)
    if automatic:
        message["Auto-Submitted"] = "auto-replied"
        message["X-Auto-Response-Suppress"] = "All"
        message["X-Loop"] = sender
    body = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "").strip("\n") + "\n"
    message.set_content(body, subtype="plain", charset="utf-8", cte="quoted-printable")
    message.add_alternative(_as_html(body, language), subtype="html", charset="utf-8", cte="quoted-printable")
    if re.fullmatch(r"[a-z]{2,3}", language):
        # After the parts: making a multipart moves every Content-* header that is there into its first part.
        message["Content-Language"] = language
    return Composed(own_id, recipient, _thread_headers(own_id, answers, references) + message.as_bytes())


def _written_address(address: str) -> str:
    """An address as SMTP wants it, the domain in ASCII (RFC 5891)."""
    local, _, domain = address.strip().rpartition("@")
    try:
        written = f"{local}@{domain if domain.isascii() else domain.encode('idna').decode()}"
    except UnicodeError:
        written = ""
    if not _SAFE_ADDRESS.fullmatch(written):
        raise ValueError(f"{address!r} is no address that can be written to; correct it")
    return written


def _thread_headers(own_id: str, answers: str | None, references: tuple[str, ...]) -> bytes:
    """Message-ID, In-Reply-To, References (RFC 5322 3.6.4), one id a line.

    Written here because the standard library folds a long id by encoding it, which no reader undoes.
    """
    parents = [
        each for each in dict.fromkeys((*references, *([answers] if answers else ()))) if _SAFE_ID.fullmatch(each)
    ]
    if len(parents) > MAX_REFERENCES:
        parents = [parents[0], *parents[-(MAX_REFERENCES - 1) :]]  # the first id is what threads hang on
    lines = [f"Message-ID: {own_id}"]
    if answers and _SAFE_ID.fullmatch(answers):
        lines.append(f"In-Reply-To: {answers}")
    if parents:
        lines.append("References: " + "\r\n ".join(parents))
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _as_html(text: str, language: str) -> str:
    """Paragraphs, line breaks and links; everything else is escaped."""
    paragraphs = [
        _linked(block.strip("\n")).replace("\n", "<br>\n") for block in re.split(r"\n{2,}", text) if block.strip()
    ]
    body = "\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return (
        f'<!DOCTYPE html>\n<html lang="{html.escape(language, quote=True)}"><head><meta charset="utf-8"></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def _linked(text: str) -> str:
    pieces = []
    at = 0
    for match in _URL.finditer(text):
        url = html.escape(match[0], quote=True)
        pieces += [html.escape(text[at : match.start()]), f'<a href="{url}">{url}</a>']
        at = match.end()
    return "".join([*pieces, html.escape(text[at:])])


def _plain(markdown: str) -> str:
    """An FAQ answer as plain text; a link keeps its address."""
    linked = re.sub(r"\[([^\]]+)\]\((https?://[^)\s]+)\)", r"\1 (\2)", markdown)
    return html_to_text(_MARKDOWN.render(linked))


def _greeting_name(name: str) -> str:
    """The name to greet with; empty when the From header holds no person's name."""
    clean = " ".join(name.split()).strip("\"' ")
    return clean if _NAME.fullmatch(clean) and not _SITE.search(clean) else ""


def _one_line(text: str) -> str:
    """Safe in a header: one line, and nothing that the standard library would take for an encoded word."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f\u2028\u2029\x85]+", " ", text).split()).replace("=?", "= ?")


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip() + "\n"


@cache
def _environment(templates: Path, language: str) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates / language),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # plain text; compose() escapes when it makes the HTML part
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["day"] = lambda value: _day(value, language)
    environment.filters["moment"] = lambda value: _moment(value, language)
    environment.filters["money"] = lambda cents: str(format_currency(cents / 100, "EUR", locale=_locale(language)))
    return environment


def _locale(language: str) -> str:
    """English as Europe writes it: the day before the month."""
    return "en_GB" if language == "en" else language


def _moment(value: datetime, language: str) -> str:
    """Weekday, day, month and time, as the language writes them: "lundi 30 novembre à 09:00"."""
    pattern = {"fr": "EEEE d MMMM 'à' HH:mm", "de": "EEEE, 'den' d. MMMM, 'um' HH:mm 'Uhr'"}.get(language)
    pattern = pattern or {"es": "EEEE, d 'de' MMMM, 'a las' HH:mm", "it": "EEEE d MMMM 'alle' HH:mm"}.get(language)
    written = str(format_moment(value, pattern or "EEEE d MMMM 'at' HH:mm", value.tzinfo, _locale(language)))
    return re.sub(r"(?<= )1 (?=[^\W\d])", "1er ", written, count=1) if language == "fr" else written


def _day(value: date | str, language: str) -> str:
    day = date.fromisoformat(value) if isinstance(value, str) else value
    written = str(format_date(day, "long", locale=_locale(language)))
    return re.sub(r"^1 ", "1er ", written) if language == "fr" else written
