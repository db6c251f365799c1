"""The database: one engine, write transactions that on SQLite never deadlock and never starve, and UTC times."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, MetaData, create_engine, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from store.bell import Bell
from store.turns import Turns

LOCK_SECONDS = 15
"""How long a writer waits for SQLite's write lock before it gives up ("database is locked")."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, kept in UTC; refuses naive datetimes, returns aware ones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}: give it a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


_RINGS = "topics to ring after commit"


def ring_after_commit(session: Session, topic: str) -> None:
    """Ring `topic` once the transaction of `session` is committed, never before."""
    session.info.setdefault(_RINGS, set()).add(topic)


class Database:
    """The engine behind every room, and the bell that rings after its commits.

    Args:
        url: an SQLAlchemy URL, `sqlite:///var/comptoir.db` or `postgresql+psycopg://...`.
        bell: rung after each commit with the topics named by `ring_after_commit`.
    """

    def __init__(self, url: str, bell: Bell | None = None) -> None:
        self.url = make_url(url)
        self.bell = bell or Bell()
        self.engine = create_engine(self.url, pool_size=32, max_overflow=96)
        self.writing_engine = self.engine.execution_options(comptoir_write=True)
        """The same for transactions that write; on SQLite `engine` alone refuses to."""
        self.waited: Callable[[float], None] = lambda _seconds: None
        """Told how long a write transaction has waited for its turn."""
        self._turns: Turns | None = None
        if self.url.get_backend_name() == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
            self._turns = Turns()

    @contextmanager
    def begin(self) -> Iterator[Session]:
        """A write transaction: committed at the end of the block, rolled back on any exception.

        SQLite takes its write lock at once (BEGIN IMMEDIATE), so two writers queue up instead of failing half-way. It lets a
        writer that waits look again every now and then and gives the lock to whoever looks first: six busy threads are
        enough to keep one of them out for `LOCK_SECONDS`. The threads of this process therefore take turns.
        """
        with self._turn(), Session(self.writing_engine, expire_on_commit=False) as session:
            with session.begin():
                yield session
            topics = session.info.pop(_RINGS, set())
        for topic in topics:
            self.bell.ring(topic)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A consistent view of the database for reading. On SQLite a write in it is refused: a transaction that began as
        a reading one cannot wait for the write lock, it fails with "database is locked" at once."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self._turns is None:
            yield
            return
        asked = time.perf_counter()
        with self._turns.next(LOCK_SECONDS):
            self.waited(time.perf_counter() - asked)
            yield

    def dispose(self) -> None:
        self.engine.dispose()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling would begin late and take the write lock mid-way; we say BEGIN ourselves.
    connection.isolation_level = None
    cursor = connection.cursor()
    # FULL, not NORMAL: a mail is acknowledged after COMMIT, so COMMIT must outlive a power cut.
    for pragma in (f"busy_timeout={LOCK_SECONDS * 1000}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get("comptoir_write", False)
    if connection.info.get("writing") != writing:
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writing else 'ON'}")
        connection.info["writing"] = writing
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
