"""Conversations: what each party may do to one, every act a numbered event.

Every function works inside the caller's write transaction, so that a message, the change of owner it causes and the work it
makes necessary are stored together or not at all.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from desk.tables import Actor, Channel, Conversation, Event, EventKind, Owner
from store import enqueue, ring_after_commit, utc_now

BOT_TURN = "bot_turn"
QUEUE_TOPIC = "desk:queue"
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Promise:
    """What a shopper who asked for a human is told.

    `position` counts from 1; `wait_minutes` is an estimate; `opens_at` is the next opening when the desk is closed now.
    """

    position: int
    wait_minutes: int
    opens_at: datetime | None

    def to_dict(self) -> dict[str, Any]:
        opens_at = self.opens_at.isoformat() if self.opens_at else None
        return {"position": self.position, "wait_minutes": self.wait_minutes, "opens_at": opens_at}


class UnknownConversation(LookupError):
    """No conversation has this id."""


def conversation_topic(conversation_id: str) -> str:
    """The bell's topic for new events of a conversation."""
    return f"conversation:{conversation_id}"


def open_chat(session: Session, language: str, *, customer_id: int | None = None) -> tuple[Conversation, str]:
    """Open a chat conversation; returns it with the bearer token, which is kept only as a digest."""
    token = secrets.token_urlsafe(32)
    conversation = Conversation(
        id=str(uuid.uuid4()),
        channel=Channel.CHAT,
        language=language,
        customer_id=customer_id,
        token_digest=_digest(token),
    )
    session.add(conversation)
    session.flush()
    append(session, conversation.id, EventKind.OPENED, Actor.CUSTOMER, {"language": language})
    return conversation, token


def open_mail(session: Session, *, language: str, subject: str, contact: str) -> Conversation:
    """Open a mail conversation (a case). It waits for an agent from the start."""
    conversation = Conversation(
        id=str(uuid.uuid4()),
        channel=Channel.MAIL,
        language=language,
        subject=subject,
        contact=contact,
        owner=Owner.QUEUE,
        queued_at=utc_now(),
    )
    session.add(conversation)
    session.flush()
    append(session, conversation.id, EventKind.OPENED, Actor.CUSTOMER, {"subject": subject, "contact": contact})
    return conversation


def may_enter(session: Session, conversation_id: str, token: str) -> Conversation | None:
    """The chat conversation, if `token` is its token."""
    conversation = session.get(Conversation, conversation_id)
    if conversation is None or conversation.token_digest is None:
        return None
    return conversation if hmac.compare_digest(conversation.token_digest, _digest(token)) else None


def load(session: Session, conversation_id: str) -> Conversation:
    """The conversation as it is in this transaction; raises UnknownConversation."""
    conversation = session.get(Conversation, conversation_id, populate_existing=True)
    if conversation is None:
        raise UnknownConversation(conversation_id)
    return conversation


def append(
    session: Session,
    conversation_id: str,
    kind: EventKind,
    actor: Actor,
    body: Mapping[str, Any],
    *,
    agent_id: int | None = None,
    client_id: str | None = None,
) -> Event:
    """Add the next numbered event and tell everyone who listens to the conversation."""
    now = utc_now()
    number = session.scalar(
        update(Conversation)
        .where(Conversation.id == conversation_id)
        .values(last_number=Conversation.last_number + 1, updated_at=now)
        .returning(Conversation.last_number)
    )
    if number is None:
        raise UnknownConversation(conversation_id)
    event = Event(
        conversation_id=conversation_id,
        number=number,
        at=now,
        kind=kind,
        actor=actor,
        agent_id=agent_id,
        client_id=client_id,
        body=dict(body),
    )
    session.add(event)
    session.flush()
    ring_after_commit(session, conversation_topic(conversation_id))
    ring_after_commit(session, QUEUE_TOPIC)
    return event


def events_after(session: Session, conversation_id: str, number: int = 0, *, limit: int = 500) -> Sequence[Event]:
    """The events with a greater number, in order."""
    return session.scalars(
        select(Event)
        .where(Event.conversation_id == conversation_id, Event.number > number)
        .order_by(Event.number)
        .limit(limit)
    ).all()


