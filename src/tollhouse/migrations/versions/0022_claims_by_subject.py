"""The inbox's index by subject says what is claimed: to claim, no event is read for that"""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_inbox_subject", table_name="inbox")
    op.create_index("ix_inbox_subject", "inbox", ["subject", "status", "claimed_until"])


def downgrade() -> None:
    op.drop_index("ix_inbox_subject", table_name="inbox")
    op.create_index("ix_inbox_subject", "inbox", ["subject", "status"])
