"""The currency in which a customer pays, and what was given back of a lot's payment"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("stripe_customer", sa.Column("currency", sa.String(length=3), nullable=True))
    op.execute(
        "update stripe_customer set currency = (select subscription.currency from subscription"
        " where subscription.customer = stripe_customer.customer"
        " order by subscription.created_at, subscription.id limit 1)"
    )
    op.add_column("lot", sa.Column("refunded_minor", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("lot", "refunded_minor")
    op.drop_column("stripe_customer", "currency")
