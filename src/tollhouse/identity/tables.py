"""Users, their sessions and the tokens that e-mails carry: global, outside the cells. Only digests of tokens are kept."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from tollhouse.store import metadata

users = Table(
    "users",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("email", String(254), nullable=False),  # normalised
    Column("name", String(200), nullable=False),
    Column("locale", String(10), nullable=False),
    Column("password_hash", Text),  # none: only a link by e-mail or another provider lets this user in
    Column("staff_role", String(20)),
    Column("created_at", BigInteger, nullable=False),
    Column("verified_at", BigInteger),
    UniqueConstraint("email"),
)

session = Table(
    "session",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("id", String(40), nullable=False),
    Column("user_id", String(40), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("address", String(64), nullable=False),
    Column("agent", String(200), nullable=False),
)
Index("ix_session_user", session.c.user_id)

email_token = Table(
    "email_token",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("user_id", String(40), nullable=False),
    Column("purpose", String(10), nullable=False),  # verify, reset
    Column("email", String(254), nullable=False),  # the address that it proves
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
)
Index("ix_email_token_user", email_token.c.user_id)

second_factor = Table(
    "second_factor",
    metadata,
    Column("user_id", String(40), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # the secret, sealed with a key derived from SESSION_SECRET
    Column("created_at", BigInteger, nullable=False),
    Column("confirmed_at", BigInteger),  # none: begun on the page, and not asked for yet
    Column("last_step", BigInteger, nullable=False),  # of the last code that was taken: it and older ones are worthless
    Column("failures", Integer, nullable=False),
    Column("blocked_until", BigInteger, nullable=False),
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("user_id", String(40), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),
    Column("used_at", BigInteger),
    PrimaryKeyConstraint("user_id", "digest"),
)
