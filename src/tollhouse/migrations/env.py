"""Alembic's entry: one metadata for both databases. Always called with an open connection, by `store.schema`."""

from alembic import context

from tollhouse.migrations import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    compare_type=True,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
