"""The desk's rows: agents, conversations, their numbered events, and mail coming in and going out."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint
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
    """SHA-256 of the raw bytes: the same mail twice is one row."""
    source: Mapped[str] = mapped_column(String(400))
    envelope_from: Mapped[str | None] = mapped_column(String(320))
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    message_id: Mapped[str | None] = mapped_column(String(400), index=True)
    conversation_id: Mapped[str | None] = mapped_column(ForeignKey("conversation.id"), index=True)
    sorting: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """What triage read in it (the same object as `comptoir triage` prints)."""
    draft: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    """The proposed reply: `subject` and `text`."""


class OutboundMail(Base):
    """One mail of ours to send, once per key."""

    __tablename__ = "outbound_mail"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversation.id"), index=True)
    message_id: Mapped[str] = mapped_column(String(400), index=True)
    recipient: Mapped[str] = mapped_column(String(320))
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
