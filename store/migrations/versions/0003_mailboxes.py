"""mailboxes at IMAP servers, and mail too big to be taken in whole"""

import sqlalchemy as sa
from alembic import op

import store

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mailbox_state",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("begun_at", store.engine.UtcDateTime(timezone=True), nullable=True),
        sa.Column("uid_validity", sa.BigInteger(), nullable=True),
        sa.Column("taken_uid", sa.BigInteger(), nullable=False),
        sa.Column("walk_uid", sa.BigInteger(), nullable=False),
        sa.Column("unsettled", sa.JSON(), nullable=False),
        sa.Column("contacted_at", store.engine.UtcDateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.String(length=20), nullable=True),
        sa.Column("trouble_detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_mailbox_state")),
    )
    op.create_table(
        "mail_aside",
        sa.Column("mailbox", sa.String(length=80), nullable=False),
        sa.Column("uid", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("tried_at", store.engine.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["mailbox"], ["mailbox_state.name"], name=op.f("fk_mail_aside_mailbox_mailbox_state")),
        sa.PrimaryKeyConstraint("mailbox", "uid", name=op.f("pk_mail_aside")),
    )
    with op.batch_alter_table("inbound_mail", schema=None) as batch_op:
        batch_op.add_column(sa.Column("whole_bytes", sa.BigInteger(), nullable=True))
