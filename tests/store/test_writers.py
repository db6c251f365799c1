"""Who may write when: writers take turns, readers never become writers, a migration waits for both."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, event, select, text
from sqlalchemy.exc import OperationalError

from store import Database, Job, enqueue, migrate, pending_revisions
from store.migrate import _config
from store.turns import Turns


def at_once(*works: Callable[[], object]) -> None:
    """Each in a thread of its own; raises what one of them raises."""
    failures: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_of_writers_that_never_rest_none_is_kept_waiting(database: Database) -> None:
    ends = time.monotonic() + 3
    written, longest = [0] * 8, [0.0] * 8

    def write(index: int) -> None:
        while (asked := time.monotonic()) < ends:
            with database.begin() as session:
                longest[index] = max(longest[index], time.monotonic() - asked)
                enqueue(session, "work", f"{index}/{written[index]}", {})
                time.sleep(0.01)
            written[index] += 1

    at_once(*[lambda index=index: write(index) for index in range(8)])

    assert min(written) >= max(written) - 2, written
    assert max(longest) < 2.0


def test_a_reader_cannot_become_a_writer(database: Database) -> None:
    with database.read() as session, pytest.raises(OperationalError, match="readonly"):
        enqueue(session, "work", "from a reader", {})

    with database.begin() as session:
        enqueue(session, "work", "from a writer", {})
    with database.read() as session:
        assert session.scalars(select(Job.key)).all() == ["from a writer"]


def test_a_connection_serves_readers_and_writers_in_turn(database: Database) -> None:
    for number in range(5):
        with database.begin() as session:
            enqueue(session, "work", str(number), {})
        with database.read() as session:
            assert len(session.scalars(select(Job)).all()) == number + 1
            with pytest.raises(OperationalError):
                session.execute(text("DELETE FROM job"))


def test_the_wait_for_ones_turn_is_told(database: Database) -> None:
    waited: list[float] = []
    database.waited = waited.append
    entered = threading.Event()

    def hold() -> None:
        with database.begin():
            entered.set()
            time.sleep(0.3)

    def wait() -> None:
        entered.wait(5)
        with database.begin():
            pass

    at_once(hold, wait)

    assert len(waited) == 2
    assert 0.2 < max(waited) < 2.0


# ---- migrations


@pytest.fixture
def behind(tmp_path: Path) -> Database:
    """A database of an earlier version."""
    database = Database(f"sqlite:///{tmp_path / 'old.db'}")
    command.upgrade(_config(database), "0004")
    return database


def test_a_migration_waits_for_whoever_writes(behind: Database) -> None:
    entered = threading.Event()
    other = Database(str(behind.url))  # another process, as it were: it takes no turn with us

    def write() -> None:
        with other.begin() as session:
            enqueue(session, "work", "before the migration", {})
            entered.set()
            time.sleep(0.5)

    def upgrade() -> None:
        entered.wait(5)
        migrate(behind)

    at_once(write, upgrade)

    assert pending_revisions(behind) == []
    with behind.read() as session:
        assert session.scalars(select(Job.key)).all() == ["before the migration"]


def test_two_that_start_at_once_migrate_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    start = "import sys; from store import Database, migrate; migrate(Database(sys.argv[1]))"

    processes = [subprocess.Popen([sys.executable, "-c", start, url], stderr=subprocess.PIPE) for _ in range(4)]
    failures = [process.communicate(timeout=60)[1].decode() for process in processes]

    assert failures == [""] * 4
    assert pending_revisions(Database(url)) == []


def test_all_revisions_are_one_transaction(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    commits: list[Connection] = []
    event.listen(database.engine, "commit", commits.append)

    migrate(database)

    assert len(commits) == 1


def test_nothing_to_migrate_waits_for_nobody(database: Database) -> None:
    with Database(str(database.url)).begin():
        began = time.monotonic()
        migrate(database)
        assert time.monotonic() - began < 5


# ---- turns


def test_turns_come_in_the_order_of_asking() -> None:
    turns, order = Turns(), []

    def take(number: int) -> None:
        time.sleep(0.05 * number)
        with turns.next(10):
            order.append(number)
            time.sleep(0.15)

    at_once(*[lambda number=number: take(number) for number in range(6)])

    assert order == list(range(6))


def test_who_has_waited_too_long_goes_on_and_holds_nobody_up() -> None:
    turns = Turns()
    with turns.next(10), turns.next(0.05):
        pass  # the second went on without a turn, and must not end the first one's

    began = time.monotonic()
    with turns.next(10):
        assert time.monotonic() - began < 1


def test_a_turn_ends_with_an_error_too() -> None:
    turns = Turns()
    with pytest.raises(RuntimeError), turns.next(10):
        raise RuntimeError
    began = time.monotonic()
    with turns.next(10):
        assert time.monotonic() - began < 1
