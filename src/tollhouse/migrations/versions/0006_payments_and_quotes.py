"""Payments as Stripe's intents have them, who is being subscribed, and quotes"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "payment_intent",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("invoice", sa.String(length=255), nullable=True),
        sa.Column("charge", sa.String(length=255), nullable=True),
        sa.Column("failure_code", sa.String(length=100), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("cell", "customer", "id", name=op.f("pk_payment_intent")),
    )
    op.create_table(
        "quote",
        sa.Column("cell", sa.SmallInteger(), nullable=False),
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("id", sa.String(length=60), nullable=False),
        sa.Column("plan", sa.String(length=80), nullable=False),
        sa.Column("every", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("duration", sa.String(length=10), nullable=False),
        sa.Column("months", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("by_whom", sa.String(length=254), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=10), nullable=False),
        sa.Column("open_plan", sa.String(length=80), nullable=True),
        sa.Column("coupon", sa.String(length=255), nullable=True),
        sa.Column("subscription", sa.String(length=255), nullable=True),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_at", sa.BigInteger(), nullable=True),
        sa.Column("withdrawn_by", sa.String(length=254), nullable=True),
        sa.Column("withdrawn_why", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("cell", "customer", "id", name=op.f("pk_quote")),
        sa.UniqueConstraint("cell", "customer", "open_plan", name=op.f("uq_quote_cell_customer_open_plan")),
    )
    op.create_table(
        "subscribing",
        sa.Column("customer", sa.String(length=40), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer", name=op.f("pk_subscribing")),
    )


def downgrade() -> None:
    op.drop_table("subscribing")
    op.drop_table("quote")
    op.drop_table("payment_intent")
