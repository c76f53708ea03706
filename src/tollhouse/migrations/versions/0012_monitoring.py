"""Monitoring: payments and webhooks by minute, refused webhooks, alerts, since when an event has failed"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("inbox", sa.Column("failed_at", sa.BigInteger(), nullable=True))
    op.execute("update inbox set failed_at = received_at where status = 'parked'")
    op.create_index("ix_inbox_received_at", "inbox", ["source", "received_at"], unique=False)
    op.create_index(
        "ix_inbox_failed", "inbox", ["failed_at"], unique=False,
        sqlite_where=sa.text("failed_at is not null"), postgresql_where=sa.text("failed_at is not null"),
    )  # fmt: skip
    op.create_table(
        "payment_count",
        sa.Column("kind", sa.String(length=30), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "minute", name=op.f("pk_payment_count")),
    )
    op.create_table(
        "refused_webhook",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refused_webhook")),
    )
    op.create_table(
        "alert",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=320), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("fix", sa.Text(), nullable=False),
        sa.Column("happened", sa.Integer(), nullable=False),
        sa.Column("last_fact", sa.String(length=40), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.Column("reminded_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("end_told_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert")),
    )
    op.create_index(
        "ix_alert_open", "alert", ["key"], unique=True,
        sqlite_where=sa.text("ended_at is null"), postgresql_where=sa.text("ended_at is null"),
    )  # fmt: skip
    op.create_index("ix_alert_opened_at", "alert", ["opened_at"], unique=False)


def downgrade() -> None:
    for table in ("alert", "refused_webhook", "payment_count"):
        op.drop_table(table)
    op.drop_index("ix_inbox_failed", table_name="inbox")
    op.drop_index("ix_inbox_received_at", table_name="inbox")
    op.drop_column("inbox", "failed_at")