def post_message(
    session: Session,
    conversation_id: str,
    client_id: str,
    text: str,
    *,
    wants_human: bool,
    promise: Promise,
    language: str | None = None,
) -> Event:
    """Store what the shopper wrote, once per `client_id`, and hand it to whoever owns the conversation.

    With `wants_human` the conversation is queued for an agent in this same transaction and `promise` is what the shopper is told.
    `language` is what the message was read as; the conversation goes on in it, unless the shopper repeats what the bot
    has just offered: the title of a French book says nothing about who returns it. Nor does a single word in the middle.
    """
    known = session.scalar(select(Event).where(Event.conversation_id == conversation_id, Event.client_id == client_id))
    if known is not None:
        return known
    event = append(session, conversation_id, EventKind.MESSAGE, Actor.CUSTOMER, {"text": text}, client_id=client_id)
    if wants_human:
        escalate(session, conversation_id, reason="asked", promise=promise)
    conversation = load(session, conversation_id)
    says_so = len(_WORD.findall(text)) > 1 or not _has_spoken(session, event)
    if language not in (None, conversation.language) and says_so and not _repeats_the_bot(session, event):
        conversation.language = str(language)
        session.flush()
    if conversation.owner == Owner.BOT:
        enqueue(
            session,
            BOT_TURN,
            f"{conversation_id}/{event.number}",
            {"conversation_id": conversation_id, "number": event.number, "bot_session": conversation.bot_session},
            lane=conversation_id,
        )
    return event


def _has_spoken(session: Session, event: Event) -> bool:
    """Whether the shopper wrote something before."""
    earlier = select(func.count()).where(
        Event.conversation_id == event.conversation_id,
        Event.kind == EventKind.MESSAGE,
        Event.actor == Actor.CUSTOMER,
        Event.number < event.number,
    )
    return bool(session.scalar(earlier))


def _repeats_the_bot(session: Session, event: Event) -> bool:
    """True when at least half of the message's words stand in the bot's newest message."""
    newest = (
        select(Event)
        .where(Event.conversation_id == event.conversation_id, Event.actor == Actor.BOT, Event.number < event.number)
        .order_by(Event.number.desc())
        .limit(1)
    )
    said = session.scalar(newest)
    if said is None:
        return False
    words, offered = (set(_WORD.findall(str(each.body.get("text", "")).casefold())) for each in (event, said))
    return 2 * len(words & offered) >= len(words) > 0


def add_bot_replies(
    session: Session, conversation_id: str, *, bot_session: int, replies: Sequence[Mapping[str, Any]]
) -> list[Event]:
    """Store the bot's replies, unless the conversation has meanwhile left the bot (or begun anew with it): then none."""
    conversation = load(session, conversation_id)
    if conversation.owner != Owner.BOT or conversation.bot_session != bot_session:
        return []
    return [append(session, conversation_id, EventKind.MESSAGE, Actor.BOT, reply) for reply in replies]


def escalate(session: Session, conversation_id: str, *, reason: str, promise: Promise) -> bool:
    """Put the conversation into the agents' queue; True when it was the bot's.

    Asking in words again while queued is answered with the present promise; the button again, or asking while an agent is
    at work, changes nothing.
    """
    moved = session.scalars(
        update(Conversation)
        .where(Conversation.id == conversation_id, Conversation.owner == Owner.BOT)
        .values(owner=Owner.QUEUE, queued_at=utc_now(), closed_at=None, bot_session=Conversation.bot_session + 1)
        .returning(Conversation.id)
    ).all()
    conversation = load(session, conversation_id)
    if moved or (conversation.owner == Owner.QUEUE and reason == "asked"):
        append(session, conversation_id, EventKind.ESCALATED, Actor.SYSTEM, {"reason": reason, **promise.to_dict()})
    return bool(moved)


