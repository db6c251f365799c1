"""The mailboxes that we read at IMAP servers: how far each has been read, what was put aside, and who raises the alarm.

A mailbox is read by UIDVALIDITY and UID (RFC 3501, section 2.3.1.1). The position moves in the transaction that keeps the
mail; the flag at the server follows, and what is still to be flagged stands in the row, so a kill between the two loses
nothing and takes nothing twice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from desk.tables import MailAside, MailboxState

ALARM_AFTER = timedelta(minutes=5)
"""A mailbox without successful contact for this long raises an alarm."""
ASIDE_TRIES = 8
ASIDE_ALARM = 3
"""A mail that failed this often is shown to the agents."""


class Trouble(StrEnum):
    """Why a mailbox cannot be read."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    REFUSED = "refused"
    TOKEN = "token"
    FOLDER = "folder"
    STORAGE = "storage"
    SERVER = "server"


@dataclass(frozen=True)
class MailboxAlarm:
    """What is wrong with a mailbox. `reason` is a Trouble, "silent" or "aside"; `detail` the server's own words."""

    name: str
    reason: str
    detail: str
    since: datetime


@dataclass(frozen=True)
class MailboxReading:
    """How a mailbox is: whether it can be read, and when it was last."""

    name: str
    up: bool
    contacted_at: datetime | None


def open_mailbox(session: Session, name: str, *, uid_validity: int, uid_next: int) -> None:
    """Begin or go on at the position in a mailbox. Another UIDVALIDITY means that all its UIDs are new: a new walk."""
    state = _state(session, name)
    if state.uid_validity != uid_validity:
        state.uid_validity, state.taken_uid, state.walk_uid, state.unsettled = uid_validity, 0, uid_next - 1, []
        session.execute(delete(MailAside).where(MailAside.mailbox == name))


def advance(session: Session, name: str, uid: int, now: datetime) -> None:
    """Note that the mail `uid` is kept; belongs into the transaction that keeps it."""
    note_contact(session, name, now)
    state = session.get_one(MailboxState, name)
    state.taken_uid = max(state.taken_uid, uid)
    state.unsettled = [*state.unsettled, uid]
    session.execute(delete(MailAside).where(MailAside.mailbox == name, MailAside.uid == uid))


def settle(session: Session, name: str, uids: Collection[int]) -> None:
    """Note that the server has been told about `uids`."""
    state = session.get_one(MailboxState, name)
    state.unsettled = [uid for uid in state.unsettled if uid not in uids]


def end_walk(session: Session, name: str, now: datetime) -> None:
    """Note that the walk has reached its end: what lies before it is not looked at again."""
    state = session.get_one(MailboxState, name)
    state.taken_uid = max(state.taken_uid, state.walk_uid)
    state.begun_at = state.begun_at or now


def put_aside(session: Session, name: str, uid: int, error: str, now: datetime) -> None:
    """Note that `uid` could not be fetched or stored, and go on behind it."""
    state = session.get_one(MailboxState, name)
    state.taken_uid = max(state.taken_uid, uid)
    known = session.get(MailAside, (name, uid))
    if known is None:
        session.add(MailAside(mailbox=name, uid=uid, attempts=1, error=error[:2000], tried_at=now))
    else:
        known.attempts, known.error, known.tried_at = known.attempts + 1, error[:2000], now


def drop_aside(session: Session, name: str, uid: int) -> None:
    """Forget a mail that was put aside: it is no longer at the server."""
    session.execute(delete(MailAside).where(MailAside.mailbox == name, MailAside.uid == uid))


def due_aside(session: Session, name: str, now: datetime) -> list[int]:
    """The UIDs put aside that are to be tried again, later and later (2, 4, 8 ... 300 s)."""
    rows = session.scalars(
        select(MailAside).where(MailAside.mailbox == name, MailAside.attempts < ASIDE_TRIES).order_by(MailAside.uid)
    )
    return [row.uid for row in rows if row.tried_at + timedelta(seconds=min(2.0**row.attempts, 300.0)) <= now]


def given_up_aside(session: Session, name: str) -> list[int]:
    """The UIDs put aside that are not tried any more: a human has to read them at the server."""
    wanted = (MailAside.mailbox == name, MailAside.attempts >= ASIDE_TRIES)
    return list(session.scalars(select(MailAside.uid).where(*wanted).order_by(MailAside.uid)))


def note_contact(session: Session, name: str, now: datetime) -> None:
    """Note that the mailbox could be read just now."""
    state = session.get_one(MailboxState, name)
    state.contacted_at, state.trouble, state.trouble_detail = now, None, None


def note_trouble(session: Session, name: str, trouble: Trouble, detail: str) -> None:
    """Note why the mailbox cannot be read."""
    state = _state(session, name)
    state.trouble, state.trouble_detail = trouble, detail[:2000]


def mailbox_readings(
    session: Session, names: Collection[str], *, watched_since: datetime, now: datetime
) -> list[MailboxReading]:
    """How the mailboxes `names` are; one is down when its silence raises an alarm."""
    states = {state.name: state for state in session.scalars(select(MailboxState).where(MailboxState.name.in_(names)))}
    readings = []
    for name in names:
        contacted_at = states[name].contacted_at if name in states else None
        since = max(watched_since, contacted_at) if contacted_at else watched_since
        readings.append(MailboxReading(name, now - since < ALARM_AFTER, contacted_at))
    return readings


def mailbox_alarms(
    session: Session, names: Collection[str], *, watched_since: datetime, now: datetime
) -> list[MailboxAlarm]:
    """The alarms of the mailboxes `names`, watched since then: silent or refused for ALARM_AFTER, or mail put aside."""
    states = {state.name: state for state in session.scalars(select(MailboxState).where(MailboxState.name.in_(names)))}
    alarms = []
    for name in names:
        state = states.get(name)
        since = max(watched_since, state.contacted_at) if state and state.contacted_at else watched_since
        if now - since >= ALARM_AFTER:
            reason, detail = (state.trouble, state.trouble_detail) if state and state.trouble else ("silent", None)
            alarms.append(MailboxAlarm(name, str(reason), detail or "", since))
    for row in session.scalars(
        select(MailAside).where(MailAside.mailbox.in_(names), MailAside.attempts >= ASIDE_ALARM).order_by(MailAside.uid)
    ):
        alarms.append(MailboxAlarm(row.mailbox, "aside", f"UID {row.uid}: {row.error}", row.tried_at))
    return alarms


def _state(session: Session, name: str) -> MailboxState:
    state = session.get(MailboxState, name)
    if state is None:
        state = MailboxState(name=name)
        session.add(state)
        session.flush()
    return state
