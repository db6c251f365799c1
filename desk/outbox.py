"""The outbox: every mail of ours is a row with a state, sent once whatever is killed.

A mail is handed over between two commits: SENDING is written before the relay gets the text, SENT after it has said 250. A
mail found in SENDING was in flight when its worker died. Nobody but the relay knows whether it left, so it is not sent
again blindly: the relay is asked where it can be, otherwise the mail is put before an agent as DOUBTFUL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from desk.conversations import append, load
from desk.tables import (
    Actor,
    AddressTrouble,
    Conversation,
    EventKind,
    OutboundMail,
    OutboundState,
    Owner,
    Participant,
)
from store import begin_anew, enqueue, utc_now

SEND_MAIL = "send_mail"
MAX_REASON = 1000


@dataclass(frozen=True)
class Returned:
    """What a mail server says of one address: `permanent` when mail to it will never arrive, `delayed` when it still tries;
    `status` is an enhanced status code (RFC 3463) or empty."""

    address: str
    permanent: bool
    delayed: bool
    status: str
    reason: str


def put_out(
    session: Session, *, key: str, conversation_id: str, message_id: str, recipient: str, raw: bytes
) -> OutboundMail:
    """Put a finished mail into the outbox, once per `key`; the same key again gives the row that is there already."""
    known = session.scalar(select(OutboundMail).where(OutboundMail.key == key))
    if known is not None:
        return known
    mail = OutboundMail(key=key, conversation_id=conversation_id, message_id=message_id, recipient=recipient, raw=raw)
    session.add(mail)
    session.flush()
    enqueue(session, SEND_MAIL, key, {"mail_id": mail.id})
    add_participants(session, conversation_id, {recipient})
    return mail


def begin_sending(session: Session, mail_id: int) -> bool:
    """Note that the relay is about to get a mail; False when it is not waiting to be sent any more."""
    return _move(session, mail_id, (OutboundState.WAITING,), OutboundState.SENDING, handed_at=utc_now())


def mark_sent(session: Session, mail_id: int) -> bool:
    """Note that a mail has left; False when that had been noted before."""
    unsent = (OutboundState.WAITING, OutboundState.SENDING, OutboundState.DOUBTFUL)
    return _move(session, mail_id, unsent, OutboundState.SENT, sent_at=utc_now(), error=None)


def wait_again(session: Session, mail_id: int, error: str | None) -> bool:
    """Note that the relay has certainly not taken a mail: it is to be tried again."""
    states = (OutboundState.WAITING, OutboundState.SENDING)
    return _move(session, mail_id, states, OutboundState.WAITING, handed_at=None, error=_short(error))


def give_up_sending(session: Session, mail_id: int, error: str) -> None:
    """Put a mail that is not tried any more, and its conversation, before the agents: failed, or in doubt if it was in flight."""
    if _move(session, mail_id, (OutboundState.WAITING,), OutboundState.FAILED, error=_short(error)):
        _put_before_agents(session, mail_id, "unsent")
    leave_in_doubt(session, mail_id, error)


def leave_in_doubt(session: Session, mail_id: int, error: str) -> None:
    """Put a mail of which nobody can say whether it left, and its conversation, before the agents."""
    if _move(session, mail_id, (OutboundState.SENDING,), OutboundState.DOUBTFUL, error=_short(error)):
        _put_before_agents(session, mail_id, "doubtful")


def send_again(session: Session, mail_id: int) -> bool:
    """Send a mail that failed or is in doubt, with its Message-ID unchanged; False when somebody else has decided it."""
    undecided = (OutboundState.FAILED, OutboundState.DOUBTFUL)
    if not _move(session, mail_id, undecided, OutboundState.WAITING, handed_at=None, error=None):
        return False
    key = session.get_one(OutboundMail, mail_id).key
    if not begin_anew(session, SEND_MAIL, key):
        enqueue(session, SEND_MAIL, key, {"mail_id": mail_id})
    return True


def take_as_sent(session: Session, mail_id: int) -> bool:
    """Decide that a mail in doubt has left; False when somebody else has decided it."""
    return _move(session, mail_id, (OutboundState.DOUBTFUL,), OutboundState.SENT, sent_at=utc_now(), error=None)


def count_undecided(session: Session) -> dict[str, int]:
    """How many mails of ours wait for an agent's decision, by state."""
    counted = select(OutboundMail.state, func.count()).group_by(OutboundMail.state)
    undecided = (OutboundState.DOUBTFUL, OutboundState.FAILED)
    found = dict(session.execute(counted.where(OutboundMail.state.in_(undecided))).tuples().all())
    return {state.value: found.get(state, 0) for state in undecided}


