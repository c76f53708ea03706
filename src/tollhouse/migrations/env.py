"""Alembic's entry: one metadata for both databases. Always called with an open connection, by `store.schema`.

What another system has left in the way of our tables is set aside first; `attributes["set_aside"]` tells what.
"""

from alembic import context

from tollhouse.migrations import metadata, set_aside

connection = context.config.attributes["connection"]
context.config.attributes["set_aside"] = set_aside.set_aside(connection, metadata)
context.configure(
    connection=connection,
    target_metadata=metadata,
    compare_type=True,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
