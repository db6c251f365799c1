"""Bring a database to the newest schema with Alembic."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from store.engine import Database

_SCRIPTS = Path(__file__).parent / "migrations"


def _config(database: Database) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    config.attributes["engine"] = database.writing_engine
    return config


def migrate(database: Database) -> None:
    """Apply every revision that the database does not have yet; a new database gets all of them.

    On SQLite that is one write transaction: of two processes that start at once the second finds the work done.
    """
    if database.url.get_backend_name() == "sqlite" and database.url.database:
        Path(database.url.database).parent.mkdir(parents=True, exist_ok=True)
    if not pending_revisions(database):
        return  # whoever writes at the moment is not waited for
    command.upgrade(_config(database), "head")


def pending_revisions(database: Database) -> list[str]:
    """The revisions that `migrate` would apply, oldest first; empty when the schema is current."""
    scripts = ScriptDirectory.from_config(_config(database))
    with database.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    revisions = [script.revision for script in scripts.iterate_revisions("head", current or "base")]
    return revisions[::-1]
