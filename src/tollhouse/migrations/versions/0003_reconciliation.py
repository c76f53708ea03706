"""Reconciliation: its runs, and what each found to differ from Stripe"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reconciliation",
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("by_whom", sa.String(length=254), nullable=False),
        sa.Column("why", sa.String(length=500), nullable=False),
        sa.Column("dry_run", sa.SmallInteger(), nullable=False),
        sa.Column("stripe_customer", sa.String(length=255), nullable=True),
        sa.Column("after", sa.String(length=255), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("looked", sa.Integer(), nullable=False),
        sa.Column("different", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(length=40), nullable=True),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation")),
    )
    op.create_table(
        "reconciliation_difference",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("reconciliation", sa.String(length=60), nullable=False),
        sa.Column("field", sa.String(length=800), nullable=False),
        sa.Column("ours", sa.Text(), nullable=True),
        sa.Column("stripes", sa.Text(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("repaired", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "cell", "customer", "reconciliation", "field", name=op.f("pk_reconciliation_difference")
        ),
    )
    op.create_index(
        "ix_reconciliation_difference_reconciliation", "reconciliation_difference", ["reconciliation"], unique=False
    )


def downgrade() -> None:
    op.drop_table("reconciliation_difference")
    op.drop_table("reconciliation")
