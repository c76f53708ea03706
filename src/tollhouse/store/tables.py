"""The store's own tables and the one metadata to which every room adds its tables.

Times are milliseconds since 1970 in UTC (BigInteger); documents are JSON text; states that are yes or no are times.
"""

from sqlalchemy import DDL, BigInteger, CheckConstraint, Column, Index, Integer, MetaData, String, Table, Text, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

inbox = Table(
    "inbox",
    metadata,
    Column("source", String(20), primary_key=True),
    Column("id", String(255), primary_key=True),
    Column("type", String(100), nullable=False),
    Column("subject", String(255), nullable=False),  # whose events are handled together, in one claim
    Column("payload", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("status", String(10), nullable=False),  # pending, done, parked
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("claimed_until", BigInteger),
    Column("claim", String(40)),
    Column("done_at", BigInteger),
    Column("error", Text),
    Column("failed_at", BigInteger),  # since when it could not be handled; none once it was
    CheckConstraint("status in ('pending', 'done', 'parked')", name="status"),
)
Index(
    "ix_inbox_pending",
    inbox.c.due_at,
    sqlite_where=text("status = 'pending' and due_at > 0"),
    postgresql_where=text("status = 'pending' and due_at > 0"),
)
Index("ix_inbox_subject", inbox.c.subject, inbox.c.status, inbox.c.claimed_until)
Index("ix_inbox_received_at", inbox.c.received_at, inbox.c.id)
Index(
    "ix_inbox_parked",
    inbox.c.received_at,
    inbox.c.id,
    sqlite_where=text("status = 'parked'"),
    postgresql_where=text("status = 'parked'"),
)
Index(
    "ix_inbox_failed",
    inbox.c.failed_at,
    sqlite_where=text("failed_at is not null"),
    postgresql_where=text("failed_at is not null"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("fact", String(60), nullable=False),
    Column("customer", String(40)),
    Column("payload", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("claimed_until", BigInteger),
    Column("claim", String(40)),
    Column("done_at", BigInteger),
    Column("parked_at", BigInteger),
    Column("error", Text),
)
Index(
    "ix_outbox_pending",
    outbox.c.due_at,
    sqlite_where=text("done_at is null and parked_at is null"),
    postgresql_where=text("done_at is null and parked_at is null"),
)

test_clock = Table(
    "test_clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("offset_ms", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)


def on_postgres(statement: str) -> DDL:
    """A statement that only PostgreSQL is given; for `event.listen(table, "after_create", …)`."""
    ddl: DDL = DDL(statement.replace("%", "%%")).execute_if(dialect="postgresql")  # type: ignore[no-untyped-call]
    return ddl
