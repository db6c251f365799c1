"""How long a thread waits to write to one SQLite file while others never rest: `python -m tests.bench.writers`.

Each thread opens one write transaction after the other and holds it open for a while, with SQLite's own way of waiting (look
again every now and then) and in turn, as Comptoir does.
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

from sqlalchemy.exc import OperationalError

from store import Database, enqueue, migrate

CASES = ((6, 0.02, 20.0), (12, 0.1, 40.0))
"""Threads, seconds that a transaction is held open, seconds that it goes on."""


def measure(folder: Path, threads: int, held: float, seconds: float, *, in_turn: bool) -> tuple[list[float], int]:
    """How long each write waited (in vain, too), and how often "database is locked" was said."""
    database = Database(f"sqlite:///{folder / f'{threads}-{in_turn}.db'}")
    migrate(database)
    if not in_turn:
        database._turns = None
    waited: list[float] = []
    refused = [0] * threads
    ends = time.monotonic() + seconds

    def write(index: int) -> None:
        count = 0
        while (asked := time.monotonic()) < ends:
            try:
                with database.begin() as session:
                    waited.append(time.monotonic() - asked)
                    enqueue(session, "work", f"{index}/{count}", {})
                    time.sleep(held)
                count += 1
            except OperationalError:
                waited.append(time.monotonic() - asked)
                refused[index] += 1

    workers = [threading.Thread(target=write, args=(index,)) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    database.dispose()
    return sorted(waited), sum(refused)


def main() -> None:
    print('| | writes | p50 | longest | "database is locked" |\n|---|---|---|---|---|')
    with tempfile.TemporaryDirectory() as folder:
        for threads, held, seconds in CASES:
            for in_turn in (False, True):
                waited, refused = measure(Path(folder), threads, held, seconds, in_turn=in_turn)
                way = "in turn" if in_turn else "SQLite's own waiting"
                name = f"{threads} threads, {1000 * held:.0f} ms: {way}"
                median = waited[len(waited) // 2]
                print(f"| {name} | {len(waited) - refused} | {median:.2f} s | {waited[-1]:.2f} s | {refused} |")


if __name__ == "__main__":
    main()
