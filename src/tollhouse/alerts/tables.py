"""Alerts: one open row for each thing that is wrong, whatever number of times it happens."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, text

from tollhouse.store import metadata

alert = Table(
    "alert",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("key", String(320), nullable=False),  # what is wrong; one open alert each
    Column("severity", String(10), nullable=False),
    Column("title", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("fix", Text, nullable=False),
    Column("happened", Integer, nullable=False),
    Column("last_fact", String(40)),  # the fact counted last: delivered again it counts no more
    Column("opened_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("told_at", BigInteger),
    Column("told_by", String(40)),  # the channels, separated by spaces
    Column("reminded_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("end_told_at", BigInteger),
)
Index(
    "ix_alert_open",
    alert.c.key,
    unique=True,
    sqlite_where=text("ended_at is null"),
    postgresql_where=text("ended_at is null"),
)
Index("ix_alert_opened_at", alert.c.opened_at)
