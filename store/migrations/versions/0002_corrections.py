"""corrections"""

import sqlalchemy as sa
from alembic import op

import store

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("conversation_id", sa.String(length=36), nullable=False),
        sa.Column("event_number", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("predicted", sa.String(length=80), nullable=True),
        sa.Column("correct", sa.String(length=80), nullable=True),
        sa.Column("agent_id", sa.Integer(), nullable=False),
        sa.Column("created_at", store.engine.UtcDateTime(timezone=True), nullable=False),
        sa.Column("reviewed_by", sa.Integer(), nullable=True),
        sa.Column("reviewed_at", store.engine.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_corrections_agent_id_agent")),
        sa.ForeignKeyConstraint(["reviewed_by"], ["agent.id"], name=op.f("fk_corrections_reviewed_by_agent")),
        sa.ForeignKeyConstraint(
            ["conversation_id", "event_number"],
            ["event.conversation_id", "event.number"],
            name=op.f("fk_corrections_conversation_id_event"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_corrections")),
        sa.UniqueConstraint(
            "conversation_id", "event_number", "kind", name=op.f("uq_corrections_conversation_id_event_number_kind")
        ),
    )
    with op.batch_alter_table("corrections", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_corrections_state"), ["state"], unique=False)
