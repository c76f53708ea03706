"""Maintenance, the pause of Stripe's events, and roll-backs of Stripe with their steps"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "maintenance",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("by_whom", sa.String(length=254), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(length=254), nullable=True),
        sa.Column("rollback", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance")),
        sa.UniqueConstraint("rollback", name=op.f("uq_maintenance_rollback")),
    )
    op.create_index("ix_maintenance_ends_at", "maintenance", ["ends_at"], unique=False)
    op.create_table(
        "stripe_pause",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("open", sa.SmallInteger(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("by_whom", sa.String(length=254), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("resumed_at", sa.BigInteger(), nullable=True),
        sa.Column("resumed_by", sa.String(length=254), nullable=True),
        sa.Column("fetched", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("proof", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_pause")),
        sa.UniqueConstraint("open", name=op.f("uq_stripe_pause_open")),
    )
    op.create_table(
        "stripe_rollback",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("open", sa.SmallInteger(), nullable=True),
        sa.Column("options", sa.Text(), nullable=False),
        sa.Column("by_whom", sa.String(length=254), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("undo_at", sa.BigInteger(), nullable=True),
        sa.Column("undo_by", sa.String(length=254), nullable=True),
        sa.Column("undone_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stripe_rollback")),
        sa.UniqueConstraint("open", name=op.f("uq_stripe_rollback_open")),
    )
    op.create_table(
        "stripe_rollback_step",
        sa.Column("rollback", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("fetched", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("done_at", sa.BigInteger(), nullable=True),
        sa.Column("undone_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("rollback", "name", name=op.f("pk_stripe_rollback_step")),
    )


def downgrade() -> None:
    for name in ("stripe_rollback_step", "stripe_rollback", "stripe_pause", "maintenance"):
        op.drop_table(name)
