"""Whether a machine sent a mail, and whether a mail may ever be answered automatically: eleven rules, named reasons.

Two strengths. *Machine* mail (a bounce, a report, an auto-reply, a mailing list) is kept and put before nobody. A mail
that is only *withheld* is treated like any other, but no automatic answer goes out: a contact form that writes
from no-reply, or Outlook's "do not auto-reply" header, still carries a customer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from triage.headers import addresses
from triage.mime import HEADERS_CUT
from triage.parse import MORE_HEADERS, Mail
from triage.subjects import read_subject

Strength = Literal["machine", "withhold"]
MAX_RECEIVED = 100
MAX_PER_SENDER_AND_DAY = 3
MAX_PER_CASE = 1


@dataclass(frozen=True)
class Reason:
    """Why a mail is no person's, or is not to be answered automatically. `name` is a stable key; `detail` quotes the mail."""

    name: str
    strength: Strength
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}" if self.detail else self.name


@dataclass(frozen=True)
class OurSide:
    """What only the shop knows: its own addresses (lower case), and the name its mail server signs Authentication-Results
    with (RFC 8601 authserv-id). Rules that need an empty field do not apply."""

    addresses: frozenset[str] = frozenset()
    authserv_id: str = ""

    def owns(self, address: str) -> bool:
        """Whether an address (lower case) is ours; what stands behind a + in it does not matter (RFC 5233)."""
        local, at, domain = address.rpartition("@")
        return address in self.addresses or f"{local.partition('+')[0]}{at}{domain}" in self.addresses


@dataclass(frozen=True)
class Sent:
    """Automatic mails sent already: in this case, to this sender in a day; `broken` is the circuit breaker for all.
    `per_sender_and_day` is how many a sender may get."""

    in_case: int = 0
    to_sender_today: int = 0
    broken: bool = False
    per_sender_and_day: int = MAX_PER_SENDER_AND_DAY


