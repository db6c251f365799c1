"""The stream that tells a browser which conversations have changed; the browser then asks for what it shows."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

from desk.console.doors import ConsoleDoors
from desk.conversations import QUEUE_TOPIC
from desk.tables import Owner
from desk.views import changes_since
from store import utc_now

STREAM_SECONDS = 600
LOOK_AGAIN_SECONDS = 3.0
"""The bell may be missed, rows may not: the stream looks at the rows this often in any case."""
BREATH_SECONDS = 0.1
"""Rings come in bursts (a message, a change of owner): they are told together."""
OVERLAP = timedelta(seconds=10)
"""A transaction may commit a little later than the time it wrote: each look goes back this far."""
QUIET_LOOKS = 5


def stream_changes(doors: ConsoleDoors) -> Iterator[str]:
    """Server-sent events: `hello` once (ask for everything now), then `changed` with `{"ids": [...], "queue": bool}`.

    `queue` is false when only conversations of the assistant changed, which the agents' lists do not show.
    """
    ends = time.monotonic() + STREAM_SECONDS
    quiet = 0
    with doors.database.bell.listen(QUEUE_TOPIC) as listener:
        looked_at = utc_now()
        known = _look(doors, looked_at)
        yield "retry: 1500\nevent: hello\ndata: {}\n\n"
        while time.monotonic() < ends and not doors.stopping.is_set():
            rang = listener.wait(LOOK_AGAIN_SECONDS)
            if rang:
                doors.stopping.wait(BREATH_SECONDS)
            since, looked_at = looked_at, utc_now()
            found = _look(doors, since)
            changed = [each for each, state in found.items() if known.get(each) != state]
            if changed:
                # A conversation that was an agent's a moment ago and is the assistant's now has left a list.
                queue = any(
                    state[1] != Owner.BOT
                    for each in changed
                    for state in (found[each], known.get(each, (0, Owner.QUEUE)))
                )
                yield f"event: changed\ndata: {json.dumps({'ids': changed, 'queue': queue})}\n\n"
            known |= found
            quiet = 0 if changed else quiet + 1
            if quiet and quiet % QUIET_LOOKS == 0:
                yield ": still here\n\n"


def _look(doors: ConsoleDoors, since: datetime) -> dict[str, tuple[int, str]]:
    with doors.database.read() as session:
        return {each.id: (each.last_number, each.owner) for each in changes_since(session, since - OVERLAP)}
