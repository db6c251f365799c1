"""An in-process doorbell: tells waiting threads that rows of a topic may have changed."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Listener:
    """One waiting thread. A ring between two waits is kept, so none is missed while the listener looks at the rows."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds; True when the bell rang since the last wait."""
        rang = self._rung.wait(timeout)
        self._rung.clear()
        return rang

    def ring(self) -> None:
        self._rung.set()


class Bell:
    """Topics and those who listen to them. Ringing a topic nobody listens to costs nothing and is forgotten."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[Listener]] = defaultdict(set)
        self._lock = threading.Lock()

    def ring(self, topic: str) -> None:
        with self._lock:
            listeners = tuple(self._listeners.get(topic, ()))
        for listener in listeners:
            listener.ring()

    @contextmanager
    def listen(self, *topics: str) -> Iterator[Listener]:
        """A listener to `topics` for the length of the block."""
        listener = Listener()
        with self._lock:
            for topic in topics:
                self._listeners[topic].add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                for topic in topics:
                    self._listeners[topic].discard(listener)
                    if not self._listeners[topic]:
                        del self._listeners[topic]
