"""Mail at the desk: kept raw as it comes, filed into a conversation once it is read, answered through the outbox."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from desk.conversations import append, load, open_mail
from desk.tables import Actor, Conversation, Event, EventKind, InboundMail, OutboundMail, Owner
from store import enqueue, utc_now

READ_MAIL = "read_mail"
SEND_MAIL = "send_mail"


@dataclass(frozen=True)
class FiledMail:
    """What the desk needs to know of a mail that has been read.

    `sorting` is the triage result as plain data; `draft` the proposed reply (`subject`, `text`) or None; a `silent` mail
    (machine mail: bounces, out-of-office notes) is kept but put before nobody.
    """

    message_id: str
    thread_ids: tuple[str, ...]
    sender: str
    reply_to: str
    subject: str
    language: str
    text: str
    quoted: str
    attachments: tuple[str, ...]
    sorting: Mapping[str, Any]
    draft: Mapping[str, str] | None
    silent: bool


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


def file_mail(session: Session, mail_id: int, filed: FiledMail) -> Conversation | None:
    """Put a read mail into its conversation, once; None when it had been filed before.

    It joins the conversation of a mail it refers to only when its sender already takes part there: merging strangers'
    mail would show one customer's words to another.
    """
    mail = session.get_one(InboundMail, mail_id)
    if mail.conversation_id is not None:
        return None
    conversation = _conversation_of(session, filed)
    if conversation is None:
        conversation = open_mail(
            session, language=filed.language, subject=filed.subject, contact=filed.reply_to or filed.sender
        )
        if filed.silent:
            conversation.owner = Owner.BOT
            conversation.queued_at = None
    elif conversation.owner == Owner.BOT and not filed.silent:
        conversation.owner = Owner.QUEUE
        conversation.queued_at = utc_now()
        conversation.closed_at = None
    mail.conversation_id = conversation.id
    mail.message_id = filed.message_id
    mail.sorting = dict(filed.sorting)
    mail.draft = dict(filed.draft) if filed.draft else None
    session.flush()
    append(
        session,
        conversation.id,
        EventKind.MESSAGE,
        Actor.CUSTOMER,
        {
            "text": filed.text,
            "quoted": filed.quoted,
            "subject": filed.subject,
            "from": filed.sender,
            "attachments": list(filed.attachments),
            "mail_id": mail.id,
            **({"whole_bytes": mail.whole_bytes} if mail.whole_bytes else {}),
        },
    )
    append(
        session, conversation.id, EventKind.SORTED, Actor.SYSTEM, {"mail_id": mail.id, "sorting": dict(filed.sorting)}
    )
    return conversation


def latest_mail(session: Session, conversation_id: str) -> InboundMail | None:
    """The newest mail of a conversation."""
    return session.scalar(
        select(InboundMail)
        .where(InboundMail.conversation_id == conversation_id)
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
    mail = OutboundMail(
        key=f"{conversation_id}/{key}",
        conversation_id=conversation_id,
        message_id=message_id,
        recipient=recipient,
        raw=raw,
    )
    session.add(mail)
    session.flush()
    enqueue(session, SEND_MAIL, mail.key, {"mail_id": mail.id})
    body = {"text": text, "mail_id": mail.id, "to": recipient}
    return append(session, conversation_id, EventKind.MESSAGE, Actor.AGENT, body, agent_id=agent_id, client_id=key)


def mark_sent(session: Session, mail_id: int) -> bool:
    """Note that a mail has left; False when that had been noted before."""
    marked = session.scalars(
        update(OutboundMail)
        .where(OutboundMail.id == mail_id, OutboundMail.sent_at.is_(None))
        .values(sent_at=utc_now())
        .returning(OutboundMail.id)
    ).all()
    return bool(marked)


def mark_unsent(session: Session, mail_id: int) -> None:
    """Put the conversation of a mail that could not be sent before the agents again."""
    conversation_id = session.get_one(OutboundMail, mail_id).conversation_id
    conversation = load(session, conversation_id)
    if conversation.owner != Owner.AGENT:
        conversation.owner, conversation.queued_at, conversation.closed_at = Owner.QUEUE, utc_now(), None
        session.flush()
    append(session, conversation_id, EventKind.ESCALATED, Actor.SYSTEM, {"reason": "unsent", "mail_id": mail_id})


def _conversation_of(session: Session, filed: FiledMail) -> Conversation | None:
    ids: Collection[str] = filed.thread_ids
    if not ids:
        return None
    candidates = set(
        session.scalars(select(OutboundMail.conversation_id).where(OutboundMail.message_id.in_(ids)))
    ) | set(session.scalars(select(InboundMail.conversation_id).where(InboundMail.message_id.in_(ids))))
    candidates.discard(None)
    if not candidates:
        return None
    own = {address.lower() for address in (filed.sender, filed.reply_to) if address}
    return session.scalar(
        select(Conversation)
        .where(Conversation.id.in_(candidates), func.lower(Conversation.contact).in_(own))
        .order_by(Conversation.updated_at.desc())
        .limit(1)
    )
