"""Accounts, entries, idempotency keys and lots. The cell leads every primary key."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    event,
    text,
)

from tollhouse.store import metadata
from tollhouse.store.tables import on_postgres

account = Table(
    "account",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("scope", String(80), nullable=False, server_default=""),
    Column("version", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("next_due", BigInteger),
    PrimaryKeyConstraint("cell", "customer", "scope"),
    CheckConstraint("version >= 0", name="version"),
    CheckConstraint("length(state) <= 8192", name="state_size"),
)
# Half-empty pages let PostgreSQL update a row in place (HOT) instead of touching its index.
event.listen(account, "after_create", on_postgres("alter table account set (fillfactor = 40)"))
Index(
    "ix_account_next_due",
    account.c.next_due,
    sqlite_where=text("next_due is not null"),
    postgresql_where=text("next_due is not null"),
)

entry = Table(
    "entry",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("action", String(80), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("moves", Text, nullable=False),
    Column("remaining", BigInteger, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("target", BigInteger),
    Column("metadata", Text),
    PrimaryKeyConstraint("cell", "customer", "seq"),
    CheckConstraint("remaining >= 0", name="remaining"),
    CheckConstraint("used >= 0", name="used"),
)
Index(
    "ix_entry_target",
    entry.c.cell,
    entry.c.customer,
    entry.c.target,
    sqlite_where=text("target is not null"),
    postgresql_where=text("target is not null"),
)

idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("operation", String(20), nullable=False),
    Column("key", String(200), nullable=False),
    Column("fingerprint", LargeBinary(16), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("cell", "customer", "operation", "key"),
)

lot = Table(
    "lot",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("id", String(40), nullable=False),
    Column("meter", String(40), nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("source", String(10), nullable=False),
    Column("granted_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("since", BigInteger, nullable=False),
    Column("until", BigInteger),
    Column("ended_at", BigInteger),
    Column("paid_minor", BigInteger),  # of a lot that was carried over: its share of what stands at the lots it is of
    Column("currency", String(3)),
    Column("refunded_minor", BigInteger),  # of that, what was given back
    Column("reason", Text),
    PrimaryKeyConstraint("cell", "customer", "id"),
    CheckConstraint("amount > 0", name="amount"),
)
