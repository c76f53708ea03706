"""What of an invoice is tax"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("invoice", sa.Column("net_minor", sa.BigInteger(), nullable=True))
    op.add_column("invoice", sa.Column("tax_minor", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for name in ("tax_minor", "net_minor"):
        op.drop_column("invoice", name)
