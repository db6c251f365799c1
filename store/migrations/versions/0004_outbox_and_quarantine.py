"""states of the outbox, participants, returned mail, the quarantine"""

import sqlalchemy as sa
from alembic import op

import store

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = store.engine.UtcDateTime(timezone=True)
    op.create_table(
        "participant",
        sa.Column("conversation_id", sa.String(length=36), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.ForeignKeyConstraint(
            ["conversation_id"], ["conversation.id"], name=op.f("fk_participant_conversation_id_conversation")
        ),
        sa.PrimaryKeyConstraint("conversation_id", "address", name=op.f("pk_participant")),
    )
    op.create_table(
        "address_trouble",
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("permanent", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_address_trouble")),
    )
    with op.batch_alter_table("inbound_mail", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(length=10), nullable=False, server_default="person"))
        batch_op.add_column(sa.Column("filed_at", moment, nullable=True))
        batch_op.add_column(sa.Column("quarantined_at", moment, nullable=True))
        batch_op.add_column(sa.Column("failure", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("attempts", sa.Integer(), nullable=False, server_default="0"))
        batch_op.create_index(batch_op.f("ix_inbound_mail_filed_at"), ["filed_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_inbound_mail_quarantined_at"), ["quarantined_at"], unique=False)
    with op.batch_alter_table("outbound_mail", schema=None) as batch_op:
        batch_op.add_column(sa.Column("state", sa.String(length=10), nullable=False, server_default="waiting"))
        batch_op.add_column(sa.Column("handed_at", moment, nullable=True))
        batch_op.add_column(sa.Column("error", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("returned_at", moment, nullable=True))
        batch_op.add_column(sa.Column("return_reason", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("return_delayed", sa.Boolean(), nullable=False, server_default=sa.false()))
        batch_op.create_index(batch_op.f("ix_outbound_mail_state"), ["state"], unique=False)
    op.execute("UPDATE inbound_mail SET filed_at = received_at WHERE conversation_id IS NOT NULL")
    op.execute("UPDATE outbound_mail SET state = 'sent' WHERE sent_at IS NOT NULL")
    op.execute(
        "UPDATE outbound_mail SET state = 'failed', error = 'could not be sent' WHERE sent_at IS NULL AND key IN "
        "(SELECT key FROM job WHERE kind = 'send_mail' AND state = 'failed')"
    )
    op.execute(
        "INSERT INTO participant (conversation_id, address) "
        "SELECT id, LOWER(contact) FROM conversation WHERE channel = 'mail' AND contact IS NOT NULL AND contact <> ''"
    )
    op.execute(
        "INSERT INTO participant (conversation_id, address) "
        "SELECT DISTINCT conversation_id, LOWER(recipient) FROM outbound_mail WHERE NOT EXISTS "
        "(SELECT 1 FROM participant p WHERE p.conversation_id = outbound_mail.conversation_id "
        "AND p.address = LOWER(outbound_mail.recipient))"
    )