def claim_conversation(session: Session, conversation_id: str, agent_id: int) -> bool:
    """Give a queued conversation to an agent; of two who claim at once exactly one gets True."""
    taken = session.scalars(
        update(Conversation)
        .where(Conversation.id == conversation_id, Conversation.owner == Owner.QUEUE)
        .values(owner=Owner.AGENT, agent_id=agent_id)
        .returning(Conversation.id)
    ).all()
    if taken:
        append(session, conversation_id, EventKind.CLAIMED, Actor.AGENT, {}, agent_id=agent_id)
    return bool(taken)


def release(session: Session, conversation_id: str, agent_id: int) -> bool:
    """Put an agent's conversation back into the queue at its old place; False when it is not theirs."""
    released = session.scalars(
        update(Conversation)
        .where(_held_by(conversation_id, agent_id))
        .values(owner=Owner.QUEUE, agent_id=None)
        .returning(Conversation.id)
    ).all()
    if released:
        append(session, conversation_id, EventKind.RELEASED, Actor.AGENT, {}, agent_id=agent_id)
    return bool(released)


def answer(
    session: Session, conversation_id: str, agent_id: int, text: str, *, client_id: str | None = None
) -> Event | None:
    """Store an agent's answer, once per `client_id`; None when the conversation is not theirs."""
    if client_id is not None:
        known = session.scalar(
            select(Event).where(Event.conversation_id == conversation_id, Event.client_id == client_id)
        )
        if known is not None:
            return known
    if session.scalar(select(Conversation.id).where(_held_by(conversation_id, agent_id))) is None:
        return None
    return append(
        session,
        conversation_id,
        EventKind.MESSAGE,
        Actor.AGENT,
        {"text": text},
        agent_id=agent_id,
        client_id=client_id,
    )


def close(session: Session, conversation_id: str, agent_id: int, *, seen: int) -> bool:
    """End an agent's work on a conversation; a chat goes back to the bot, which starts afresh.

    `seen` is the number of the last event the agent was shown. False when the conversation is not theirs, or when the
    customer has written after `seen`: nobody else would ever answer that message.
    """
    unseen = exists().where(
        Event.conversation_id == conversation_id,
        Event.kind == EventKind.MESSAGE,
        Event.actor == Actor.CUSTOMER,
        Event.number > seen,
    )
    closed = session.scalars(
        update(Conversation)
        .where(_held_by(conversation_id, agent_id), ~unseen)
        .values(
            owner=Owner.BOT,
            agent_id=None,
            queued_at=None,
            closed_at=utc_now(),
            urgent=False,
            bot_session=Conversation.bot_session + 1,
        )
        .returning(Conversation.id)
    ).all()
    if closed:
        append(session, conversation_id, EventKind.CLOSED, Actor.AGENT, {}, agent_id=agent_id)
    return bool(closed)


def identify(session: Session, conversation_id: str, customer_id: int) -> None:
    """Link a conversation to the customer who has proved who they are."""
    conversation = load(session, conversation_id)
    if conversation.customer_id == customer_id:
        return
    conversation.customer_id = customer_id
    session.flush()
    append(session, conversation_id, EventKind.IDENTIFIED, Actor.SYSTEM, {"customer_id": customer_id})


def queue(session: Session) -> Sequence[Conversation]:
    """The conversations that wait for an agent: urgent mail first, then the longest wait."""
    order = (Conversation.urgent.desc(), Conversation.queued_at, Conversation.id)
    return session.scalars(select(Conversation).where(Conversation.owner == Owner.QUEUE).order_by(*order)).all()


def queue_position(session: Session, conversation_id: str) -> int:
    """The place of a conversation in the chat queue, from 1; the place it would get, if it is not in it yet."""
    own = session.scalar(
        select(Conversation.queued_at).where(Conversation.id == conversation_id, Conversation.owner == Owner.QUEUE)
    )
    ahead = select(func.count()).where(
        Conversation.owner == Owner.QUEUE, Conversation.channel == Channel.CHAT, Conversation.id != conversation_id
    )
    if own is not None:
        ahead = ahead.where(Conversation.queued_at < own)
    return (session.scalar(ahead) or 0) + 1


def _held_by(conversation_id: str, agent_id: int) -> Any:
    return (
        (Conversation.id == conversation_id) & (Conversation.owner == Owner.AGENT) & (Conversation.agent_id == agent_id)
    )


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
