"""What a subscription changes to when its period ends"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("subscription", sa.Column("later_plan", sa.String(length=80), nullable=True))
    op.add_column("subscription", sa.Column("later_every", sa.String(length=10), nullable=True))
    op.add_column("subscription", sa.Column("later_amount_minor", sa.BigInteger(), nullable=True))
    op.add_column("subscription", sa.Column("later_at", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for name in ("later_at", "later_amount_minor", "later_every", "later_plan"):
        op.drop_column("subscription", name)
