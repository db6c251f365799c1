"""The migrated database and the tables in the code are the same."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

import desk
import shop
from store import Base, Database, migrate, pending_revisions

ROOMS_WITH_TABLES = (desk, shop)


def test_migrations_lead_to_the_tables_in_the_code(database: Database) -> None:
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_a_new_database_knows_that_it_is_behind(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new' / 'comptoir.db'}")
    (tmp_path / "new").mkdir()
    assert pending_revisions(database)
    migrate(database)
    assert pending_revisions(database) == []
    database.dispose()


def test_a_naive_time_is_refused(database: Database) -> None:
    from datetime import datetime

    from store import Job

    with pytest.raises(Exception, match="naive datetime"), database.begin() as session:
        session.add(Job(kind="k", key="k", lane="k", payload={}, due_at=datetime(2026, 1, 1)))
