"""The lanes' save for keys that are new"""

from alembic import op

from tollhouse.admission.procedures import DROP_SAVE_NEW_KEYS, SAVE_NEW_KEYS

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(SAVE_NEW_KEYS)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(DROP_SAVE_NEW_KEYS)
