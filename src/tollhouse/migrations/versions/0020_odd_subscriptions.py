"""Indexes of the subscriptions that an alert may be about: no plan, or beside another one"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

UNMAPPED = sa.text("plan is null and ended_at is null")
SECOND = sa.text("second_since is not null and ended_at is null")


def upgrade() -> None:
    op.create_index(
        "ix_subscription_unmapped", "subscription", ["price"], sqlite_where=UNMAPPED, postgresql_where=UNMAPPED
    )
    op.create_index("ix_subscription_second", "subscription", ["id"], sqlite_where=SECOND, postgresql_where=SECOND)


def downgrade() -> None:
    op.drop_index("ix_subscription_second", table_name="subscription")
    op.drop_index("ix_subscription_unmapped", table_name="subscription")
