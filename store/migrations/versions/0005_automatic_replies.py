"""which mail an automatic reply answers, and urgent conversations"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("conversation", schema=None) as batch_op:
        batch_op.add_column(sa.Column("urgent", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("outbound_mail", schema=None) as batch_op:
        batch_op.add_column(sa.Column("answers_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_outbound_mail_answers_id_inbound_mail"), "inbound_mail", ["answers_id"], ["id"]
        )
        batch_op.create_unique_constraint(batch_op.f("uq_outbound_mail_answers_id"), ["answers_id"])
        batch_op.create_index("ix_outbound_mail_recipient_created_at", ["recipient", "created_at"], unique=False)
        batch_op.create_index("ix_outbound_mail_created_at", ["created_at"], unique=False)
