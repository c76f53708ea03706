"""Events are compressed by lz4 where PostgreSQL has it: a third of the time that keeping one takes was pglz's"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Versions before 14 do not know the words, and a server may have been built without the method: then it stays as it is.
COMPRESS = """
do $$ begin
  execute 'alter table inbox alter column payload set compression {method}';
exception when syntax_error or feature_not_supported or invalid_parameter_value then
  null;
end $$
"""


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(COMPRESS.format(method="lz4"))


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(COMPRESS.format(method="default"))
