"""Live holds and leases, the sessions of tools, and refusals counted by the minute."""

from sqlalchemy import BigInteger, Column, Index, Integer, PrimaryKeyConstraint, SmallInteger, String, Table, Text, text

from tollhouse.store import metadata

hold = Table(
    "hold",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("seq", BigInteger, nullable=False),  # of its entry
    Column("status", String(10), nullable=False),  # open, settled, released, expired
    Column("on_expiry", String(10), nullable=False),  # return, charge
    Column("expires_at", BigInteger, nullable=False),
    Column("settled_amount", Text),  # JSON, meter → scaled
    Column("answer", Text),  # of the settlement
    PrimaryKeyConstraint("cell", "customer", "seq"),
)
Index("ix_hold_open", hold.c.expires_at, sqlite_where=text("status = 'open'"), postgresql_where=text("status = 'open'"))

lease = Table(
    "lease",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("seq", BigInteger, nullable=False),  # of its admission
    Column("action", String(80), nullable=False),
    Column("slots", Text, nullable=False),  # JSON, meter → slots held
    Column("ttl_ms", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("last_beat", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    PrimaryKeyConstraint("cell", "customer", "seq"),
)
Index(
    "ix_lease_open",
    lease.c.expires_at,
    sqlite_where=text("ended_at is null"),
    postgresql_where=text("ended_at is null"),
)

tool_session = Table(
    "tool_session",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("id", String(40), nullable=False),
    Column("user", String(40), nullable=False),
    Column("tool", String(80), nullable=False),
    Column("admission", String(60), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    PrimaryKeyConstraint("cell", "customer", "id"),
)
Index("uq_tool_session_admission", tool_session.c.cell, tool_session.c.customer, tool_session.c.admission, unique=True)

refusal = Table(
    "refusal",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("minute", BigInteger, nullable=False),
    Column("action", String(80), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("refused", Integer, nullable=False),
    PrimaryKeyConstraint("cell", "customer", "minute", "action", "reason"),
)
