"""Mail at the desk: kept raw as it comes, filed into a conversation once it is read, answered through the outbox."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from desk.attachments import FiledAttachment, note_attachments
from desk.conversations import append, load, open_mail
from desk.copies import case_of_copy
from desk.outbox import (
    Returned,
    add_participants,
    forget_trouble,
    note_returned,
    put_out,
    requeue,
    takes_part,
)
from desk.tables import (
    Actor,
    Channel,
    Conversation,
    Event,
    EventKind,
    InboundMail,
    MailKind,
    OutboundMail,
    Owner,
)
from store import enqueue, utc_now

READ_MAIL = "read_mail"
REOPEN_WITHIN = timedelta(days=30)
MAX_EARLIER = 5
"""Earlier mails of a case that are looked into for what a new one leaves out."""


@dataclass(frozen=True)
class FiledMail:
    """What the desk needs to know of a mail that has been read.

    `sorting` is the triage result as plain data; `draft` the proposed reply (`subject`, `text`) or None; a `silent` mail
    (newsletters and the like) is kept but put before nobody. `thread_ids` are the mails that it answers, oldest first.
    `addressed` and `answered` are the cases whose signed token stands in its addresses and among those ids, `tags` the
    beginnings of cases' ids in its subject. `verified` says that its sender is known to be who it claims to be, `forged` that
    it is not. A bounce names the mail that came back by `original_ids`, and by `returned` what became of it.
    """

    message_id: str
    thread_ids: tuple[str, ...]
    sender: str
    reply_to: str
    subject: str
    language: str
    text: str
    quoted: str
    signature: str
    attachments: tuple[FiledAttachment, ...]
    defects: tuple[str, ...]
    sorting: Mapping[str, Any]
    draft: Mapping[str, str] | None
    silent: bool
    kind: MailKind = MailKind.PERSON
    addressed: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    verified: bool = False
    forged: bool = False
    original_ids: tuple[str, ...] = ()
    returned: tuple[Returned, ...] = ()

    @property
    def speakers(self) -> set[str]:
        """The addresses that it speaks for, in lower case."""
        return {address.lower() for address in (self.sender, self.reply_to) if address}

    @property
    def answered_at(self) -> str:
        """The address that an answer goes to."""
        return self.reply_to or self.sender

    @property
    def admitted(self) -> set[str]:
        """The addresses that it lets into a case of its own, in lower case: the one that an answer goes to, and the sender's
        when it is surely theirs. Whoever is only named would else be led into a stranger's case."""
        own = {self.sender} if self.verified or (not self.forged and self.answered_at == self.sender) else set()
        return {address.lower() for address in own | {self.reply_to} if address}


def mail_digest(raw: bytes) -> str:
    """What the same mail has in common by IMAP (lines end in CRLF) and as a file (LF)."""
    return hashlib.sha256(raw.replace(b"\r\n", b"\n")).hexdigest()


def is_received(session: Session, raw: bytes) -> bool:
    """True when this mail is kept already."""
    return session.scalar(select(InboundMail.id).where(InboundMail.digest == mail_digest(raw))) is not None


def receive(
    session: Session,
    raw: bytes,
    *,
    source: str,
    envelope_from: str | None = None,
    whole_bytes: int | None = None,
) -> InboundMail:
    """Keep a mail and order it to be read; the same mail again gives the row that is there already.

    `whole_bytes` is the size of the mail when `raw` is only its beginning.
    """
    digest = mail_digest(raw)
    known = session.scalar(select(InboundMail).where(InboundMail.digest == digest))
    if known is not None:
        return known
    mail = InboundMail(digest=digest, source=source, envelope_from=envelope_from, raw=raw, whole_bytes=whole_bytes)
    session.add(mail)
    session.flush()
    enqueue(session, READ_MAIL, digest, {"mail_id": mail.id})
    return mail


