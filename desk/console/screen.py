"""From the desk's rows to what stands on the screen: labels, days, groups of messages, bars. Plain values for the templates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from email.parser import BytesHeaderParser
from typing import Any

from markupsafe import Markup

from desk.attachments import CUT_OFF
from desk.console.language import Words
from desk.outbox import OutboundStatus, in_words
from desk.quarantine import KeptMail
from desk.tables import (
    Actor,
    AddressTrouble,
    Channel,
    Conversation,
    Correction,
    CorrectionKind,
    CorrectionState,
    EventKind,
    OutboundState,
    Owner,
)
from desk.views import CustomerPanel, Line, MailCase, Row, View

SAME_BREATH = timedelta(minutes=5)
"""Messages of one author that follow each other within this time stand together under one name."""
LATE = {Channel.CHAT: timedelta(minutes=5), Channel.MAIL: timedelta(hours=24)}
"""A wait longer than this is shown as late."""
WORTH_A_BAR = 0.03
BARS = 5
MUCH_OF_AN_AUTO_REPLY = 300
SURE = 0.5


@dataclass(frozen=True)
class ListItem:
    """One conversation in the list."""

    id: str
    title: str
    channel: str
    language: str
    motive: str | None
    subject: str | None
    last: str
    last_by: str
    last_actor: str | None
    agent: str | None
    wait: str | None
    late: bool
    at: datetime
    at_text: str


@dataclass(frozen=True)
class Bubble:
    """One entry of the transcript: `kind` is "day", "message" or "notice"."""

    kind: str
    number: int = 0
    at: datetime | None = None
    time: str = ""
    author: str = ""
    actor: str = ""
    text: str = ""
    html: Markup | None = None
    follows: bool = False
    """The author and time stand already above an earlier message."""
    buttons: tuple[str, ...] = ()
    mail: Mapping[str, Any] | None = None
    """`subject`, `from`, `to`, `signature`, `quoted`, `files`, `id` of a message that is a mail; `defects` is what was wrong
    with it or not read; `whole_megabytes` is not 0 when only its beginning is here."""
    sending: Sending | None = None
    correcting: Correcting | None = None
    link: tuple[str, str] | None = None
    """Another case: its id and how it is called."""


@dataclass(frozen=True)
class Sending:
    """Where a mail of ours is: `state` is "leaving", "sent", "failed", "doubtful", "delayed" or "returned", `acts` what an
    agent may do about it."""

    mail_id: int
    state: str
    text: str
    acts: tuple[str, ...] = ()


@dataclass(frozen=True)
class File:
    """A file that came with a mail. `id` is None when it cannot be had by itself; `left_out` says why, where that is known,
    and `in_original` that it is in the mail as it came."""

    name: str
    size: str = ""
    id: int | None = None
    left_out: str = ""
    in_original: bool = False


@dataclass(frozen=True)
class KeptRow:
    """One mail without a case. `size` is in kilobytes."""

    id: int
    at: datetime
    sender: str
    subject: str
    size: int
    source: str
    failure: str | None
    attempts: int


@dataclass(frozen=True)
class Correcting:
    """What an agent may correct in a message: its motive, or the FAQ answer that it is. `predicted` is what was said,
    `noted` the correction that stands already, in words; `open` says that it may still be changed."""

    kind: str
    number: int
    predicted: str | None
    noted: str | None
    open: bool


@dataclass(frozen=True)
class PendingCorrection:
    """One correction on the review page. `correct` is the name as it is stored, the labels are for people."""

    id: int
    kind: str
    channel: str
    conversation_id: str
    language: str
    subject: str | None
    text: str
    predicted_label: str
    correct: str | None
    correct_label: str
    agent: str
    at: datetime


@dataclass(frozen=True)
class Bar:
    label: str
    percent: int
    sure: bool


@dataclass(frozen=True)
class SortingCard:
    """What triage read in a mail."""

    bars: tuple[Bar, ...]
    language: str
    order_numbers: tuple[str, ...]
    wants_human: bool
    wants_human_percent: int | None
    action: str | None
    reasons: tuple[str, ...]
    urgency: str | None
    sender: str | None
    team: str | None


@dataclass(frozen=True)
class Composer:
    """The reply box, or why there is none. `mode` is "write", "claim", "taken" or "take"."""

    mode: str
    channel: str
    recipient: str | None = None
    subject: str = ""
    text: str = ""
    drafted: bool = False
    foreign_language: str | None = None
    owner: str | None = None
    trouble: str | None = None
    """Why mail to the recipient does not, or may not, arrive."""


def list_item(words: Words, row: Row, now: datetime, me: int) -> ListItem:
    wait = now - row.waiting_since if row.waiting_since else None
    speaker = {Actor.CUSTOMER: "", Actor.BOT: words("by.assistant"), Actor.AGENT: words("by.agent")}
    return ListItem(
        id=row.id,
        title=row.name or row.sender_name or row.contact or words("visitor"),
        channel=row.channel,
        language=row.language,
        motive=words.motive(row.motive) if row.motive else None,
        subject=(row.subject or words("mail.no_subject")) if row.channel == Channel.MAIL else None,
        last=" ".join(row.last_text.split())[:160],
        last_by=speaker.get(Actor(row.last_actor), "") if row.last_actor else "",
        last_actor=row.last_actor,
        agent=(words("you") if row.agent_id == me else row.agent) if row.owner == Owner.AGENT else None,
        wait=words.duration(wait) if wait is not None else None,
        late=wait is not None and wait > LATE[Channel(row.channel)],
        at=row.updated_at,
        at_text=words.day_or_time(row.updated_at, now),
    )


def state_of(conversation: Conversation) -> str:
    """ "queued", "held", "closed", "machine" (mail put before nobody) or "assistant"."""
    return _state(
        conversation.owner,
        conversation.owner == Owner.BOT and conversation.closed_at is not None,
        conversation.channel,
    )


def bubbles(
    words: Words,
    lines: Iterable[Line],
    previous: Line | None,
    now: datetime,
    html: Callable[[str], str],
    customer: str,
    corrections: Mapping[tuple[int, str], Correction],
    titles: Mapping[str, str],
) -> list[Bubble]:
    """The transcript's entries. `previous` is the line that stands on the screen already, above these.

    `corrections` by event number and kind; `titles` of the FAQ's entries by slug.
    """
    shown: list[Bubble] = []
    for line in lines:
        day = words.local_day(line.at)
        if previous is None or words.local_day(previous.at) != day:
            shown.append(Bubble("day", text=words.day(day, words.local_day(now)), at=line.at))
        if line.kind == EventKind.MESSAGE:
            kind = _correctable(line)
            known = corrections.get((line.number, kind)) if kind else None
            noted = correcting(words, kind, line.number, line.body.get("slug"), known, titles) if kind else None
            bubble: Bubble | None = _message(words, line, html, customer, noted)
        else:
            bubble = _notice(words, line)
        if bubble is None:
            continue
        if previous is not None and _same_breath(previous, line, words):
            bubble = Bubble(**{**bubble.__dict__, "follows": True})
        shown.append(bubble)
        previous = line
    return shown


def sorting_card(words: Words, sorting: Mapping[str, Any]) -> SortingCard | None:
    """What triage read in a mail, None when it has not been read yet."""
    if not sorting:
        return None
    bars = tuple(
        Bar(words.motive(str(each["motive"])), round(100 * each["probability"]), each["probability"] >= SURE)
        for index, each in enumerate(sorting.get("motives") or ())
        if index < BARS and (index == 0 or each["probability"] >= WORTH_A_BAR)
    )
    probability = sorting.get("wants_human_probability")
    action = sorting.get("action")
    urgency = sorting.get("urgency") or {}
    pressing = ", ".join(words.named("urgency", reason) for reason in urgency.get("reasons") or ())
    standing = (sorting.get("sender") or {}).get("standing")
    return SortingCard(
        bars=bars,
        language=words.language_name(str(sorting.get("language") or "")),
        order_numbers=tuple(map(str, sorting.get("order_numbers") or ())),
        wants_human=bool(sorting.get("wants_human")),
        wants_human_percent=round(100 * probability) if probability is not None else None,
        action=words.named("action", action) if action else None,
        reasons=tuple(words.named("reason", reason) for reason in sorting.get("reasons") or ()),
        urgency=f"{urgency['score']} / 100 ({pressing})" if urgency.get("urgent") else None,
        sender=words.named("sender", standing) if standing in ("verified", "failed") else None,
        team=sorting.get("team") or None,
    )


def composer(
    words: Words,
    conversation: Conversation,
    case: MailCase | None,
    me: int,
    holder: str | None,
    trouble: AddressTrouble | None,
) -> Composer:
    """The reply box for agent `me`; `trouble` is the mark of the address that it writes to."""
    channel = conversation.channel
    foreign = words.language_name(conversation.language) if conversation.language != words.language else None
    if conversation.owner == Owner.QUEUE:
        return Composer("claim", channel)
    if conversation.owner == Owner.BOT:
        return Composer("take", channel)
    if conversation.agent_id != me:
        return Composer("taken", channel, owner=holder)
    if case is None:
        return Composer("write", channel, foreign_language=foreign)
    subject = case.draft.get("subject") or reply_subject(conversation.subject or "")
    text = "" if case.answered else case.draft.get("text", "")
    warning = None
    if trouble is not None:
        lasting = "permanent" if trouble.permanent else "temporary"
        reason = in_words(trouble.status, trouble.reason)
        values = {"address": trouble.address, "reason": reason, "since": words.moment(trouble.at)}
        warning = words(f"mail.trouble.{lasting}", **values)
    return Composer("write", channel, conversation.contact, subject, text, bool(text), foreign, trouble=warning)


def sending(words: Words, status: OutboundStatus) -> Sending:
    """What stands below a mail of ours."""
    if status.returned_at is not None:
        state = "delayed" if status.return_delayed else "returned"
        return Sending(status.id, state, words(f"mail.{state}", reason=status.return_reason or ""))
    if status.state == OutboundState.SENT:
        return Sending(status.id, "sent", words("mail.sent"))
    if status.state == OutboundState.FAILED:
        return Sending(status.id, "failed", words("mail.failed", reason=status.error or ""), ("resend",))
    if status.state == OutboundState.DOUBTFUL:
        at = words.moment(status.handed_at) if status.handed_at else ""
        return Sending(status.id, "doubtful", words("mail.doubtful", at=at), ("resend", "settle"))
    text = words("mail.retried", reason=status.error) if status.error else words("mail.unsent")
    return Sending(status.id, "leaving", text)


def kept_row(kept: KeptMail) -> KeptRow:
    """A mail without a case as a person recognises it: by what stands in its headers, if anything does."""
    headers = BytesHeaderParser(policy=policy.default).parsebytes(kept.beginning)
    return KeptRow(
        id=kept.id,
        at=kept.received_at,
        sender=_header(headers, "From"),
        subject=_header(headers, "Subject"),
        size=max(1, round(kept.size / 1000)),
        source=kept.source,
        failure=kept.failure,
        attempts=kept.attempts,
    )


def _header(headers: Message[Any, Any], name: str) -> str:
    try:
        return str(headers[name] or "")[:300]
    except Exception:  # what cannot be read stands in the quarantine for just that reason
        return ""


def customer_title(words: Words, panel: CustomerPanel) -> str:
    """What the customer is called: a name only when it is proven."""
    if panel.customer is not None and panel.proven:
        return panel.customer.name
    return panel.contact or words("visitor")


@dataclass(frozen=True)
class SentMail:
    """One mail of the demo sink, opened. `headers` are pairs of name and value."""

    subject: str
    headers: tuple[tuple[str, str], ...]
    text: str
    raw: str


def sent_mail(raw: bytes) -> SentMail:
    """A mail of ours as its reader sees it (the plain-text part), with the headers that matter and its source."""
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain", "html"))
    names = ("From", "To", "Reply-To", "Date", "Message-ID", "In-Reply-To", "Auto-Submitted", "Content-Language")
    return SentMail(
        subject=str(message["Subject"] or ""),
        headers=tuple((name, str(message[name])) for name in names if message[name]),
        text=str(body.get_content()) if body is not None else "",
        raw=raw.decode("utf-8", "replace"),
    )


def views_nav(words: Words, counts: Mapping[View, int], chosen: View) -> list[dict[str, Any]]:
    return [
        {"name": view.value, "label": words(f"view.{view}"), "count": counts[view], "chosen": view == chosen}
        for view in View
    ]


def _state(owner: str, closed: bool, channel: str) -> str:
    if owner == Owner.QUEUE:
        return "queued"
    if owner == Owner.AGENT:
        return "held"
    if closed:
        return "closed"
    return "machine" if channel == Channel.MAIL else "assistant"


def _same_breath(previous: Line, line: Line, words: Words) -> bool:
    return (
        previous.kind == line.kind == EventKind.MESSAGE
        and (previous.actor, previous.agent) == (line.actor, line.agent)
        and line.at - previous.at < SAME_BREATH
        and words.local_day(previous.at) == words.local_day(line.at)
        and "subject" not in line.body
    )


def correcting(
    words: Words, kind: str, number: int, predicted: str | None, known: Correction | None, titles: Mapping[str, str]
) -> Correcting:
    """What stands below a message that can be corrected."""
    said = known.predicted if known else predicted
    noted = None
    if known is not None:
        noted = words(f"correct.noted.{known.state}", correct=meaning(words, kind, known.correct, titles))
    return Correcting(kind, number, said, noted, known is None or known.state == CorrectionState.PENDING)


def pending_correction(words: Words, row: Correction, agent: str, titles: Mapping[str, str]) -> PendingCorrection:
    return PendingCorrection(
        id=row.id,
        kind=row.kind,
        channel=row.channel,
        conversation_id=row.conversation_id,
        language=row.language,
        subject=row.subject,
        text=row.text,
        predicted_label=meaning(words, row.kind, row.predicted, titles),
        correct=row.correct,
        correct_label=meaning(words, row.kind, row.correct, titles),
        agent=agent,
        at=row.created_at,
    )


def meaning(words: Words, kind: str, name: str | None, titles: Mapping[str, str]) -> str:
    """A motive or an FAQ entry as people call it."""
    if name is None:
        return words("correct.none" if kind == CorrectionKind.ANSWER else "correct.unknown")
    return words.motive(name) if kind == CorrectionKind.MOTIVE else titles.get(name, name)


def _correctable(line: Line) -> str | None:
    """The kind of correction that a message can have."""
    if line.actor == Actor.CUSTOMER:
        told = f"{line.body.get('subject') or ''}{line.body.get('text') or ''}"
        return CorrectionKind.MOTIVE if told.strip() else None
    return CorrectionKind.ANSWER if line.actor == Actor.BOT and line.body.get("slug") else None


def _message(
    words: Words, line: Line, html: Callable[[str], str], customer: str, correcting: Correcting | None
) -> Bubble:
    body = line.body
    text = str(body.get("text", ""))
    author = {
        Actor.CUSTOMER: customer,
        Actor.BOT: words("assistant"),
        Actor.AGENT: line.agent or words("agent"),
    }.get(Actor(line.actor), words("system"))
    return Bubble(
        "message",
        number=line.number,
        at=line.at,
        time=words.time(line.at),
        author=author,
        actor=line.actor,
        text=text,
        html=Markup(html(text)) if line.actor == Actor.BOT else None,
        buttons=tuple(str(button.get("title", "")) for button in body.get("buttons") or ()),
        mail=_mail(words, line) if "mail_id" in body else None,
        sending=sending(words, line.outgoing) if line.outgoing else None,
        correcting=correcting,
    )


def _mail(words: Words, line: Line) -> dict[str, Any]:
    body = line.body
    return {
        "id": body["mail_id"],
        "subject": body.get("subject"),
        "from": body.get("from"),
        "to": body.get("to"),
        # A mail filed before its signature was kept by itself has none.
        "signature": body.get("signature") or "",
        "quoted": body.get("quoted") or "",
        "files": _files(words, line),
        "defects": [str(defect) for defect in body.get("defects") or ()],
        "whole_megabytes": round(body.get("whole_bytes", 0) / 1_000_000),
    }


def _files(words: Words, line: Line) -> list[File]:
    if not line.attachments:
        # A mail filed before its files were kept by themselves has only their names.
        return [File(str(name)) for name in line.body.get("attachments") or ()]
    return [
        File(
            name=each.name,
            size=words.size(each.size),
            id=each.id if each.digest else None,
            left_out=words(f"file.{each.left_out}") if each.left_out else "",
            in_original=bool(each.left_out) and each.left_out != CUT_OFF,
        )
        for each in line.attachments
    ]


def _notice(words: Words, line: Line) -> Bubble | None:
    body = line.body
    values: dict[str, object] = {"agent": line.agent or "", "position": body.get("position", "")}
    key = f"notice.{line.kind}"
    link: tuple[str, str] | None = None
    if line.kind == EventKind.ESCALATED:
        reason = f"notice.escalated.{body.get('reason')}"
        key = reason if words.has(reason) else key
    elif line.kind == EventKind.SORTED:
        motives = (body.get("sorting") or {}).get("motives") or ()
        if not motives:
            return None
        values |= {
            "motive": words.motive(str(motives[0]["motive"])),
            "percent": round(100 * motives[0]["probability"]),
        }
    elif line.kind == EventKind.LINKED:
        key = f"notice.linked.{body.get('why')}.{'newer' if body.get('newer') else 'older'}"
        link = (str(body["case"]), case_name(str(body["case"])))
    elif line.kind == EventKind.UNDELIVERED:
        key = "notice.delayed" if body.get("delayed") else "notice.undelivered"
        values |= {"to": body.get("to", ""), "reason": in_words(body.get("status", ""), body.get("reason", ""))}
    elif line.kind == EventKind.AUTO_REPLY:
        said = " ".join(f"{body.get('subject', '')} · {body.get('text', '')}".split())
        values |= {"sender": body.get("from", ""), "said": said[:MUCH_OF_AN_AUTO_REPLY]}
    return Bubble(
        "notice",
        number=line.number,
        at=line.at,
        time=words.time(line.at),
        actor=line.kind,
        text=words(key, **values),
        link=link,
    )


def case_name(case_id: str) -> str:
    """What a case is called in the subject of its mails."""
    return f"#{case_id[:8].upper()}"


def reply_subject(subject: str) -> str:
    return subject if subject.lower().startswith("re:") else f"Re: {subject}".strip()
