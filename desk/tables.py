"""The desk's rows: agents, conversations, their numbered events, and mail coming in and going out."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from store import Base, UtcDateTime, utc_now


class Channel(StrEnum):
    CHAT = "chat"
    MAIL = "mail"


class Owner(StrEnum):
    """Whose turn it is to answer the customer."""

    BOT = "bot"
    QUEUE = "queue"
    AGENT = "agent"


class Actor(StrEnum):
    CUSTOMER = "customer"
    BOT = "bot"
    AGENT = "agent"
    SYSTEM = "system"


class EventKind(StrEnum):
    OPENED = "opened"
    MESSAGE = "message"
    ESCALATED = "escalated"
    CLAIMED = "claimed"
    RELEASED = "released"
    CLOSED = "closed"
    IDENTIFIED = "identified"
    SORTED = "sorted"
    REOPENED = "reopened"
    LINKED = "linked"
    """Another case is about the same matter: its id and why it is another one."""
    UNDELIVERED = "undelivered"
    AUTO_REPLY = "auto_reply"
    """A program answered for the customer."""


class MailKind(StrEnum):
    """Who speaks in a mail: somebody, a mail server about a mail of ours, or a program that answers for somebody. A copy says
    what a mail has said that came by another route; it is only kept."""

    PERSON = "person"
    BOUNCE = "bounce"
    AUTO_REPLY = "auto_reply"
    COPY = "copy"


class OutboundState(StrEnum):
    """Where a mail of ours is. Only SENDING can be in doubt: the relay may have taken what nobody has noted."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    DOUBTFUL = "doubtful"
    FAILED = "failed"


class CorrectionKind(StrEnum):
    """What was wrong: the motive read in a customer's message, or the assistant's answer from the FAQ."""

    MOTIVE = "motive"
    ANSWER = "answer"


class CorrectionState(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"


class Agent(Base):
    __tablename__ = "agent"

    id: Mapped[int] = mapped_column(primary_key=True)
    login: Mapped[str] = mapped_column(String(80), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    password_hash: Mapped[str] = mapped_column(String(200))
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class Conversation(Base):
    """The present state of one conversation; what happened in it stands in its events."""

    __tablename__ = "conversation"
    __table_args__ = (Index("ix_conversation_owner_queued_at", "owner", "queued_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    channel: Mapped[str] = mapped_column(String(10))
    language: Mapped[str] = mapped_column(String(5))
    owner: Mapped[str] = mapped_column(String(10), default=Owner.BOT)
    agent_id: Mapped[int | None] = mapped_column(ForeignKey("agent.id"))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("customer.id"), index=True)
    subject: Mapped[str | None] = mapped_column(Text)
    contact: Mapped[str | None] = mapped_column(String(320))
    """The address that a mail conversation answers to."""
    token_digest: Mapped[str | None] = mapped_column(String(64))
    bot_session: Mapped[int] = mapped_column(default=1)
    """Counts the bot's fresh starts; dialogue state belongs to (conversation, bot_session)."""
    last_number: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now, index=True)
    queued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    urgent: Mapped[bool] = mapped_column(default=False)
    """A mail in it was sorted as urgent: it stands before the others in the queue."""


class Event(Base):
    """One fact of a conversation: append-only, numbered without gaps from 1."""

    __tablename__ = "event"
    __table_args__ = (UniqueConstraint("conversation_id", "client_id"),)

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now, index=True)
    kind: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(String(10))
    agent_id: Mapped[int | None] = mapped_column(ForeignKey("agent.id"))
    client_id: Mapped[str | None] = mapped_column(String(36))
    body: Mapped[dict[str, Any]] = mapped_column(JSON)


class InboundMail(Base):
    """One mail as it came, kept before the sender is told that we have it."""

    __tablename__ = "inbound_mail"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 of the raw bytes with lines ended by LF: the same mail twice is one row, whichever way it came."""
    source: Mapped[str] = mapped_column(String(400))
    envelope_from: Mapped[str | None] = mapped_column(String(320))
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    whole_bytes: Mapped[int | None] = mapped_column(BigInteger)
    """The size of a mail that was too big to be taken in: `raw` is its beginning. None when `raw` is all of it."""
    received_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    message_id: Mapped[str | None] = mapped_column(String(400), index=True)
    conversation_id: Mapped[str | None] = mapped_column(ForeignKey("conversation.id"), index=True)
    sorting: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What triage read in it (the same object as `comptoir triage` prints)."""
    draft: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """The proposed reply: `subject` and `text`."""
    kind: Mapped[str] = mapped_column(String(10), default=MailKind.PERSON)
    filed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """When it was read. A bounce or an automatic reply that belongs to no case is filed without a conversation."""
    quarantined_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    """Since when it waits for a human, because it could not be read; None when it does not."""
    failure: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)
    """How often it had been tried when it went to the quarantine."""


