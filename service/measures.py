"""What `/metrics` shows."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import event, func, select
from sqlalchemy.exc import SQLAlchemyError

from desk import Channel, Conversation, MailboxReading, Owner, count_quarantined, count_undecided
from store import Database, Job, JobState

log = structlog.get_logger()

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

TURN_SECONDS = Histogram("comptoir_turn_seconds", "A chat turn: message stored to reply stored", buckets=_BUCKETS)
RASA_SECONDS = Histogram(
    "comptoir_rasa_seconds", "The part of a turn spent waiting for Rasa (with its calls to us)", buckets=_BUCKETS
)
NLU_SECONDS = Histogram("comptoir_nlu_seconds", "Understanding, as Rasa calls it", buckets=_BUCKETS)
ACTION_SECONDS = Histogram("comptoir_action_seconds", "Actions, as Rasa calls them", buckets=_BUCKETS)
READ_SECONDS = Histogram(
    "comptoir_read_seconds", "Reading one chat message (encoder and heads, without the cache)", buckets=_BUCKETS
)
DATABASE_SECONDS = Histogram(
    "comptoir_database_seconds",
    "Statements and commits of one message stored, one action or one job, by which of them",
    ["work"],
    buckets=_BUCKETS,
)
JOBS = Counter("comptoir_jobs_total", "Jobs by kind and outcome", ["kind", "outcome"])
MAILS_RECEIVED = Counter("comptoir_mails_received_total", "Mails taken in", ["source"])


_thread = threading.local()


def database_seconds() -> float:
    """What the database has taken from this thread so far, in seconds."""
    taken: float = getattr(_thread, "database_seconds", 0.0)
    return taken


@contextmanager
def database_time(work: str) -> Iterator[None]:
    """Observe what the database takes from this thread within the block."""
    before = database_seconds()
    yield
    DATABASE_SECONDS.labels(work).observe(database_seconds() - before)


def _took(started: float) -> None:
    _thread.database_seconds = database_seconds() + time.perf_counter() - started


def measure_database(database: Database) -> None:
    """Time the statements and commits on a database, a clock a thread; the wait for its turn to write and for SQLite's write
    lock (in BEGIN) are in it."""

    def before(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        context.comptoir_started = time.perf_counter()

    def after(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        _took(context.comptoir_started)

    def waited(seconds: float) -> None:
        _thread.database_seconds = database_seconds() + seconds

    database.waited = waited
    event.listen(database.engine, "before_cursor_execute", before)
    event.listen(database.engine, "after_cursor_execute", after)
    dialect: Any = database.engine.dialect
    commit = dialect.do_commit

    def timed_commit(connection: Any) -> None:
        started = time.perf_counter()
        commit(connection)
        _took(started)

    dialect.do_commit = timed_commit


class HouseCollector(Collector):
    """What stands in the database, counted when `/metrics` is asked: the agents' queue, the work to do, the mailboxes."""

    def __init__(self, database: Database, mailboxes: Callable[[], Sequence[MailboxReading]]) -> None:
        self._database = database
        self._mailboxes = mailboxes

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Raises nothing that a database can: figures that cannot be had are left out."""
        waiting = GaugeMetricFamily(
            "comptoir_queue_conversations", "Conversations that wait for an agent", labels=["channel"]
        )
        jobs = GaugeMetricFamily("comptoir_job_rows", "Jobs not yet done, by kind and state", labels=["kind", "state"])
        up = GaugeMetricFamily("comptoir_mailbox_up", "1 when the mailbox raises no alarm", labels=["mailbox"])
        contact = GaugeMetricFamily(
            "comptoir_mailbox_last_contact_timestamp_seconds", "When the mailbox was last read", labels=["mailbox"]
        )
        mails = GaugeMetricFamily("comptoir_mail_rows", "Mails that wait for a human's decision", labels=["state"])
        undone = (JobState.WAITING, JobState.RUNNING, JobState.FAILED)
        by_channel = select(Conversation.channel, func.count()).where(Conversation.owner == Owner.QUEUE)
        by_state = select(Job.kind, Job.state, func.count()).where(Job.state.in_(undone))
        try:
            with self._database.read() as session:
                found = {
                    **dict.fromkeys(map(str, Channel), 0),
                    **dict(session.execute(by_channel.group_by(Conversation.channel)).tuples().all()),
                }
                stuck = {"quarantined": count_quarantined(session), **count_undecided(session)}
                rows = session.execute(by_state.group_by(Job.kind, Job.state)).tuples().all()
            readings = self._mailboxes()
        except SQLAlchemyError:
            log.exception("the figures of the database could not be had")
            return
        for channel, count in found.items():
            waiting.add_metric([channel], count)
        for kind, state, count in rows:
            jobs.add_metric([kind, state], count)
        for state, count in stuck.items():
            mails.add_metric([state], count)
        for reading in readings:
            up.add_metric([reading.name], float(reading.up))
            if reading.contacted_at is not None:
                contact.add_metric([reading.name], reading.contacted_at.timestamp())
        yield from (waiting, jobs, mails, up, contact)
