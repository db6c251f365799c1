"""What `/metrics` shows."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import Counter, Histogram
from sqlalchemy import event
from sqlalchemy.engine import Engine

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


def measure_database(engine: Engine) -> None:
    """Time the statements (the wait for SQLite's write lock is in BEGIN) and commits on `engine`, a clock a thread."""

    def before(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        context.comptoir_started = time.perf_counter()

    def after(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        _took(context.comptoir_started)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    dialect: Any = engine.dialect
    commit = dialect.do_commit

    def timed_commit(connection: Any) -> None:
        started = time.perf_counter()
        commit(connection)
        _took(started)

    dialect.do_commit = timed_commit
