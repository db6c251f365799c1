"""Files beside the database, each under the SHA-256 of its content: the same content is kept once.

A file is on the disk before the row that names it is committed, so that a row never names a file that is not there. A crash in
between leaves a file that no row names; `sweep` removes it once it is old enough that no transaction can still be about to
name it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path

ORPHAN_AFTER = timedelta(days=1)
"""Far longer than from keeping a file to committing its row, however often that is tried again."""
_BATCH = 500  # names asked for in one query
_NAME = re.compile(r"[0-9a-f]{64}")


class FileStore:
    """A folder of files named by their content's SHA-256, in 256 folders by its first two digits.

    Several processes may use one folder at a time. Nothing is made on the disk before the first file is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._drafts = folder / "new"

    def keep(self, content: bytes) -> str:
        """Put a file on the disk for good and return its name, 64 hexadecimal digits; content that is here already is not
        written again. Raises OSError when it cannot be written; then nothing of it stays under that name."""
        digest = hashlib.sha256(content).hexdigest()
        path = self._place(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(fcntl.LOCK_SH):
            if _has_size(path, len(content)):
                # It is as good as new: a sweep that takes it for an old orphan must not remove what we are about to name.
                os.utime(path)
            else:
                self._write(content, path)
        # Also when it was here already: whoever wrote it may not have come this far yet.
        for folder in (path.parent, self._folder):
            _settle(folder)
        return digest

    def path(self, digest: str) -> Path | None:
        """Where a file lies; None when there is none of this name."""
        path = self._place(digest)
        return path if path.is_file() else None

    def sweep(
        self, named: Callable[[Collection[str]], Collection[str]], *, older_than: timedelta = ORPHAN_AFTER
    ) -> int:
        """Remove the files that nobody names and that nobody has kept for `older_than`; returns how many went.

        `named` is asked which of the given names stand in committed rows.
        """
        removed = 0
        old = (path for path in self._files() if _age(path) > older_than.total_seconds())
        while paths := tuple(islice(old, _BATCH)):
            named_now = named([path.name for path in paths])
            removed += sum(self._remove(path, older_than) for path in paths if path.name not in named_now)
        return removed

    def _place(self, digest: str) -> Path:
        if not _NAME.fullmatch(digest):
            raise ValueError(f"{digest!r} is no SHA-256 in hexadecimal digits")
        return self._folder / digest[:2] / digest

    def _files(self) -> Iterator[Path]:
        """The kept files, and the drafts that a crash has left."""
        yield from (path for path in self._folder.glob("[0-9a-f][0-9a-f]/*") if _NAME.fullmatch(path.name))
        yield from self._drafts.glob("*")

    def _write(self, content: bytes, path: Path) -> None:
        self._drafts.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._drafts, delete=False) as draft:
            try:
                draft.write(content)
                draft.flush()
                os.fsync(draft.fileno())
                Path(draft.name).replace(path)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise

    def _remove(self, path: Path, older_than: timedelta) -> bool:
        with self._locked(fcntl.LOCK_EX):
            # Somebody may have kept it again while the rows were asked.
            if _age(path) <= older_than.total_seconds():
                return False
            path.unlink(missing_ok=True)
            return True

    @contextmanager
    def _locked(self, mode: int) -> Iterator[None]:
        """Keep files together with others, or remove one with nobody keeping any; between processes too."""
        with open(self._folder / "lock", "wb") as lock:
            fcntl.flock(lock, mode)
            yield


def _has_size(path: Path, size: int) -> bool:
    """Whether a file is there and has not been cut off, as a disk that fails may do."""
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _age(path: Path) -> float:
    """Seconds since a file was written or kept again; of one that is gone, less than any."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return float("-inf")


def _settle(folder: Path) -> None:
    """What was put into a folder outlives a power cut only once the folder is on the disk as well."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
