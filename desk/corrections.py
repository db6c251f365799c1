"""Corrections: an agent says what was misunderstood, a reviewer lets it become training text or not.

A correction points to one event: a customer's message whose motive was read wrong, or an answer of the assistant's that did
not answer. It waits until somebody has read it, because it is a customer's own words: names and numbers are taken out
before it is accepted. Nothing but accepted corrections is ever trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from desk.conversations import load
from desk.tables import (
    Actor,
    Channel,
    Conversation,
    Correction,
    CorrectionKind,
    CorrectionState,
    Event,
    EventKind,
    InboundMail,
)
from desk.views import first_motive
from store import utc_now


class NotCorrectable(ValueError):
    """This event holds nothing that a correction of this kind could be about."""


class AlreadyReviewed(Exception):
    """Somebody has decided about this correction; `correction` is the row."""

    def __init__(self, correction: Correction) -> None:
        super().__init__(f"correction {correction.id} is {correction.state}")
        self.correction = correction


@dataclass(frozen=True)
class Misread:
    """What a correction is about, as it stood: `predicted` is the motive or the FAQ entry that was wrong, None when the
    rows do not tell (a chat message's intent is not stored). `subject` is a mail's."""

    conversation_id: str
    number: int
    kind: CorrectionKind
    channel: str
    subject: str | None
    text: str
    language: str
    predicted: str | None


def misread(session: Session, conversation_id: str, number: int, kind: CorrectionKind) -> Misread:
    """What a correction of event `number` would be about. Raises UnknownConversation, NotCorrectable."""
    conversation = load(session, conversation_id)
    event = session.get(Event, (conversation_id, number))
    if event is None or event.kind != EventKind.MESSAGE:
        raise NotCorrectable(f"event {number} is no message")
    if kind is CorrectionKind.ANSWER:
        return _misread_answer(session, conversation, event)
    if event.actor != Actor.CUSTOMER:
        raise NotCorrectable(f"event {number} is not the customer's")
    found = (_misread_mail if "mail_id" in event.body else _misread_chat)(session, conversation, event)
    if not (found.text.strip() or (found.subject or "").strip()):
        raise NotCorrectable(f"event {number} has no words")
    return found


def record_correction(session: Session, found: Misread, correct: str | None, agent_id: int) -> Correction:
    """Note that `correct` is right (None: no FAQ entry answers) where `found.predicted` was said.

    The same again is the same row. While it waits for review a later word replaces the earlier one; afterwards another
    one raises AlreadyReviewed. Raises NotCorrectable when `correct` is what was said anyway.
    """
    if correct == found.predicted:
        raise NotCorrectable(f'"{correct}" is what was said')
    # Two agents at once: the second waits here for the first (on SQLite for the whole transaction).
    session.execute(select(Conversation.id).where(Conversation.id == found.conversation_id).with_for_update())
    known = session.scalar(
        select(Correction).where(
            Correction.conversation_id == found.conversation_id,
            Correction.event_number == found.number,
            Correction.kind == found.kind,
        )
    )
    if known is not None:
        if known.correct == correct:
            return known
        if known.state != CorrectionState.PENDING:
            raise AlreadyReviewed(known)
        known.correct, known.agent_id, known.created_at = correct, agent_id, utc_now()
        session.flush()
        return known
    row = Correction(
        kind=found.kind,
        conversation_id=found.conversation_id,
        event_number=found.number,
        channel=found.channel,
        subject=found.subject,
        text=found.text,
        language=found.language,
        predicted=found.predicted,
        correct=correct,
        agent_id=agent_id,
    )
    session.add(row)
    session.flush()
    return row


def accept_correction(
    session: Session, correction_id: int, agent_id: int, *, correct: str | None, text: str, subject: str | None = None
) -> bool:
    """Let a pending correction be trained on, with its words as the reviewer leaves them.

    `correct` is what the reviewer saw: False when that has changed since, or when somebody else was first. Raises
    ValueError when no words are left.
    """
    if not (text.strip() or (subject or "").strip()):
        raise ValueError("no words are left to learn from; refuse the correction instead")
    values = {"text": text.strip(), "subject": subject.strip() if subject is not None else None}
    return _review(session, correction_id, agent_id, CorrectionState.ACCEPTED, correct, values)


def refuse_correction(session: Session, correction_id: int, agent_id: int, *, correct: str | None) -> bool:
    """Set a pending correction aside for good; False as for `accept_correction`."""
    return _review(session, correction_id, agent_id, CorrectionState.REFUSED, correct, {})


def pending_corrections(session: Session, *, limit: int = 100) -> Sequence[Correction]:
    """The corrections that wait for review, oldest first."""
    return session.scalars(
        select(Correction).where(Correction.state == CorrectionState.PENDING).order_by(Correction.id).limit(limit)
    ).all()


def accepted_corrections(session: Session) -> Sequence[Correction]:
    """The corrections to train on, oldest first."""
    return session.scalars(
        select(Correction).where(Correction.state == CorrectionState.ACCEPTED).order_by(Correction.id)
    ).all()


def count_pending_corrections(session: Session) -> int:
    pending = select(func.count()).select_from(Correction).where(Correction.state == CorrectionState.PENDING)
    return session.scalar(pending) or 0


def corrections_of(session: Session, conversation_id: str) -> dict[tuple[int, str], Correction]:
    """A conversation's corrections by event number and kind."""
    found = session.scalars(select(Correction).where(Correction.conversation_id == conversation_id))
    return {(row.event_number, row.kind): row for row in found}


def _review(
    session: Session,
    correction_id: int,
    agent_id: int,
    state: CorrectionState,
    correct: str | None,
    values: dict[str, str | None],
) -> bool:
    reviewed = session.scalars(
        update(Correction)
        .where(
            Correction.id == correction_id,
            Correction.state == CorrectionState.PENDING,
            Correction.correct.is_not_distinct_from(correct),
        )
        .values(state=state, reviewed_by=agent_id, reviewed_at=utc_now(), **values)
        .returning(Correction.id)
    ).all()
    return bool(reviewed)


def _misread_chat(_session: Session, conversation: Conversation, event: Event) -> Misread:
    return Misread(
        conversation_id=conversation.id,
        number=event.number,
        kind=CorrectionKind.MOTIVE,
        channel=conversation.channel,
        subject=None,
        text=str(event.body.get("text", "")),
        language=conversation.language,
        predicted=None,
    )


def _misread_mail(session: Session, conversation: Conversation, event: Event) -> Misread:
    mail = session.get(InboundMail, event.body["mail_id"])
    sorting = (mail.sorting if mail is not None else None) or {}
    return Misread(
        conversation_id=conversation.id,
        number=event.number,
        kind=CorrectionKind.MOTIVE,
        channel=Channel.MAIL,
        subject=str(event.body.get("subject") or ""),
        text=str(event.body.get("text", "")),
        language=str(sorting.get("language") or conversation.language),
        predicted=first_motive(sorting),
    )


def _misread_answer(session: Session, conversation: Conversation, event: Event) -> Misread:
    slug = event.body.get("slug")
    if event.actor != Actor.BOT or not slug:
        raise NotCorrectable(f"event {event.number} is no answer from the FAQ")
    question = session.scalar(
        select(Event)
        .where(
            Event.conversation_id == conversation.id,
            Event.number < event.number,
            Event.kind == EventKind.MESSAGE,
            Event.actor == Actor.CUSTOMER,
        )
        .order_by(Event.number.desc())
        .limit(1)
    )
    if question is None:
        raise NotCorrectable(f"event {event.number} answers nobody")
    return Misread(
        conversation_id=conversation.id,
        number=event.number,
        kind=CorrectionKind.ANSWER,
        channel=conversation.channel,
        subject=None,
        text=str(question.body.get("text", "")),
        language=conversation.language,
        predicted=str(slug),
    )
