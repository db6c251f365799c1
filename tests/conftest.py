"""Fixtures shared by all rooms: a migrated database file, a seeded shop, and the public data that lies beside a checkout."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import shop
from store import Database, migrate, utc_now

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def _templates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An empty migrated database file and one with the demo shop, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("templates")
    empty, seeded = folder / "empty.db", folder / "seeded.db"
    for path, wanted in ((empty, False), (seeded, True)):
        database = Database(f"sqlite:///{path}")
        migrate(database)
        if wanted:
            with database.begin() as session:
                shop.seed(session, now=utc_now())
        with database.engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
        database.dispose()
    return empty, seeded


def _copy(template: Path, folder: Path) -> Iterator[Database]:
    shutil.copy(template, folder / "comptoir.db")
    database = Database(f"sqlite:///{folder / 'comptoir.db'}")
    yield database
    database.dispose()


@pytest.fixture
def database(_templates: tuple[Path, Path], tmp_path: Path) -> Iterator[Database]:
    """An empty, migrated SQLite file."""
    yield from _copy(_templates[0], tmp_path)


@pytest.fixture
def demo_shop(_templates: tuple[Path, Path], tmp_path: Path) -> Iterator[Database]:
    """A migrated SQLite file with the demo shop in it."""
    yield from _copy(_templates[1], tmp_path)


@pytest.fixture(scope="session")
def public_data() -> Path:
    """The public test data (`../shared/data` beside the checkout, or COMPTOIR_PUBLIC_DATA); skips without it."""
    root = Path(__file__).resolve().parent.parent
    for folder in (os.environ.get("COMPTOIR_PUBLIC_DATA"), root.parent / "shared" / "data"):
        if folder and Path(folder).is_dir():
            return Path(folder)
    pytest.skip("public test data is not here: set COMPTOIR_PUBLIC_DATA to its folder")
