"""Vectors of training text, kept on disk from one training to the next.

The second encoder of the full mode reads some thirty texts a second; an edited FAQ is learned anew with nearly the same
text as before. A file belongs to one version of one encoder, and only hashes of the texts are in it.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

CHUNK = 512  # texts that are written together: an interrupted training loses no more
KEPT_DAYS = 30  # for which a vector that no training has asked for stays
LONGEST_WAIT = 30.0  # seconds, for a training beside this one

_TABLE = "create table if not exists vectors (text blob primary key, vector blob not null, day integer not null)"


class KeptVectors:
    """The vectors in one file; safe to share between processes. A file that cannot be read or written is done without."""

    def __init__(self, folder: Path, encoder_version: str) -> None:
        self._path = folder / f"{hashlib.sha256(encoder_version.encode()).hexdigest()[:12]}.sqlite"

    def encode(self, texts: Sequence[str], run: Callable[[Sequence[str]], Vectors]) -> Vectors:
        """float32 (len(texts), dim): what is kept, and for the rest what `run` makes of it, which is then kept too."""
        different = list(dict.fromkeys(texts))
        known = self._read(different)
        missing = [text for text in different if text not in known]
        for start in range(0, len(missing), CHUNK):
            some = missing[start : start + CHUNK]
            made = dict(zip(some, run(some), strict=True))
            self._write(made)
            known |= made
        return np.stack([known[text] for text in texts])

    def _read(self, texts: Sequence[str]) -> dict[str, Vectors]:
        found: dict[str, Vectors] = {}
        try:
            with closing(self._open()) as file, file:
                for text in texts:
                    row = file.execute("select vector from vectors where text = ?", (_key(text),)).fetchone()
                    if row is not None:
                        found[text] = np.frombuffer(row[0], dtype=np.float32)
                today = _today()
                used = [(today, _key(text), today) for text in found]
                file.executemany("update vectors set day = ? where text = ? and day <> ?", used)
                file.execute("delete from vectors where day < ?", (today - KEPT_DAYS,))
        except (sqlite3.Error, OSError):
            pass
        return found

    def _write(self, vectors: dict[str, Vectors]) -> None:
        rows = [
            (_key(text), np.ascontiguousarray(vector, dtype=np.float32).tobytes(), _today())
            for text, vector in vectors.items()
        ]
        try:
            with closing(self._open()) as file, file:
                file.executemany("insert or replace into vectors values (?, ?, ?)", rows)
        except (sqlite3.Error, OSError):
            pass

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self._path, timeout=LONGEST_WAIT)
        try:
            file.execute("pragma journal_mode = wal")
            file.execute(_TABLE)
        except sqlite3.Error:
            file.close()
            raise
        return file


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _today() -> int:
    return int(time.time() // 86400)
