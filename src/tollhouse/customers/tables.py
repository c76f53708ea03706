"""Customers, their members and projects, and the product's keys.

What customers own is partitioned by cell. What has to be unique everywhere, or found without knowing its customer (names
of customers, members, keys), lives outside the cells.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

from tollhouse.store import metadata

customer = Table(
    "customer",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("id", String(40), nullable=False),
    Column("external_id", String(200)),
    Column("email", String(254), nullable=False),
    Column("name", String(200), nullable=False),
    Column("city", String(200), nullable=False),
    Column("locale", String(10), nullable=False),
    Column("made_by", String(10), nullable=False),  # api, pages, staff
    Column("created_at", BigInteger, nullable=False),
    Column("verified_at", BigInteger),  # when the address was proven, or vouched for by the product's own server
    PrimaryKeyConstraint("cell", "id"),
    CheckConstraint("made_by in ('api', 'pages', 'staff')", name="made_by"),
)
Index("ix_customer_created_at", customer.c.created_at)

customer_name = Table(
    "customer_name",
    metadata,
    Column("kind", String(10), primary_key=True),  # external, email
    Column("name", String(254), primary_key=True),
    Column("customer", String(40), nullable=False),
    CheckConstraint("kind in ('external', 'email')", name="kind"),
)
Index("ix_customer_name_customer", customer_name.c.customer)

member = Table(
    "member",
    metadata,
    Column("user_id", String(40), primary_key=True),
    Column("customer", String(40), primary_key=True),
    Column("role", String(20), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("confirmed_at", BigInteger),  # none: waits until the user has proven the customer's address
)
Index("ix_member_customer", member.c.customer)

project = Table(
    "project",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("id", String(40), nullable=False),
    Column("name", String(200), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("cell", "customer", "id"),
)

project_key = Table(
    "project_key",
    metadata,
    Column("key", String(64), primary_key=True),  # public by nature: it stands in pages
    Column("customer", String(40), nullable=False),
    Column("project", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)
Index("ix_project_key_project", project_key.c.project)

secret_key = Table(
    "secret_key",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("name", String(200), nullable=False),
    Column("last4", String(4), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    UniqueConstraint("digest"),
)

secret_key_change = Table(
    "secret_key_change",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