@dataclass(frozen=True)
class MachineVerdict:
    reasons: tuple[Reason, ...]

    @property
    def is_machine(self) -> bool:
        return any(reason.strength == "machine" for reason in self.reasons)

    @property
    def may_be_answered(self) -> bool:
        """Whether an automatic answer is not forbidden; nobody says that one is wanted."""
        return not self.reasons

    @property
    def is_bounce(self) -> bool:
        """Whether a mail system speaks (undelivered, delayed, read), so that the mail belongs to what we sent before.

        A null sender alone does not say so: programs that answer for a person have none either (RFC 3834, section 3.3).
        """
        names = self._machine_names
        return bool(names & _BOUNCE_NAMES) or ("null_sender" in names and not self._answers_for_somebody)

    @property
    def is_auto_reply(self) -> bool:
        """Whether a program answers for a person (out of office, receipt of a ticket)."""
        in_bulk = any(
            reason.name == "mail_loop" or (reason.name == "mailing_list" and reason.detail not in _OF_SINGLE_MAILS)
            for reason in self.reasons
        )
        return bool(self._machine_names & _AUTO_REPLY_NAMES) and not in_bulk and not self.is_bounce

    @property
    def _machine_names(self) -> set[str]:
        return {reason.name for reason in self.reasons if reason.strength == "machine"}

    @property
    def _answers_for_somebody(self) -> bool:
        stated = any(reason.name == "auto_submitted" and reason.detail == AUTO_REPLIED for reason in self.reasons)
        return stated or bool(self._machine_names & {"automatic_header", "auto_reply_subject"})

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the reasons, each once, in order."""
        return tuple(dict.fromkeys(reason.name for reason in self.reasons))


def judge(mail: Mail, ours: OurSide | None = None, sent: Sent | None = None) -> MachineVerdict:
    """All reasons that apply, strongest rules first."""
    side, budget = ours or OurSide(), sent or Sent()
    reasons = [reason for rule in _RULES for reason in rule(mail, side)]
    reasons += _subject(mail, beside=reasons)
    reasons += _budget_is_used(mail, budget)
    return MachineVerdict(tuple(dict.fromkeys(reasons)))


Rule = Callable[[Mail, OurSide], Iterator[Reason]]

AUTO_REPLIED = "auto-replied"
_BOUNCE_NAMES = {"daemon_sender", "report", "failed_recipients", "bounce_subject"}
_AUTO_REPLY_NAMES = {"auto_submitted", "automatic_header", "auto_reply_subject"}
_SECONDING = {
    "null_sender", "daemon_sender", "auto_submitted", "report", "precedence", "failed_recipients", "automatic_header",
}  # fmt: skip
_DAEMON = re.compile(
    r"^(?:mailer[-_]?daemon|daemon|post_?master|mail-?daemon|mdaemon|mmdf|maildaemon|double-bounce|bounces?|"
    r"bounce[-+=_.].*)(?:@|$)"
)
_DAEMON_NAME = re.compile(
    r"mail(?:er)?[- ]?(?:delivery )?(?:daemon|(?:sub)?system)|postmaster|mail administrator|delivery notification", re.I
)
_NO_REPLY = re.compile(
    r"(?:no|not|donot|dont|ne?pas|pasde|sans|non|senza|sin|keine?|nicht|ohne)"
    r"(?:reply|respon|respuest|answer|repond|repons|antwort|rispond|rispost|contest)"
)
_BETWEEN_WORDS = re.compile(r"[-_.+\d]+")
_COMMENT = re.compile(r"\([^()]*\)")
_OF_SINGLE_MAILS = {"list-unsubscribe", "list-unsubscribe-post"}  # receipts of a ticket have them too
_BULK = {"bulk", "list", "junk", "auto_reply", "first_class_auto"}
_VENDOR_HEADERS = (
    "x-autoreply", "x-autorespond", "x-autoresponse", "x-autoresponder", "x-mail-autoreply", "x-autogenerated", "x-auto-reply-from",
    "x-fc-machinegenerated", "x-ms-exchange-inbox-rules-loop", "x-ms-exchange-generated-message-source", "x-vacation",
    "x-loop", "x-comptoir-loop", "feedback-id",
)  # fmt: skip
_REPORT_TYPES = {
    "multipart/report", "message/delivery-status", "message/global-delivery-status", "message/disposition-notification",
    "message/feedback-report",
}  # fmt: skip


def _null_or_daemon_sender(mail: Mail, _: OurSide) -> Iterator[Reason]:
    """Rule 1: bounces have no return path, so that nobody answers them (RFC 5321 4.5.5, RFC 3834 2)."""
    if mail.envelope_from == "":
        yield Reason("null_sender", "machine", "")
    elif (
        mail.envelope_from
        and _DAEMON.match(mail.envelope_from)
        and not mail.envelope_from.startswith(("bounce", "postmaster"))
    ):
        yield Reason("daemon_sender", "machine", mail.envelope_from)


def _auto_submitted(mail: Mail, _: OurSide) -> Iterator[Reason]:
    """Rule 2: anything but "no" (RFC 3834 5); "no" is a human."""
    for value in mail.headers.get("auto-submitted", ()):
        keyword = _keyword(value)
        if keyword != "no":
            weak = not keyword or (keyword == "auto-generated" and _speaks_for_somebody(mail))
            yield Reason("auto_submitted", "withhold" if weak else "machine", keyword)


def _report(mail: Mail, _: OurSide) -> Iterator[Reason]:
    """Rule 3: delivery status (RFC 3464), disposition notification (8098), feedback report (5965), also when enclosed."""
    for kind in mail.content_types:
        if kind in _REPORT_TYPES:
            # A customer who forwards a bounce encloses it; then the outer mail is theirs.
            enclosed = (
                "message/rfc822" in mail.content_types[: mail.content_types.index(kind)]
                and mail.content_types[0] not in _REPORT_TYPES
            )
            yield Reason("report", "withhold" if enclosed else "machine", kind)
            return
    if re.search(r"report-type", mail.header("content-type"), re.I):
        yield Reason("report", "machine", "report-type")


def _list_or_bulk(mail: Mail, ours: OurSide) -> Iterator[Reason]:
    """Rule 4: List-* (RFC 2369, 2919), Precedence. A list that is our own address (a group mailbox) only withholds."""
    names = [name for name in mail.headers if name.startswith("list-") or name == "mailing-list"]
    if names:
        name = next((name for name in names if name not in _OF_SINGLE_MAILS), names[0])
        stated = " ".join((*mail.headers[name], mail.header("list-post"), mail.header("list-id"))).lower()
        own = any(address in stated or address.replace("@", ".") in stated for address in ours.addresses)
        yield Reason("mailing_list", "withhold" if own else "machine", name)
    for name in ("precedence", "x-precedence"):
        keywords = [_keyword(value).replace("-", "_") for value in mail.headers.get(name, ())]
        keyword = next((each for each in keywords if each in _BULK), None)
        if keyword is not None:
            own = any(address in mail.header("list-post").lower() for address in ours.addresses)
            yield Reason("precedence", "withhold" if own or _speaks_for_somebody(mail) else "machine", keyword)
            break


def _vendor_header(mail: Mail, _: OurSide) -> Iterator[Reason]:
    """Rule 5."""
    if "x-failed-recipients" in mail.headers:
        yield Reason("failed_recipients", "machine", mail.header("x-failed-recipients")[:100])
    for name in _VENDOR_HEADERS:
        if any(value.strip().lower() not in {"", "no", "false", "0"} for value in mail.headers.get(name, ())):
            weak = name in {"feedback-id", "x-loop"}
            yield Reason("automatic_header", "withhold" if weak else "machine", name)
            break


def _suppressed(mail: Mail, _: OurSide) -> Iterator[Reason]:
    """Rule 6: [MS-OXCMAIL] X-Auto-Response-Suppress. Withhold the answer, keep and treat the mail."""
    stated = ", ".join(mail.headers.get("x-auto-response-suppress", ()))
    if {each.strip().lower() for each in re.split("[,;]", stated)} & {"all", "autoreply", "oof", "-1"}:
        yield Reason("answer_suppressed", "withhold", stated[:60])


def _sender_is_nobody(mail: Mail, ours: OurSide) -> Iterator[Reason]:
    """Rule 7: empty, no-reply, a daemon, or ourselves."""
    sender = mail.from_address
    if not sender or not any("@" in value for value in mail.headers.get("from", ())):
        yield Reason("no_sender", "withhold", "")
    elif _DAEMON.match(sender) or (_DAEMON_NAME.search(mail.from_name) and not mail.reply_to):
        yield Reason("daemon_sender", "machine", sender)
    elif _is_no_reply(sender):
        yield Reason("no_reply_sender", "withhold", sender)
    if ours.owns(sender):
        yield Reason("own_address", "withhold", sender)
    to_us = next(
        (each.address for each in addresses(mail.headers.get("reply-to", ())) if ours.owns(each.address)), None
    )
    if to_us is not None:
        yield Reason("answer_to_ourselves", "withhold", to_us)


def _not_addressed_to_us(mail: Mail, ours: OurSide) -> Iterator[Reason]:
    """Rule 8."""
    if ours.addresses and not any(ours.owns(each.address) for each in (*mail.to, *mail.cc)):
        yield Reason("not_addressed_to_us", "withhold", "")


def _subject(mail: Mail, beside: Sequence[Reason]) -> Iterator[Reason]:
    """Rule 9, the last resort; never the body. A subject that people write too is a machine's `beside` another sign of one."""
    sign = read_subject(mail.subject)
    if sign is not None:
        seconded = any(reason.name in _SECONDING and reason.strength == "machine" for reason in beside)
        machine = sign.kind != "automatic_subject" and (sign.plain or seconded)
        yield Reason(sign.kind, "machine" if machine else "withhold", mail.subject[:80])


