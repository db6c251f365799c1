"""Alembic's entry: runs the revisions on the engine that `store.migrate` hands over."""

from alembic import context
from sqlalchemy.engine import Engine

engine: Engine = context.config.attributes["engine"]

# Begun by us, so that it is one transaction: by itself Alembic commits after each revision on SQLite, and of two processes
# that start at once the second would slip in between.
with engine.begin() as connection:
    context.configure(
        connection=connection,
        render_as_batch=True,
        target_metadata=context.config.attributes.get("metadata"),
    )
    context.run_migrations()
