"""The catalogue's tables: every version of a plan that was ever sold, and what every meter means."""

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text, UniqueConstraint

from tollhouse.store import metadata

plan_version = Table(
    "plan_version",
    metadata,
    Column("plan", String(40), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("content_hash", String(64), nullable=False),
    Column("content", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("plan", "content_hash"),
)

meter_definition = Table(
    "meter_definition",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("decimals", Integer, nullable=False),
    Column("content", Text, nullable=False),
)