def note_returned(session: Session, mail: OutboundMail, returned: Returned) -> None:
    """Note on a mail and on its address that it did not arrive."""
    if mail.returned_at is None or not returned.delayed:
        mail.returned_at = utc_now()
        mail.return_reason = _short(in_words(returned.status, returned.reason))
        mail.return_delayed = returned.delayed
    note_trouble(session, mail.recipient, returned)


def in_words(status: str, reason: str) -> str:
    """A status code and a reason as one sentence; most servers say the code themselves."""
    return reason if status in reason else f"{status} {reason}".strip()


def note_trouble(session: Session, address: str, returned: Returned) -> None:
    """Mark an address that mail does not reach. A permanent mark is not weakened by a temporary one."""
    known = session.get(AddressTrouble, address.lower())
    if known is None:
        known = AddressTrouble(address=address.lower(), permanent=False, status="", reason="")
        session.add(known)
    if returned.permanent or not known.permanent:
        known.permanent, known.status, known.at = returned.permanent, returned.status[:20], utc_now()
        known.reason = _short(returned.reason) or ""
    session.flush()


def forget_trouble(session: Session, addresses: set[str]) -> None:
    """Take the mark off addresses that have just written to us."""
    session.execute(delete(AddressTrouble).where(AddressTrouble.address.in_(addresses)))


def trouble_with(session: Session, address: str | None) -> AddressTrouble | None:
    """The mark of an address, None when mail to it arrives as far as is known."""
    return session.get(AddressTrouble, address.lower()) if address else None


def outgoing(session: Session, conversation_id: str) -> Mapping[int, OutboundStatus]:
    """How the mails of ours in a conversation are, by id."""
    found = session.execute(
        select(
            OutboundMail.id,
            OutboundMail.state,
            OutboundMail.error,
            OutboundMail.handed_at,
            OutboundMail.returned_at,
            OutboundMail.return_reason,
            OutboundMail.return_delayed,
        ).where(OutboundMail.conversation_id == conversation_id)
    )
    return {row[0]: OutboundStatus(*row) for row in found}


@dataclass(frozen=True)
class OutboundStatus:
    """Where a mail of ours is (`state` is an OutboundState), why it has not left, and what came back."""

    id: int
    state: str
    error: str | None
    handed_at: datetime | None
    returned_at: datetime | None
    return_reason: str | None
    return_delayed: bool


def add_participants(session: Session, conversation_id: str, addresses: set[str]) -> None:
    """Let `addresses` take part in a case: their mail about it joins it."""
    wanted = {address.lower() for address in addresses if address}
    known = set(
        session.scalars(
            select(Participant.address).where(
                Participant.conversation_id == conversation_id, Participant.address.in_(wanted)
            )
        )
    )
    session.add_all(Participant(conversation_id=conversation_id, address=each) for each in sorted(wanted - known))
    session.flush()


def takes_part(session: Session, conversation_id: str, addresses: set[str]) -> bool:
    """Whether all of `addresses` (lower case; at least one) take part in a case."""
    known = session.scalar(
        select(func.count())
        .select_from(Participant)
        .where(Participant.conversation_id == conversation_id, Participant.address.in_(addresses))
    )
    return bool(addresses) and known == len(addresses)


def requeue(conversation: Conversation) -> None:
    """Put a conversation that nobody holds into the agents' queue."""
    if conversation.owner == Owner.BOT:
        conversation.owner, conversation.queued_at, conversation.closed_at = Owner.QUEUE, utc_now(), None


def _put_before_agents(session: Session, mail_id: int, reason: str) -> None:
    conversation_id = session.get_one(OutboundMail, mail_id).conversation_id
    requeue(load(session, conversation_id))
    session.flush()
    append(session, conversation_id, EventKind.ESCALATED, Actor.SYSTEM, {"reason": reason, "mail_id": mail_id})


def _move(
    session: Session, mail_id: int, origin: tuple[OutboundState, ...], to: OutboundState, **values: object
) -> bool:
    moved = session.scalars(
        update(OutboundMail)
        .where(OutboundMail.id == mail_id, OutboundMail.state.in_(origin))
        .values(state=to, **values)
        .returning(OutboundMail.id)
    ).all()
    return bool(moved)


def _short(text: str | None) -> str | None:
    return text[:MAX_REASON] if text else None
