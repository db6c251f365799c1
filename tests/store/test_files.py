"""Files named by their content: kept once, whole or not at all, and removed only when nobody names them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

import pytest

from store import FileStore

DAY = timedelta(days=1)
NOBODY: frozenset[str] = frozenset()


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "attachments")


def nobody(_names: Collection[str]) -> frozenset[str]:
    return NOBODY


def made_old(files: FileStore, digest: str, age: timedelta = 2 * DAY) -> Path:
    path = files.path(digest)
    assert path is not None
    then = time.time() - age.total_seconds()
    os.utime(path, (then, then))
    return path


def test_a_file_is_found_under_the_hash_of_its_content(files: FileStore, tmp_path: Path) -> None:
    digest = files.keep(b"a photo")

    assert digest == hashlib.sha256(b"a photo").hexdigest()
    path = files.path(digest)
    assert path == tmp_path / "attachments" / digest[:2] / digest
    assert path.read_bytes() == b"a photo"
    assert path.stat().st_mode & 0o077 == 0, "others on this machine may not read it"


def test_the_same_content_is_written_once(files: FileStore) -> None:
    first = files.path(files.keep(b"a logo that stands below every mail"))
    assert first is not None
    written = first.stat().st_ino

    again = files.path(files.keep(b"a logo that stands below every mail"))

    assert again == first
    assert again.stat().st_ino == written


def test_a_file_that_was_cut_off_is_written_again(files: FileStore) -> None:
    path = files.path(files.keep(b"a photo"))
    assert path is not None
    path.write_bytes(b"a ph")

    files.keep(b"a photo")

    assert path.read_bytes() == b"a photo"


def test_many_keep_the_same_content_at_once(files: FileStore, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    threads = [threading.Thread(target=files.keep, args=(content,)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    kept = [path for path in (tmp_path / "attachments").rglob("*") if path.is_file() and path.name != "lock"]
    assert [path.read_bytes() for path in kept] == [content]


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "a" * 63, "A" * 64, "a" * 64 + "\n"])
def test_only_a_hash_leads_to_a_file(files: FileStore, name: str) -> None:
    with pytest.raises(ValueError, match="no SHA-256"):
        files.path(name)


def test_a_file_that_cannot_be_written_leaves_nothing_under_its_name(
    files: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OSError, match="No space left"):
        files.keep(b"a photo")

    assert [path for path in (tmp_path / "attachments").rglob("*") if path.is_file() and path.name != "lock"] == []


def test_a_file_is_on_the_disk_before_it_has_its_name(files: FileStore, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (steps.append("on the disk"), fsync(handle)))
    monkeypatch.setattr(Path, "replace", lambda path, target: (steps.append("named"), replace(path, target))[1])

    files.keep(b"a photo")

    assert steps[:3] == ["on the disk", "named", "on the disk"], (
        "content, name, and then the folder with the name in it"
    )


def test_what_nobody_names_goes_once_it_is_old(files: FileStore) -> None:
    named, orphan, young = (files.keep(content) for content in (b"named", b"orphan", b"young"))
    made_old(files, named)
    made_old(files, orphan)

    removed = files.sweep(lambda names: {named} & set(names), older_than=DAY)

    assert removed == 1
    assert [files.path(each) is not None for each in (named, orphan, young)] == [True, False, True]


def test_an_orphan_that_is_kept_again_is_young_again(files: FileStore) -> None:
    digest = files.keep(b"a photo")
    made_old(files, digest)

    def meanwhile(_names: Collection[str]) -> frozenset[str]:
        files.keep(b"a photo")  # its row is not committed yet
        return NOBODY

    assert files.sweep(meanwhile, older_than=DAY) == 0
    assert files.path(digest) is not None


def test_a_sweep_of_a_store_that_was_never_used_makes_nothing(tmp_path: Path) -> None:
    assert FileStore(tmp_path / "attachments").sweep(nobody, older_than=timedelta(0)) == 0
    assert list(tmp_path.iterdir()) == []


KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from store import FileStore
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
FileStore(Path(sys.argv[1])).keep(b"half a photo")
"""


def test_a_kill_while_writing_leaves_a_draft_that_the_sweep_removes(files: FileStore, tmp_path: Path) -> None:
    folder = tmp_path / "attachments"
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, folder], check=False, timeout=60)
    assert killed.returncode == -9
    assert files.path(hashlib.sha256(b"half a photo").hexdigest()) is None

    assert files.sweep(nobody, older_than=timedelta(0)) == 1

    assert list((folder / "new").iterdir()) == []
