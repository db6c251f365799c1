"""Alembic's entry: runs the revisions on the engine that `store.migrate` hands over."""

from alembic import context
from sqlalchemy.engine import Engine

engine: Engine = context.config.attributes["engine"]

with engine.connect() as connection:
    context.configure(
        connection=connection,
        render_as_batch=True,
        target_metadata=context.config.attributes.get("metadata"),
    )
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