def _too_many_hops(mail: Mail, _: OurSide) -> Iterator[Reason]:
    """Rule 10, the part that stands in the mail: it has been going round."""
    if len(mail.headers.get("received", ())) > MAX_RECEIVED:
        yield Reason("mail_loop", "machine", f"{len(mail.headers['received'])} Received lines")


def _headers_cut(mail: Mail, _: OurSide) -> Iterator[Reason]:
    """A header that forbids an answer may stand among those that were not read."""
    if {HEADERS_CUT, MORE_HEADERS} & set(mail.defects):
        yield Reason("headers_cut", "withhold", "")


def _dmarc_failed(mail: Mail, ours: OurSide) -> Iterator[Reason]:
    """Rule 11: only our own server's Authentication-Results count (RFC 8601 5); anybody can write one."""
    for value in mail.headers.get("authentication-results", ()):
        server = value.split(";")[0].split()[0].lower() if value.split(";")[0].split() else ""
        if ours.authserv_id and server == ours.authserv_id.lower() and re.search(r"\bdmarc\s*=\s*fail\b", value, re.I):
            yield Reason("dmarc_failed", "withhold", mail.from_address)


def _budget_is_used(_: Mail, sent: Sent) -> Iterator[Reason]:
    """Rule 10, the part that the caller counts."""
    if sent.broken:
        yield Reason("circuit_breaker", "withhold", "circuit breaker")
    if sent.in_case >= MAX_PER_CASE:
        yield Reason("case_answered", "withhold", str(sent.in_case))
    if sent.to_sender_today >= sent.per_sender_and_day:
        yield Reason("sender_budget", "withhold", str(sent.to_sender_today))


def _speaks_for_somebody(mail: Mail) -> bool:
    """Whether a program (a contact form, a marketplace) passes on the words of the person in Reply-To."""
    return bool(mail.reply_to) and mail.reply_to != mail.from_address and not _is_no_reply(mail.reply_to)


def _is_no_reply(address: str) -> bool:
    """Whether the part before the @ says so from the beginning of one of its words: shop.ne_pas-repondre2@."""
    words = _BETWEEN_WORDS.split(address.partition("@")[0])
    return any(_NO_REPLY.match("".join(words[start:])) for start in range(len(words)))


def _keyword(value: str) -> str:
    """The keyword of a header value, in lower case, without comments (RFC 5322) and parameters."""
    return re.split(r"[\s;]", _COMMENT.sub(" ", value).strip().lower(), maxsplit=1)[0]


_RULES: tuple[Rule, ...] = (
    _null_or_daemon_sender,
    _auto_submitted,
    _report,
    _list_or_bulk,
    _vendor_header,
    _suppressed,
    _sender_is_nobody,
    _not_addressed_to_us,
    _too_many_hops,
    _headers_cut,
    _dmarc_failed,
)
