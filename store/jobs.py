"""Work to do, as rows with a state.

A job is written in the same transaction as the fact that makes it necessary. A worker claims it by one conditional UPDATE
("0 rows changed" means another has it), holds it for a lease, and finishes it in the transaction that stores the result. A
worker that dies leaves a lease that runs out; `sweep` then puts the job back. Handlers must therefore be idempotent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, String, Text, UniqueConstraint, case, literal, select, true, update
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from store.engine import Base, UtcDateTime, ring_after_commit, utc_now

LEASE = timedelta(seconds=60)
TRIES = 8
"""Attempts at one job before it is given up; with the growing delays that is some ten minutes of trouble."""


class JobState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Job(Base):
    """One piece of work: `kind` names its handler, `key` is unique in its kind, jobs of one `lane` run one by one, oldest first."""

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("kind", "key"),
        Index("ix_job_state_due_at", "state", "due_at"),
        Index("ix_job_lane_state", "lane", "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(200))
    lane: Mapped[str] = mapped_column(String(200))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(10), default=JobState.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str | None] = mapped_column(Text)


def topic(kind: str) -> str:
    """The bell's topic for jobs of `kind`."""
    return f"job:{kind}"


def enqueue(session: Session, kind: str, key: str, payload: Mapping[str, Any], *, lane: str | None = None) -> bool:
    """Add a job, once per (kind, key); True when it is new. Its lane is its own key unless named."""
    if session.scalar(select(Job.id).where(Job.kind == kind, Job.key == key)) is not None:
        return False
    session.add(Job(kind=kind, key=key, lane=lane or f"{kind}/{key}", payload=dict(payload)))
    session.flush()
    ring_after_commit(session, topic(kind))
    return True


def claim(session: Session, kinds: Collection[str], *, lease: timedelta = LEASE, untried: bool = False) -> Job | None:
    """Take the oldest due job of `kinds` whose lane is free, for `lease`; None when there is nothing to do.

    `untried`: only one that nobody has claimed before.
    """
    now = utc_now()
    earlier = aliased(Job)
    lane_taken = (
        select(earlier.id)
        .where(earlier.lane == Job.lane, earlier.id < Job.id, earlier.state.in_((JobState.WAITING, JobState.RUNNING)))
        .exists()
    )
    candidate = session.scalar(
        select(Job.id)
        .where(Job.state == JobState.WAITING, Job.due_at <= now, Job.kind.in_(kinds), ~lane_taken)
        .where(Job.attempts == 0 if untried else true())
        .order_by(Job.id)
        .limit(1)
    )
    if candidate is None:
        return None
    return session.execute(
        update(Job)
        .where(Job.id == candidate, Job.state == JobState.WAITING)
        .values(state=JobState.RUNNING, attempts=Job.attempts + 1, leased_until=now + lease)
        .returning(Job)
    ).scalar_one_or_none()


def finish(session: Session, job: Job) -> bool:
    """Mark a claimed job done; False when its lease ran out and another worker took or finished it."""
    return _leave(session, job, JobState.DONE, error=None)


def hold_on(session: Session, job: Job, lease: timedelta) -> bool:
    """Renew the lease of a claimed job; False when it ran out and another worker took or finished it."""
    held = (Job.id == job.id, Job.state == JobState.RUNNING, Job.attempts == job.attempts)
    renewed = update(Job).where(*held).values(leased_until=utc_now() + lease).returning(Job.id)
    return session.scalar(renewed) is not None


def put_back(session: Session, job: Job) -> bool:
    """Give a claimed job back as if it had not been claimed; False when another worker has it."""
    return _leave(session, job, JobState.WAITING, attempts=job.attempts - 1)


def retry_later(
    session: Session, job: Job, error: str, *, tries: int = TRIES, wait: timedelta | None = None
) -> JobState:
    """Put a failed job back, or give it up after `tries` attempts. `wait` grows by itself unless given (2, 4 ... 300 s)."""
    state = JobState.FAILED if job.attempts >= tries else JobState.WAITING
    delay = wait if wait is not None else timedelta(seconds=min(2.0**job.attempts, 300.0))
    _leave(session, job, state, error=error[:2000], due_at=utc_now() + delay)
    return state


def give_up(session: Session, job: Job, error: str) -> bool:
    """End a claimed job without success; False when another worker has it."""
    return _leave(session, job, JobState.FAILED, error=error[:2000])


def begin_anew(session: Session, kind: str, key: str) -> bool:
    """Put a job that was given up or done back, as if it had never been tried; False when it waits or runs."""
    again = session.scalars(
        update(Job)
        .where(Job.kind == kind, Job.key == key, Job.state.in_((JobState.FAILED, JobState.DONE)))
        .values(state=JobState.WAITING, attempts=0, due_at=utc_now(), error=None)
        .returning(Job.id)
    ).all()
    if again:
        ring_after_commit(session, topic(kind))
    return bool(again)


@dataclass(frozen=True)
class Swept:
    """What a sweep found: how many jobs it put back, and those it gave up because they had outlived every worker."""

    put_back: int
    given_up: Sequence[Job]


def sweep(session: Session, *, tries: int = TRIES, tries_of: Mapping[str, int] | None = None) -> Swept:
    """Put back every job whose worker died (lease over), ring for all that wait.

    A job that may itself be what kills its workers comes back later than the others, and is given up after `tries`
    (`tries_of` its kind, where that is given).
    """
    now = utc_now()
    dead = (Job.state == JobState.RUNNING, Job.leased_until < now)
    allowed = case(dict(tries_of), value=Job.kind, else_=tries) if tries_of else literal(tries)
    given_up = session.scalars(
        update(Job)
        .where(*dead, Job.attempts >= allowed)
        .values(state=JobState.FAILED, leased_until=None, error="no worker outlived it")
        .returning(Job)
    ).all()
    back = session.scalars(
        update(Job)
        .where(*dead)
        .values(state=JobState.WAITING, leased_until=None, due_at=case((Job.attempts > 1, now + LEASE), else_=now))
        .returning(Job.id)
    ).all()
    for kind in session.scalars(select(Job.kind).where(Job.state == JobState.WAITING, Job.due_at <= now).distinct()):
        ring_after_commit(session, topic(kind))
    return Swept(len(back), given_up)


def _leave(session: Session, job: Job, state: JobState, **values: Any) -> bool:
    changed = session.scalars(
        update(Job)
        .where(Job.id == job.id, Job.state == JobState.RUNNING, Job.attempts == job.attempts)
        .values(state=state, leased_until=None, **values)
        .returning(Job.id)
    ).all()
    if changed:
        # Its lane is free again: whoever comes next in it may be waiting for just that.
        ring_after_commit(session, topic(job.kind))
    return bool(changed)
