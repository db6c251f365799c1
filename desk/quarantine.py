"""Mail that is kept and belongs to no case: what could not be read, and what machines wrote about nothing that we know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.orm import Session

from desk.mailbox import READ_MAIL, FiledMail, file_mail
from desk.tables import Conversation, InboundMail, MailKind
from store import begin_anew, enqueue, utc_now

BEGINNING_BYTES = 16 * 1024
ROWS = 100


@dataclass(frozen=True)
class KeptMail:
    """A mail without a case. `beginning` is its first bytes (the headers, as a rule), `size` all of them; `failure` and
    `attempts` say why it could not be read and how often that was tried."""

    id: int
    received_at: datetime
    source: str
    beginning: bytes
    size: int
    kind: str
    failure: str | None
    attempts: int


def quarantine(session: Session, mail_id: int, *, failure: str, attempts: int) -> None:
    """Keep a mail that cannot be read for a human to look at; nothing when it has been read meanwhile."""
    session.execute(
        update(InboundMail)
        .where(InboundMail.id == mail_id, InboundMail.filed_at.is_(None))
        .values(quarantined_at=utc_now(), failure=failure[:2000], attempts=attempts)
    )


def quarantined(session: Session) -> Sequence[KeptMail]:
    """The mail that could not be read, oldest first."""
    return _kept(session, _IN_QUARANTINE, InboundMail.id.asc())


def count_quarantined(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(InboundMail).where(_IN_QUARANTINE)) or 0


def unmatched(session: Session) -> Sequence[KeptMail]:
    """The bounces and automatic replies that belong to no case, newest first."""
    return _kept(session, _UNMATCHED, InboundMail.id.desc())


def kept_raw(session: Session, mail_id: int) -> bytes | None:
    """A mail without a case as it came; None when there is none of this id."""
    return session.scalar(select(InboundMail.raw).where(InboundMail.id == mail_id, _IN_QUARANTINE | _UNMATCHED))


def read_again(session: Session, mail_id: int) -> bool:
    """Take a mail out of the quarantine and order it to be read; False when it is not there any more."""
    digest = session.scalar(
        update(InboundMail)
        .where(InboundMail.id == mail_id, _IN_QUARANTINE)
        .values(quarantined_at=None)
        .returning(InboundMail.digest)
    )
    if digest is None:
        return False
    if not begin_anew(session, READ_MAIL, digest):
        enqueue(session, READ_MAIL, digest, {"mail_id": mail_id})
    return True


def open_as_case(session: Session, mail_id: int, filed: FiledMail) -> Conversation | None:
    """Put a mail without a case into the agents' queue as `filed` says; None when somebody else was faster. Of a mail that
    another copy is filed of, the case is that one's, and nothing is done in it."""
    freed = session.scalar(
        update(InboundMail)
        .where(InboundMail.id == mail_id, _IN_QUARANTINE | _UNMATCHED)
        .values(filed_at=None, quarantined_at=None)
        .returning(InboundMail.id)
    )
    if freed is None:
        return None
    opened = file_mail(session, mail_id, replace(filed, kind=MailKind.PERSON, silent=False))
    if opened is not None:
        return opened
    known_case = session.get_one(InboundMail, mail_id).conversation_id
    return session.get(Conversation, known_case) if known_case else None


_IN_QUARANTINE: ColumnElement[bool] = InboundMail.quarantined_at.is_not(None) & InboundMail.filed_at.is_(None)
_UNMATCHED: ColumnElement[bool] = InboundMail.filed_at.is_not(None) & InboundMail.conversation_id.is_(None)


def _kept(session: Session, condition: ColumnElement[bool], order: ColumnElement[int]) -> Sequence[KeptMail]:
    found = session.execute(
        select(
            InboundMail.id,
            InboundMail.received_at,
            InboundMail.source,
            # Not the whole: a hundred rows may hold a hundred times fifty megabytes.
            func.substr(InboundMail.raw, 1, BEGINNING_BYTES),
            func.length(InboundMail.raw),
            InboundMail.kind,
            InboundMail.failure,
            InboundMail.attempts,
        )
        .where(condition)
        .order_by(order)
        .limit(ROWS)
    )
    return [KeptMail(*row) for row in found]
