"""Each statement on events that wait can use one index of the inbox alone, whatever is known about the table"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

PENDING = sa.text("status = 'pending' and due_at > 0")
PENDING_BEFORE = sa.text("status = 'pending'")
PARKED = sa.text("status = 'parked'")


def upgrade() -> None:
    _drop()
    op.create_index("ix_inbox_pending", "inbox", ["due_at"], sqlite_where=PENDING, postgresql_where=PENDING)
    op.create_index("ix_inbox_subject", "inbox", ["subject", "status"])
    op.create_index("ix_inbox_received_at", "inbox", ["received_at", "id"])
    op.create_index("ix_inbox_parked", "inbox", ["received_at", "id"], sqlite_where=PARKED, postgresql_where=PARKED)


def downgrade() -> None:
    _drop()
    op.create_index(
        "ix_inbox_pending", "inbox", ["due_at"], sqlite_where=PENDING_BEFORE, postgresql_where=PENDING_BEFORE
    )
    op.create_index("ix_inbox_subject", "inbox", ["source", "subject", "status"])
    op.create_index("ix_inbox_received_at", "inbox", ["source", "received_at"])
    op.create_index(
        "ix_inbox_parked", "inbox", ["source", "received_at", "id"], sqlite_where=PARKED, postgresql_where=PARKED
    )


def _drop() -> None:
    for name in ("ix_inbox_parked", "ix_inbox_received_at", "ix_inbox_subject", "ix_inbox_pending"):
        op.drop_index(name, table_name="inbox")