class Attachment(Base):
    """A file that came with a mail of a case; its content lies in the `FileStore`, beside the database."""

    __tablename__ = "attachment"
    __table_args__ = (
        ForeignKeyConstraint(["conversation_id", "event_number"], ["event.conversation_id", "event.number"]),
        Index("ix_attachment_conversation_id_event_number", "conversation_id", "event_number"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[str] = mapped_column(String(36))
    event_number: Mapped[int]
    """The message that it came with."""
    mail_id: Mapped[int] = mapped_column(ForeignKey("inbound_mail.id"), index=True)
    name: Mapped[str] = mapped_column(String(255))
    content_type: Mapped[str] = mapped_column(String(200))
    """As the sender states it."""
    size: Mapped[int] = mapped_column(BigInteger)
    digest: Mapped[str | None] = mapped_column(String(64), index=True)
    """SHA-256 of the content, its name in the `FileStore`; None when it is only in the raw mail."""
    left_out: Mapped[str] = mapped_column(String(20), default="")
    """Why it is only there; empty when it is not."""


class OutboundMail(Base):
    """One mail of ours to send, once per key."""

    __tablename__ = "outbound_mail"
    __table_args__ = (
        Index("ix_outbound_mail_recipient_created_at", "recipient", "created_at"),
        Index("ix_outbound_mail_created_at", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), index=True)
    message_id: Mapped[str] = mapped_column(String(400), index=True)
    recipient: Mapped[str] = mapped_column(String(320))
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    state: Mapped[str] = mapped_column(String(10), default=OutboundState.WAITING, index=True)
    handed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When we began to hand the text over to the relay: from here on it may have it."""
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)
    """Why it has not left (yet)."""
    returned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When a mail server told us that it was not, or not yet, delivered."""
    return_reason: Mapped[str | None] = mapped_column(Text)
    return_delayed: Mapped[bool] = mapped_column(default=False)
    """The other server was still trying."""
    answers_id: Mapped[int | None] = mapped_column(ForeignKey("inbound_mail.id"), unique=True)
    """The mail that this one answers without an agent: one automatic reply a mail. None for an agent's own."""


class Participant(Base):
    """An address that takes part in a mail case: it wrote in it, or was written to."""

    __tablename__ = "participant"

    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), primary_key=True)
    address: Mapped[str] = mapped_column(String(320), primary_key=True)
    """In lower case."""


class AddressTrouble(Base):
    """An address from which our mail came back. It goes when its owner writes to us again."""

    __tablename__ = "address_trouble"

    address: Mapped[str] = mapped_column(String(320), primary_key=True)
    """In lower case."""
    permanent: Mapped[bool]
    status: Mapped[str] = mapped_column(String(20))
    reason: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)


class Correction(Base):
    """What an agent says was misunderstood in one event; training text once a reviewer has accepted it."""

    __tablename__ = "corrections"
    __table_args__ = (
        UniqueConstraint("conversation_id", "event_number", "kind"),
        ForeignKeyConstraint(["conversation_id", "event_number"], ["event.conversation_id", "event.number"]),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(10))
    state: Mapped[str] = mapped_column(String(10), default=CorrectionState.PENDING, index=True)
    conversation_id: Mapped[str] = mapped_column(String(36))
    event_number: Mapped[int]
    channel: Mapped[str] = mapped_column(String(10))
    subject: Mapped[str | None] = mapped_column(Text)
    """A mail's; None in a chat."""
    text: Mapped[str] = mapped_column(Text)
    """The customer's words as they were; once accepted, as the reviewer left them."""
    language: Mapped[str] = mapped_column(String(5))
    predicted: Mapped[str | None] = mapped_column(String(80))
    """The motive or FAQ entry that was wrong."""
    correct: Mapped[str | None] = mapped_column(String(80))
    """The right motive or FAQ entry; None: no entry answers this."""
    agent_id: Mapped[int] = mapped_column(ForeignKey("agent.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    reviewed_by: Mapped[int | None] = mapped_column(ForeignKey("agent.id"))
    reviewed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class MailboxState(Base):
    """How far a mailbox at an IMAP server has been read, and whether it can be reached."""

    __tablename__ = "mailbox_state"

    name: Mapped[str] = mapped_column(String(80), primary_key=True)
    begun_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the first walk through the mailbox had ended: a later walk takes again what came since."""
    uid_validity: Mapped[int | None] = mapped_column(BigInteger)
    """None until the mailbox has been opened for the first time."""
    taken_uid: Mapped[int] = mapped_column(BigInteger, default=0)
    """Every mail up to this UID has been taken in or put aside."""
    walk_uid: Mapped[int] = mapped_column(BigInteger, default=0)
    """The highest UID when the walk began: up to it, what had been read before we came is left alone."""
    unsettled: Mapped[list[int]] = mapped_column(JSON, default=list)
    """UIDs that are taken in, but not yet marked or moved at the server."""
    contacted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    trouble: Mapped[str | None] = mapped_column(String(20))
    trouble_detail: Mapped[str | None] = mapped_column(Text)


class MailAside(Base):
    """One mail of a mailbox that could not be fetched or stored; the others were not held up by it."""

    __tablename__ = "mail_aside"

    mailbox: Mapped[str] = mapped_column(ForeignKey("mailbox_state.name"), primary_key=True)
    uid: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    attempts: Mapped[int] = mapped_column(default=1)
    error: Mapped[str] = mapped_column(Text)
    tried_at: Mapped[datetime] = mapped_column(UtcDateTime)
