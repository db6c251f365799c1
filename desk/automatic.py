"""Mail that goes out without an agent: counted from the rows in the transaction that stores the next one.

Two workers that answer at once can therefore not both spend what is left of the budget: SQLite lets one writer in at a
time, and on PostgreSQL `count_automatic` takes a lock that the transaction holds to its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from desk.conversations import append, load
from desk.outbox import put_out
from desk.tables import Actor, Conversation, Event, EventKind, InboundMail, MailKind, OutboundMail, Owner
from store import utc_now

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
_LOCK = 0x436F6D70  # any number that nobody else locks


class AutomaticKind(StrEnum):
    """An answer ends the matter unless the customer writes again; an acknowledgement only says that an agent will answer."""

    ANSWER = "answer"
    ACKNOWLEDGEMENT = "acknowledgement"


@dataclass(frozen=True)
class AutomaticSent:
    """Automatic mails stored so far: in one case ever, to one address in the last 24 hours, to all in the last hour."""

    in_case: int
    to_address: int
    to_all: int


def count_automatic(session: Session, conversation_id: str, address: str, *, now: datetime) -> AutomaticSent:
    """How much of the budget is used. Until the caller's transaction ends, nobody else can spend any of it."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCK)))

    def count(*conditions: Any) -> int:
        automatic = select(func.count()).select_from(OutboundMail).where(OutboundMail.answers_id.is_not(None))
        return session.scalar(automatic.where(*conditions)) or 0

    return AutomaticSent(
        in_case=count(OutboundMail.conversation_id == conversation_id),
        to_address=count(OutboundMail.recipient == address, OutboundMail.created_at > now - DAY),
        to_all=count(OutboundMail.created_at > now - HOUR),
    )


def send_automatic(
    session: Session,
    mail: InboundMail,
    kind: AutomaticKind,
    *,
    text: str,
    slug: str | None,
    message_id: str,
    recipient: str,
    raw: bytes,
) -> Event | None:
    """Store the one automatic reply to `mail` and put it into the outbox; None when it has been stored before.

    `slug` is the FAQ entry that it quotes. An answer takes the case out of the queue; an acknowledgement leaves it there.
    """
    assert mail.conversation_id is not None, "a mail is filed before it is answered"
    if session.scalar(select(OutboundMail.id).where(OutboundMail.answers_id == mail.id)) is not None:
        return None
    sent = put_out(
        session,
        key=f"automatic/{mail.id}",
        conversation_id=mail.conversation_id,
        message_id=message_id,
        recipient=recipient,
        raw=raw,
    )
    sent.answers_id = mail.id
    conversation = load(session, mail.conversation_id)
    if kind is AutomaticKind.ANSWER:
        conversation.owner, conversation.queued_at, conversation.closed_at = Owner.BOT, None, utc_now()
    session.flush()
    body = {
        "text": text,
        "mail_id": sent.id,
        "to": recipient,
        "automatic": kind.value,
        **({"slug": slug} if slug else {}),
    }
    return append(session, conversation.id, EventKind.MESSAGE, Actor.BOT, body, client_id=f"automatic/{mail.id}")


def note_sorting(session: Session, mail: InboundMail, sorting: Mapping[str, Any], *, urgent: bool) -> None:
    """Settle what the sorting of a mail says once its case is known, in the transaction that filed it."""
    mail.sorting = dict(sorting)
    conversation = load(session, mail.conversation_id or "")
    conversation.urgent = conversation.urgent or urgent
    events = session.scalars(
        select(Event)
        .where(Event.conversation_id == conversation.id, Event.kind == EventKind.SORTED)
        .order_by(Event.number.desc())
    )
    noted = next((event for event in events if event.body.get("mail_id") == mail.id), None)
    if noted is not None:
        noted.body = {**noted.body, "sorting": dict(sorting)}
    session.flush()


def is_first_mail(session: Session, conversation_id: str) -> bool:
    """Whether nobody has said anything in a case but the one mail that opened it."""
    said = select(func.count()).where(Event.conversation_id == conversation_id, Event.kind == EventKind.MESSAGE)
    return (session.scalar(said) or 0) <= 1


def mails_since(session: Session, address: str, since: datetime, *, besides: int) -> int:
    """How many mails the person at `address` has written since then, without the mail `besides`."""
    written = (
        select(func.count())
        .select_from(InboundMail)
        .join(Conversation, Conversation.id == InboundMail.conversation_id)
        .where(
            func.lower(Conversation.contact) == address.lower(),
            InboundMail.kind == MailKind.PERSON,
            InboundMail.received_at > since,
            InboundMail.id != besides,
        )
    )
    return session.scalar(written) or 0