def file_mail(
    session: Session, mail_id: int, filed: FiledMail, *, reopen_within: timedelta = REOPEN_WITHIN
) -> Conversation | None:
    """Put a read mail into its conversation, once; None when it had been filed before, or belongs to none.

    It joins a case that it names only when whoever it speaks for takes part there already: merging strangers' mail would show
    one customer's words to another. A stranger, and whoever answers a case that was closed longer ago than `reopen_within`, gets
    a case of their own that is linked with it. Bounces and automatic replies never open a case. Another copy of a mail that is
    filed is kept beside it and nothing more, unless it names a case that the first did not find: it is None too.
    """
    mail = session.get_one(InboundMail, mail_id)
    if mail.filed_at is not None:
        return None
    mail.filed_at, mail.quarantined_at = utc_now(), None
    mail.message_id, mail.kind = filed.message_id, filed.kind
    session.flush()
    named = list(_named_cases(session, filed))
    joined = [each for each in named if not filed.forged and _may_join(session, each.id, filed)]
    silent = filed.silent or filed.kind != MailKind.PERSON
    known_case = case_of_copy(session, mail, silent=silent, forged=filed.forged)
    if known_case is not None and (not joined or known_case in {each.id for each in joined}):
        mail.kind, mail.conversation_id = MailKind.COPY, known_case
        session.flush()
        return None
    mail.sorting = dict(filed.sorting)
    mail.draft = dict(filed.draft) if filed.draft else None
    session.flush()
    if filed.kind == MailKind.BOUNCE:
        return _file_bounce(session, mail, filed)
    conversation = next((each for each in joined if not _is_over(each, reopen_within)), None)
    if filed.kind == MailKind.AUTO_REPLY:
        conversation = conversation or next(iter(joined), None)
        return _file_auto_reply(session, mail, filed, conversation) if conversation else None
    if conversation is None:
        conversation = open_mail(session, language=filed.language, subject=filed.subject, contact=filed.answered_at)
        add_participants(session, conversation.id, filed.admitted)
        if filed.silent:
            conversation.owner = Owner.BOT
            conversation.queued_at = None
        elif named:
            _link(session, conversation, (joined or named)[0], "closed" if joined else "stranger")
    elif conversation.owner == Owner.BOT and not filed.silent:
        if conversation.closed_at is not None:
            append(session, conversation.id, EventKind.REOPENED, Actor.CUSTOMER, {})
        requeue(conversation)
    if not filed.silent:
        # Of several who take part, the one who wrote last is answered.
        conversation.contact = filed.answered_at
    if not filed.silent and not filed.forged:
        forget_trouble(session, filed.speakers)
    mail.conversation_id = conversation.id
    session.flush()
    message = append(
        session,
        conversation.id,
        EventKind.MESSAGE,
        Actor.CUSTOMER,
        {
            "text": filed.text,
            "quoted": filed.quoted,
            "signature": filed.signature,
            "subject": filed.subject,
            "from": filed.sender,
            "attachments": [each.name for each in filed.attachments],
            "defects": list(filed.defects),
            "mail_id": mail.id,
            **({"whole_bytes": mail.whole_bytes} if mail.whole_bytes else {}),
        },
    )
    note_attachments(session, message, mail.id, filed.attachments)
    append(
        session, conversation.id, EventKind.SORTED, Actor.SYSTEM, {"mail_id": mail.id, "sorting": dict(filed.sorting)}
    )
    return conversation


def said_before(session: Session, filed: FiledMail) -> list[Mapping[str, Any]]:
    """How the earlier mails of the same sender in the case that a mail would join were sorted, newest first."""
    if filed.forged:
        return []
    case = next((each.id for each in _named_cases(session, filed) if _may_join(session, each.id, filed)), None)
    if case is None:
        return []
    rows = session.scalars(
        select(InboundMail.sorting)
        .where(InboundMail.conversation_id == case, InboundMail.kind == MailKind.PERSON)
        .order_by(InboundMail.id.desc())
        .limit(MAX_EARLIER)
    )
    return [each for each in rows if each and str(each.get("from", "")).lower() == filed.sender.lower()]


def mail_raw(session: Session, mail_id: int) -> bytes | None:
    """A mail as it came; None when there is none of this id."""
    return session.scalar(select(InboundMail.raw).where(InboundMail.id == mail_id))


def latest_mail(session: Session, conversation_id: str) -> InboundMail | None:
    """The newest mail of a conversation that somebody wrote."""
    return session.scalar(
        select(InboundMail)
        .where(InboundMail.conversation_id == conversation_id, InboundMail.kind == MailKind.PERSON)
        .order_by(InboundMail.id.desc())
        .limit(1)
    )


def send_answer(
    session: Session,
    conversation_id: str,
    agent_id: int,
    *,
    key: str,
    text: str,
    message_id: str,
    recipient: str,
    raw: bytes,
) -> Event | None:
    """Store an agent's mail and put it into the outbox, once per `key`; None when the conversation is not theirs.

    `raw` is the finished message, `recipient` its envelope recipient.
    """
    known = session.scalar(select(Event).where(Event.conversation_id == conversation_id, Event.client_id == key))
    if known is not None:
        return known
    conversation = load(session, conversation_id)
    if conversation.owner != Owner.AGENT or conversation.agent_id != agent_id:
        return None
    mail = put_out(
        session,
        key=f"{conversation_id}/{key}",
        conversation_id=conversation_id,
        message_id=message_id,
        recipient=recipient,
        raw=raw,
    )
    body = {"text": text, "mail_id": mail.id, "to": recipient}
    return append(session, conversation_id, EventKind.MESSAGE, Actor.AGENT, body, agent_id=agent_id, client_id=key)


def _may_join(session: Session, conversation_id: str, filed: FiledMail) -> bool:
    """Whether the address that an answer goes to takes part in a case, and the sender's too, or has written there as now: a
    form on a web page takes part in no case, but brings the mail of those who do."""
    answered_at, sender = filed.answered_at.lower(), filed.sender.lower()
    if not takes_part(session, conversation_id, {answered_at} - {""}):
        return False
    if takes_part(session, conversation_id, {sender}):
        return True
    said = select(Event.body).where(
        Event.conversation_id == conversation_id, Event.kind == EventKind.MESSAGE, Event.actor == Actor.CUSTOMER
    )
    return any(str(body.get("from", "")).lower() == sender for body in session.scalars(said))


