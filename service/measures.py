"""What `/metrics` shows."""

import time
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
DATABASE_SECONDS = Histogram("comptoir_database_seconds", "Statements and commits in the database", buckets=_BUCKETS)
JOBS = Counter("comptoir_jobs_total", "Jobs by kind and outcome", ["kind", "outcome"])
MAILS_RECEIVED = Counter("comptoir_mails_received_total", "Mails taken in", ["source"])


def measure_database(engine: Engine) -> None:
    """Time every statement (the wait for SQLite's write lock is in BEGIN) and every commit of `engine`."""

    def before(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        context.comptoir_started = time.perf_counter()

    def after(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        DATABASE_SECONDS.observe(time.perf_counter() - context.comptoir_started)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    dialect: Any = engine.dialect
    commit = dialect.do_commit

    def timed_commit(connection: Any) -> None:
        with DATABASE_SECONDS.time():
            commit(connection)

    dialect.do_commit = timed_commit
