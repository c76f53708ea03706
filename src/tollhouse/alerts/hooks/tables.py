"""Endpoints, the events they are told, a delivery for each pair, and every attempt. Outside the cells, as the outbox."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from tollhouse.store import metadata

hook_endpoint = Table(
    "hook_endpoint",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("url", String(2000), nullable=False),
    Column("description", String(200), nullable=False),
    Column("events", Text, nullable=False),  # JSON; an empty list means every event
    Column("secret", Text, nullable=False),  # sealed with SESSION_SECRET
    Column("secret_at", BigInteger, nullable=False),  # when it was made
    Column("old_secret", Text),  # signs too, until
    Column("old_secret_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(254), nullable=False),
    Column("disabled_at", BigInteger),
    Column("disabled_why", String(500)),
    Column("failing_since", BigInteger),
)

hook_event = Table(
    "hook_event",
    metadata,
    Column("id", String(40), primary_key=True),  # the fact's in the outbox; the receiver's webhook-id
    Column("type", String(60), nullable=False),
    Column("customer", String(40)),
    Column("payload", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("length(payload) <= 16384", name="payload_size"),
)
Index("ix_hook_event_created_at", hook_event.c.created_at)

hook_delivery = Table(
    "hook_delivery",
    metadata,
    Column("endpoint", String(40), nullable=False),
    Column("event", String(40), nullable=False),
    Column("status", String(10), nullable=False),
    Column("attempts", Integer, nullable=False),  # since it was made or replayed
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("claimed_until", BigInteger),
    Column("claim", String(40)),
    Column("done_at", BigInteger),  # delivered or given up
    Column("answered", Integer),
    Column("error", Text),
    PrimaryKeyConstraint("endpoint", "event"),
    CheckConstraint("status in ('waiting', 'delivered', 'failed')", name="status"),
)
Index(
    "ix_hook_delivery_waiting",
    hook_delivery.c.endpoint,
    hook_delivery.c.due_at,
    sqlite_where=text("status = 'waiting'"),
    postgresql_where=text("status = 'waiting'"),
)
Index("ix_hook_delivery_created_at", hook_delivery.c.endpoint, hook_delivery.c.created_at)
Index("ix_hook_delivery_event", hook_delivery.c.event)

hook_attempt = Table(
    "hook_attempt",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("endpoint", String(40), nullable=False),
    Column("event", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("answered", Integer),
    Column("error", Text),
    Column("answer", Text, nullable=False),
)
Index("ix_hook_attempt_delivery", hook_attempt.c.event, hook_attempt.c.endpoint)
