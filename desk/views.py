"""What the desk shows: lists of conversations, their transcripts, and everything known about the customer beside them.

Queries only. Every function works in the caller's session and changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from desk.attachments import attachments_of
from desk.mailbox import latest_mail
from desk.outbox import OutboundStatus, outgoing
from desk.tables import Actor, Agent, Attachment, Channel, Conversation, Event, EventKind, InboundMail, MailKind, Owner
from shop import Customer, CustomerView, OrderView, customer_by_email, find_order, orders_of, view_customer, view_order

RECENT = timedelta(days=30)
"""How far back the views of finished work go."""
ROWS = 100
EARLIER = 8
CITED = 5

_ORDER_NUMBER = re.compile(r"(?<!\d)(?:(?:20\d\d[\s-]?)?\d{6}|\d{3}[\s.]?\d{3}[\s.]?\d{3})(?!\d)")


class View(StrEnum):
    """The lists an agent can look at."""

    QUEUE = "queue"
    MINE = "mine"
    OPEN = "open"
    ASSISTANT = "assistant"
    CLOSED = "closed"
    MACHINE = "machine"


@dataclass(frozen=True)
class Row:
    """One conversation in a list.

    `name` is the customer's, only when proven, `sender_name` what a mail's From line claims; `motive` the first motive of a
    mail; `last_text` what was said last and by whom; `waiting_since` the moment since which somebody waits for an agent,
    None when nobody does.
    """

    id: str
    channel: str
    language: str
    owner: str
    agent_id: int | None
    agent: str | None
    name: str | None
    sender_name: str | None
    contact: str | None
    subject: str | None
    motive: str | None
    last_text: str
    last_actor: str | None
    waiting_since: datetime | None
    updated_at: datetime
    closed: bool


@dataclass(frozen=True)
class Line:
    """One event of a transcript, with its agent's name. `outgoing` says where a mail of ours is, `attachments` are the files
    that came with a mail."""

    number: int
    at: datetime
    kind: str
    actor: str
    agent: str | None
    body: Mapping[str, Any]
    outgoing: OutboundStatus | None = None
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True)
class Transcript:
    """Lines in order; `earlier` tells whether there are older ones than the first."""

    lines: tuple[Line, ...]
    earlier: bool


@dataclass(frozen=True)
class MailCase:
    """The mail an agent would answer now: its sorting as triage gave it, the drafted reply, and whether it is answered."""

    mail: InboundMail
    sorting: Mapping[str, Any]
    draft: Mapping[str, str]
    answered: bool


@dataclass(frozen=True)
class CustomerPanel:
    """Who writes, as far as it is known.

    `proven` is false when the customer was only guessed from the sender's address. `cited` are orders whose number stands
    in the conversation and which are not among `orders`; they may be anybody's.
    """

    customer: CustomerView | None
    proven: bool
    contact: str | None
    orders: tuple[OrderView, ...]
    cited: tuple[OrderView, ...]
    cited_ids: frozenset[int]
    earlier: tuple[Row, ...]


@dataclass(frozen=True)
class Change:
    """A conversation that has got new events."""

    id: str
    last_number: int
    owner: str


def list_conversations(
    session: Session, view: View, agent_id: int, *, now: datetime, limit: int = ROWS
) -> tuple[Row, ...]:
    """The conversations of a view: in the queue urgent mail, then whoever waits longest; elsewhere the newest first."""
    order = (
        (Conversation.urgent.desc(), Conversation.queued_at, Conversation.id)
        if view is View.QUEUE
        else (Conversation.updated_at.desc(), Conversation.id)
    )
    return _rows(session, _in_view(view, agent_id, now), order, limit)


def count_conversations(session: Session, agent_id: int, *, now: datetime) -> dict[View, int]:
    """How many conversations each view holds; finished work is counted over `RECENT`."""
    counted = select(func.count()).select_from(Conversation)
    return {view: session.scalar(counted.where(_in_view(view, agent_id, now))) or 0 for view in View}


def transcript(
    session: Session, conversation_id: str, *, after: int = 0, before: int | None = None, limit: int = 200
) -> Transcript:
    """The events after `after` (oldest first), or without it the newest ones, of those before `before`."""
    chosen = select(Event, Agent.name).outerjoin(Agent, Agent.id == Event.agent_id)
    chosen = chosen.where(Event.conversation_id == conversation_id)
    if after:
        found = session.execute(chosen.where(Event.number > after).order_by(Event.number).limit(limit)).all()
    else:
        if before is not None:
            chosen = chosen.where(Event.number < before)
        found = session.execute(chosen.order_by(Event.number.desc()).limit(limit)).all()[::-1]
    ours = outgoing(session, conversation_id)
    files = attachments_of(session, conversation_id)
    lines = tuple(_line(event, name, ours, files) for event, name in found)
    return Transcript(lines, earlier=bool(lines) and lines[0].number > 1)


def one_line(session: Session, conversation_id: str, number: int) -> Line | None:
    """The event with this number."""
    found = session.execute(
        select(Event, Agent.name)
        .outerjoin(Agent, Agent.id == Event.agent_id)
        .where(Event.conversation_id == conversation_id, Event.number == number)
    ).first()
    return _line(found[0], found[1], {}, {}) if found else None


def mail_case(session: Session, conversation_id: str) -> MailCase | None:
    """The newest mail of a mail conversation; None in a chat."""
    mail = latest_mail(session, conversation_id)
    if mail is None:
        return None
    said = dict(
        session.execute(
            select(Event.actor, func.max(Event.number))
            .where(Event.conversation_id == conversation_id, Event.kind == EventKind.MESSAGE)
            .group_by(Event.actor)
        )
        .tuples()
        .all()
    )
    answered = said.get(Actor.AGENT, 0) > said.get(Actor.CUSTOMER, 0)
    return MailCase(mail, mail.sorting or {}, mail.draft or {}, answered)


def customer_panel(session: Session, conversation: Conversation, zone: tzinfo) -> CustomerPanel:
    """Everything known about whoever writes in `conversation`, orders in the calendar of `zone`."""
    proven = conversation.customer_id is not None
    customer = None
    if conversation.customer_id is not None:
        customer = view_customer(session, conversation.customer_id)
    elif conversation.contact:
        customer = customer_by_email(session, conversation.contact)
    orders = orders_of(session, customer.id, zone) if customer else ()
    cited = _cited_orders(session, conversation.id)
    own = {order.id for order in orders}
    return CustomerPanel(
        customer=customer,
        proven=proven,
        contact=conversation.contact,
        orders=tuple(sorted(orders, key=lambda order: order.id not in cited)),
        cited=tuple(view_order(session, order_id, zone) for order_id in cited if order_id not in own),
        cited_ids=frozenset(cited),
        earlier=_earlier(session, conversation, customer),
    )


def changes_since(session: Session, moment: datetime, *, limit: int = 500) -> tuple[Change, ...]:
    """The conversations with events later than `moment`, newest first."""
    found = session.execute(
        select(Conversation.id, Conversation.last_number, Conversation.owner)
        .where(Conversation.updated_at > moment)
        .order_by(Conversation.updated_at.desc())
        .limit(limit)
    )
    return tuple(Change(*row) for row in found)


def first_motive(sorting: Mapping[str, Any]) -> str | None:
    """The primary motive of a mail, None when it has not been sorted."""
    motives = sorting.get("motives") or ()
    return str(motives[0]["motive"]) if motives else None


def agent_name(session: Session, agent_id: int) -> str:
    return session.scalar(select(Agent.name).where(Agent.id == agent_id)) or ""


def _in_view(view: View, agent_id: int, now: datetime) -> ColumnElement[bool]:
    with_bot = and_(Conversation.owner == Owner.BOT, Conversation.updated_at > now - RECENT)
    never_closed = Conversation.closed_at.is_(None)
    match view:
        case View.QUEUE:
            return Conversation.owner == Owner.QUEUE
        case View.MINE:
            return and_(Conversation.owner == Owner.AGENT, Conversation.agent_id == agent_id)
        case View.OPEN:
            return Conversation.owner.in_((Owner.QUEUE, Owner.AGENT))
        case View.ASSISTANT:
            # A widget that was opened and never written in is nobody's conversation.
            spoken = exists().where(
                Event.conversation_id == Conversation.id,
                Event.kind == EventKind.MESSAGE,
                Event.actor == Actor.CUSTOMER,
            )
            return and_(with_bot, Conversation.channel == Channel.CHAT, never_closed, spoken.correlate(Conversation))
        case View.CLOSED:
            return and_(with_bot, Conversation.closed_at.is_not(None))
        case View.MACHINE:
            return and_(with_bot, Conversation.channel == Channel.MAIL, never_closed)


def _rows(session: Session, condition: ColumnElement[bool], order: Iterable[Any], limit: int) -> tuple[Row, ...]:
    last_message = (
        select(func.max(Event.number))
        .where(Event.conversation_id == Conversation.id, Event.kind == EventKind.MESSAGE)
        .correlate(Conversation)
        .scalar_subquery()
    )
    found = session.execute(
        select(Conversation, Event, Agent.name, Customer.name)
        .outerjoin(Event, and_(Event.conversation_id == Conversation.id, Event.number == last_message))
        .outerjoin(Agent, Agent.id == Conversation.agent_id)
        .outerjoin(Customer, Customer.id == Conversation.customer_id)
        .where(condition)
        .order_by(*order)
        .limit(limit)
    ).all()
    sortings = _sortings(session, [row[0].id for row in found if row[0].channel == Channel.MAIL])
    return tuple(
        Row(
            id=conversation.id,
            channel=conversation.channel,
            language=conversation.language,
            owner=conversation.owner,
            agent_id=conversation.agent_id,
            agent=agent,
            name=name,
            sender_name=sortings.get(conversation.id, {}).get("from_name") or None,
            contact=conversation.contact,
            subject=conversation.subject,
            motive=first_motive(sortings.get(conversation.id, {})),
            last_text=str(last.body.get("text", ""))[:300] if last else "",
            last_actor=last.actor if last else None,
            waiting_since=_waiting_since(conversation, last),
            updated_at=conversation.updated_at,
            closed=conversation.owner == Owner.BOT and conversation.closed_at is not None,
        )
        for conversation, last, agent, name in found
    )


def _waiting_since(conversation: Conversation, last: Event | None) -> datetime | None:
    if conversation.owner == Owner.QUEUE:
        return conversation.queued_at
    if conversation.owner == Owner.AGENT and last is not None and last.actor == Actor.CUSTOMER:
        return last.at
    return None


def _sortings(session: Session, conversation_ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """What triage read in each conversation's newest mail."""
    found = session.execute(
        select(InboundMail.conversation_id, InboundMail.sorting)
        .where(InboundMail.conversation_id.in_(conversation_ids), InboundMail.kind == MailKind.PERSON)
        .order_by(InboundMail.id)
    )
    return {conversation_id: sorting or {} for conversation_id, sorting in found if conversation_id is not None}


