"""The corrections that training may learn from, read where agents recorded them. Loads no model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError

from desk import Correction, accepted_corrections
from service.settings import Settings
from service.training_error import TrainingError
from store import Database


def read_accepted(settings: Settings) -> Sequence[Correction]:
    """The accepted corrections of this installation, oldest first; none before it has a database.

    Raises TrainingError when the database cannot be read: training without them would forget what was accepted.
    """
    database = Database(settings.database)
    try:
        if database.url.get_backend_name() == "sqlite" and not Path(database.url.database or "").exists():
            return ()
        if not inspect(database.engine).has_table(Correction.__tablename__):
            return ()
        with database.read() as session:
            return accepted_corrections(session)
    except SQLAlchemyError as error:
        raise TrainingError(f"the accepted corrections cannot be read from the database: {error}") from error
    finally:
        database.dispose()


def origin_of(correction: Correction) -> str:
    """Where a correction's words come from: conversation and event number."""
    return f"{correction.conversation_id}/{correction.event_number}"
