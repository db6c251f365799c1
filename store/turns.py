"""Turns: threads that need the same thing get it in the order in which they came."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A fair lock. Python's own, and SQLite's, go to whoever asks at the right moment: under load somebody never does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def next(self, timeout: float) -> Iterator[None]:
        """Wait for one's turn, which ends with the block; after `timeout` seconds go on without it."""
        ours = self._wait(timeout)
        try:
            yield
        finally:
            if ours:
                self._pass_on()

    def _wait(self, timeout: float) -> bool:
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            called = threading.Event()
            self._waiting.append(called)
        if called.wait(timeout):
            return True
        with self._lock:
            if called.is_set():  # just now
                return True
            self._waiting.remove(called)
            return False

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False
