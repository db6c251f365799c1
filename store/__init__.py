"""The ground floor: the database, its migrations, files named by their content, rows that are work to do, and the doorbell
that says they are there.

The row is the truth. Whoever commits something others wait for says so with `ring_after_commit`; whoever waits looks at the
rows first, then listens to the `Bell`, then looks again, because a bell may be missed and a row may not.
"""

from store.bell import Bell, Listener
from store.engine import Base, Database, UtcDateTime, ring_after_commit, utc_now
from store.files import ORPHAN_AFTER, FileStore
from store.jobs import (
    Job,
    JobState,
    Swept,
    begin_anew,
    claim,
    enqueue,
    finish,
    give_up,
    hold_on,
    put_back,
    retry_later,
    sweep,
)
from store.migrate import migrate, pending_revisions

__all__ = [
    "ORPHAN_AFTER",
    "Base",
    "Bell",
    "Database",
    "FileStore",
    "Job",
    "JobState",
    "Listener",
    "Swept",
    "UtcDateTime",
    "begin_anew",
    "claim",
    "enqueue",
    "finish",
    "give_up",
    "hold_on",
    "migrate",
    "pending_revisions",
    "put_back",
    "retry_later",
    "ring_after_commit",
    "sweep",
    "utc_now",
]