def _named_cases(session: Session, filed: FiledMail) -> Iterator[Conversation]:
    """The mail cases that a mail names, surest first: by the token in an address, by the mails that it answers (the newest
    first), by the tag in its subject; behind each those that were linked with it."""
    seen: set[str] = set()
    for named in (_addressed(session, filed), _answered(session, filed), _tagged(session, filed)):
        for conversation_id in named:
            for each in (conversation_id, *_linked_with(session, conversation_id)):
                found = session.get(Conversation, each) if each not in seen else None
                seen.add(each)
                if found is not None and found.channel == Channel.MAIL:
                    yield found


def _addressed(_session: Session, filed: FiledMail) -> tuple[str, ...]:
    return filed.addressed


def _answered(session: Session, filed: FiledMail) -> Iterator[str]:
    yield from filed.answered
    if not filed.thread_ids:
        return
    cases: dict[str | None, str | None] = {}
    for table in (InboundMail, OutboundMail):
        rows = select(table.message_id, table.conversation_id).where(table.message_id.in_(filed.thread_ids))
        cases |= {message_id: case for message_id, case in session.execute(rows) if case is not None}
    yield from (case for each in reversed(filed.thread_ids) if (case := cases.get(each)) is not None)


def _tagged(session: Session, filed: FiledMail) -> Iterator[str]:
    for tag in filed.tags:
        yield from session.scalars(
            select(Conversation.id)
            .where(Conversation.id.startswith(tag, autoescape=True), Conversation.channel == Channel.MAIL)
            .order_by(Conversation.updated_at.desc())
        )


def _linked_with(session: Session, conversation_id: str) -> list[str]:
    bodies = session.scalars(
        select(Event.body)
        .where(Event.conversation_id == conversation_id, Event.kind == EventKind.LINKED)
        .order_by(Event.number.desc())
    )
    return [str(body["case"]) for body in bodies]


def _is_over(conversation: Conversation, reopen_within: timedelta) -> bool:
    closed = conversation.closed_at if conversation.owner == Owner.BOT else None
    return closed is not None and utc_now() - closed > reopen_within


def _link(session: Session, new: Conversation, old: Conversation, why: str) -> None:
    """Name each of two cases in the other; no word of either is copied."""
    append(session, new.id, EventKind.LINKED, Actor.SYSTEM, {"case": old.id, "why": why, "newer": False})
    append(session, old.id, EventKind.LINKED, Actor.SYSTEM, {"case": new.id, "why": why, "newer": True})


def _file_auto_reply(session: Session, mail: InboundMail, filed: FiledMail, conversation: Conversation) -> Conversation:
    """Note in its case that a program answered; nobody is called for it."""
    mail.conversation_id = conversation.id
    session.flush()
    body = {"mail_id": mail.id, "from": filed.sender, "subject": filed.subject, "text": filed.text[:4000]}
    append(session, conversation.id, EventKind.AUTO_REPLY, Actor.SYSTEM, body)
    return conversation


def _file_bounce(session: Session, mail: InboundMail, filed: FiledMail) -> Conversation | None:
    """Bring a bounce back to the mail that it is about. Only whoever got that mail knows its id or the case's token."""
    bounced = _bounced_mail(session, filed)
    if bounced is None:
        return None
    conversation = load(session, bounced.conversation_id)
    if not filed.returned:
        return _file_auto_reply(session, mail, filed, conversation)
    to = bounced.recipient.lower()
    returned = next((each for each in filed.returned if each.address == to), filed.returned[0])
    note_returned(session, bounced, returned)
    mail.conversation_id = conversation.id
    if not returned.delayed:
        requeue(conversation)
    session.flush()
    append(
        session,
        conversation.id,
        EventKind.UNDELIVERED,
        Actor.SYSTEM,
        {
            "mail_id": mail.id,
            "outbound_id": bounced.id,
            "to": bounced.recipient,
            "permanent": returned.permanent,
            "delayed": returned.delayed,
            "status": returned.status,
            "reason": returned.reason,
        },
    )
    return conversation


def _bounced_mail(session: Session, filed: FiledMail) -> OutboundMail | None:
    newest_first = select(OutboundMail).order_by(OutboundMail.id.desc())
    ids = (*filed.original_ids, *filed.thread_ids)
    found = session.scalars(newest_first.where(OutboundMail.message_id.in_(ids)).limit(1)).first() if ids else None
    if found is not None:
        return found
    # Some servers enclose nothing, but send the bounce to the signed address that our mail came from.
    addresses = {each.address for each in filed.returned}
    for case in (*filed.addressed, *filed.answered):
        sent = session.scalars(newest_first.where(OutboundMail.conversation_id == case)).all()
        found = next((each for each in sent if each.recipient.lower() in addresses), next(iter(sent), None))
        if found is not None:
            return found
    return None