def _line(
    event: Event, agent: str | None, ours: Mapping[int, OutboundStatus], files: Mapping[int, Sequence[Attachment]]
) -> Line:
    # A mail that came in names its row by the same word; only what we said has left us.
    sent = event.kind == EventKind.MESSAGE and event.actor != Actor.CUSTOMER
    status = ours.get(event.body["mail_id"]) if sent and "mail_id" in event.body else None
    came_along = files.get(event.number, ())
    return Line(event.number, event.at, event.kind, event.actor, agent, event.body, status, came_along)


def _cited_orders(session: Session, conversation_id: str) -> list[int]:
    """The ids of orders whose numbers the customer wrote or triage read, in the order of their appearance."""
    numbers: list[str] = []
    for body in session.scalars(
        select(Event.body)
        .where(
            Event.conversation_id == conversation_id,
            or_(
                and_(Event.kind == EventKind.MESSAGE, Event.actor == Actor.CUSTOMER),
                Event.kind == EventKind.SORTED,
            ),
        )
        .order_by(Event.number.desc())
        .limit(50)
    ):
        numbers += (body.get("sorting") or {}).get("order_numbers") or []
        numbers += _ORDER_NUMBER.findall(f"{body.get('subject', '')}\n{body.get('text', '')}"[:20_000])
    found: list[int] = []
    for number in dict.fromkeys(numbers[:50]):
        order = find_order(session, number)
        if order is not None and order.id not in found and len(found) < CITED:
            found.append(order.id)
    return found


def _earlier(session: Session, conversation: Conversation, customer: CustomerView | None) -> tuple[Row, ...]:
    same: list[ColumnElement[bool]] = []
    if customer is not None:
        same.append(Conversation.customer_id == customer.id)
    address = customer.email if customer is not None else conversation.contact
    if address:
        same.append(func.lower(Conversation.contact) == address.lower())
    if not same:
        return ()
    others = and_(Conversation.id != conversation.id, or_(*same))
    return _rows(session, others, (Conversation.updated_at.desc(), Conversation.id), EARLIER)
