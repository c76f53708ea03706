"""Secret keys of the product's own servers: only their digests are kept, each is shown once, any can be revoked."""

import hashlib
import secrets

from tollhouse.customers import queries
from tollhouse.customers.model import NewSecretKey, SecretKey
from tollhouse.identity.emails import plain_text
from tollhouse.kernel.errors import NotFound
from tollhouse.kernel.ids import new_id
from tollhouse.store import Row, Tx

SECRET_PREFIX = "th_sk_"
RANDOM_BYTES = 32  # 43 characters


def digest_of(key: bytes) -> bytes:
    """How a secret key is kept and found. It is random and long, so a plain SHA-256 gives nothing away."""
    return hashlib.sha256(key).digest()


async def create_secret_key(tx: Tx, name: str, now: int) -> NewSecretKey:
    """A new secret key; its text is in the answer and nowhere else. Raises InvalidRequest for its name."""
    label = plain_text(name, "the key's name")
    new = NewSecretKey(new_id("key"), label, SECRET_PREFIX + secrets.token_urlsafe(RANDOM_BYTES))
    await tx.execute(
        queries.INSERT_SECRET_KEY,
        id=new.id,
        digest=digest_of(new.key.encode()),
        name=label,
        last4=new.key[-4:],
        now=now,
    )
    await tx.execute(queries.BUMP_KEY_CHANGE)
    return new


async def revoke_secret_key(tx: Tx, key: str, now: int) -> SecretKey:
    """Revoke by id (`key_…`); every process refuses it within two seconds. Revoked again it stays as it was.

    Raises NotFound `key_not_found`.
    """
    await tx.execute(queries.REVOKE_SECRET_KEY, id=key, now=now)
    row = await tx.fetch_one(queries.READ_SECRET_KEY, id=key)
    if row is None:
        raise NotFound(
            f"there is no secret key {key!r}", code="key_not_found", fix="`tollhouse keys list` shows every id"
        )
    await tx.execute(queries.BUMP_KEY_CHANGE)
    return _key_from(row)


async def list_secret_keys(tx: Tx) -> list[SecretKey]:
    """Every key that was ever made, the oldest first."""
    return [_key_from(row) for row in await tx.fetch(queries.LIST_SECRET_KEYS)]


def _key_from(row: Row) -> SecretKey:
    return SecretKey(row["id"], row["name"], row["last4"], row["created_at"], row["revoked_at"])
