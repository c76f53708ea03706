"""What must go out: facts, written in the transaction that made them true, delivered at least once.

await outbox.put(tx, MailRequested(…), now=now)      beside the change itself
await outbox.put_once(tx, alert, key, now=now)       what stays true is told once
worker: claim -> deliver -> done | retry | park

Letters (what waits for a mail server, a receiver of alerts or Stripe) are claimed apart from events, which wait for nobody.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec

from tollhouse.kernel.facts import Fact
from tollhouse.kernel.ids import encode, new_id
from tollhouse.store.engine import Row, Tx, Value
from tollhouse.store.sql import Sql

LONGEST_ERROR = 2_000

Which = Literal["all", "letters", "events"]
Finish = Callable[[Tx], Awaitable[None]]
"""What is written in the transaction that marks a fact done."""

_FIELDS = "id, fact, customer, payload, created_at, attempts, due_at, done_at, parked_at, error"
_WAITING = "done_at is null and parked_at is null"

_INSERT = Sql(
    "insert into outbox (id, fact, customer, payload, created_at, attempts, due_at)"
    " values (:id, :fact, :customer, :payload, :now, 0, :now)"
)
_INSERT_ONCE = Sql(f"{_INSERT.text} on conflict (id) do nothing")
_DUE = f"from outbox where {_WAITING} and due_at <= :now and (claimed_until is null or claimed_until <= :now)"
_LETTERS = "('mail.requested', 'receipt.requested', 'customer.language.chosen', 'operator.alert', 'alert.told')"
_WHICH = {"all": "", "letters": f" and fact in {_LETTERS}", "events": f" and fact not in {_LETTERS}"}
_ANY_DUE = {which: Sql(f"select 1 as one {_DUE}{where} limit 1") for which, where in _WHICH.items()}
_LOCK_DUE = {
    which: Sql(f"select {_FIELDS} {_DUE}{where} order by due_at, id limit :most [[for update skip locked]]")
    for which, where in _WHICH.items()
}
_CLAIM = Sql("update outbox set claim = :claim, claimed_until = :until where id = :id")
# An e-mail that has gone out takes its link with it: the link is as good as a password while it works.
_DONE = Sql(
    "update outbox set done_at = :now, error = null, claim = null, claimed_until = null,"
    " payload = case when fact = 'mail.requested' then '{}' else payload end"
    f" where id = :id and claim = :claim and {_WAITING}"
)
_RETRY = Sql(
    "update outbox set attempts = :attempts, due_at = :due_at, error = :error, claim = null, claimed_until = null"
    f" where id = :id and claim = :claim and {_WAITING}"
)
_PARK = Sql(
    "update outbox set parked_at = :now, attempts = :attempts, error = :error, claim = null, claimed_until = null"
    f" where id = :id and claim = :claim and {_WAITING}"
)
_REPLAY_PARKED = Sql(
    "update outbox set parked_at = null, attempts = 0, due_at = :now, claim = null, claimed_until = null"
    " where parked_at is not null and error like :pattern"
)


class Outgoing(msgspec.Struct, frozen=True):
    """One row of the outbox; `payload` is the fact's JSON, with its tag in `fact`. Times are ms since 1970."""

    id: str
    fact: str
    customer: str | None
    payload: str
    created_at: int
    attempts: int
    due_at: int
    done_at: int | None = None
    parked_at: int | None = None
    error: str | None = None


async def put(tx: Tx, fact: Fact, *, customer: str | None = None, now: int) -> str:
    """Write a fact, to be delivered after this transaction commits. Returns its id (`evt_…`)."""
    identifier = new_id("evt")
    tag = str(fact.__struct_config__.tag)
    payload = msgspec.json.encode(fact).decode()
    await tx.execute(_INSERT, id=identifier, fact=tag, customer=customer, payload=payload, now=now)
    return identifier


async def put_once(tx: Tx, fact: Fact, key: str, *, customer: str | None = None, now: int) -> bool:
    """As `put`, once for this kind of fact and key for as long as the row is kept. False when it was put before."""
    identifier, tag, payload = row_once(fact, key)
    row: dict[str, Value] = {"id": identifier, "fact": tag, "customer": customer, "payload": payload}
    return await tx.execute(_INSERT_ONCE, **row, now=now) > 0


def row_once(fact: Fact, key: str) -> tuple[str, str, str]:
    """(id, fact, payload) of what is put once, for a writer with a statement of its own."""
    tag = str(fact.__struct_config__.tag)
    digest = int.from_bytes(hashlib.blake2b(f"{tag}\n{key}".encode(), digest_size=16).digest())
    return f"evt_{encode(digest, 26)}", tag, msgspec.json.encode(fact).decode()


async def any_due(tx: Tx, now: int, which: Which = "all") -> bool:
    """Whether a claim may find something: a look that takes no lock and no writer's turn."""
    return await tx.fetch_one(_ANY_DUE[which], now=now) is not None


async def claim(tx: Tx, now: int, lease_ms: int, claim_id: str, most: int = 20, which: Which = "all") -> list[Outgoing]:
    """Take facts that are due, oldest first; those of a lapsed lease again."""
    rows = await tx.fetch(_LOCK_DUE[which], now=now, most=most)
    if rows:
        await tx.execute_many(_CLAIM, [{"id": r["id"], "claim": claim_id, "until": now + lease_ms} for r in rows])
    return [_outgoing(row) for row in rows]


async def done(tx: Tx, item: Outgoing, claim_id: str, now: int) -> bool:
    """It was delivered. False when the claim was lost meanwhile."""
    return await tx.execute(_DONE, id=item.id, claim=claim_id, now=now) > 0


async def retry(tx: Tx, item: Outgoing, claim_id: str, *, attempts: int, due_at: int, error: str) -> None:
    """Give it back, to be tried again at `due_at`."""
    await tx.execute(_RETRY, id=item.id, claim=claim_id, attempts=attempts, due_at=due_at, error=error[:LONGEST_ERROR])


async def park(tx: Tx, item: Outgoing, claim_id: str, now: int, *, attempts: int, error: str) -> bool:
    """Set it aside for staff, with the reason. False when the claim was lost."""
    parked = await tx.execute(
        _PARK, id=item.id, claim=claim_id, now=now, attempts=attempts, error=error[:LONGEST_ERROR]
    )
    return parked > 0


async def replay_parked(tx: Tx, error: str, now: int) -> int:
    """Deliver every fact that was parked with an error beginning so (once what was missing is there). How many."""
    return await tx.execute(_REPLAY_PARKED, pattern=error.replace("%", "") + "%", now=now)


def _outgoing(row: Row) -> Outgoing:
    return Outgoing(
        row["id"], row["fact"], row["customer"], row["payload"], row["created_at"],
        row["attempts"], row["due_at"], row["done_at"], row["parked_at"], row["error"],
    )  # fmt: skip
