"""By which channel an alert was told, and an index of the events that wait for staff"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alert", sa.Column("told_by", sa.String(length=40), nullable=True))
    op.create_index(
        "ix_inbox_parked", "inbox", ["source", "received_at", "id"], unique=False,
        sqlite_where=sa.text("status = 'parked'"), postgresql_where=sa.text("status = 'parked'"),
    )  # fmt: skip


def downgrade() -> None:
    op.drop_index("ix_inbox_parked", table_name="inbox")
    op.drop_column("alert", "told_by")
