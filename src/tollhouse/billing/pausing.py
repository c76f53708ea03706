"""Stripe's events, parked: they are stored and answered with 200 as ever, and nothing is applied until they are resumed.

Parked events are rows of the inbox as they came, so that a pause loses none and counts against none; it holds for every
process, and over any restart. Whatever would bring Stripe's word into our books asks here, in the transaction in which it
would write.
"""

import asyncio
import time

import msgspec
import structlog

from tollhouse.billing.maintenance import reason_given
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import Conflict, Unavailable
from tollhouse.kernel.ids import new_id
from tollhouse.store import Row, Sql, Store, Tx, inbox

SOURCE = "stripe"
UNDER_WAY_SECONDS = 150.0
"""A claim lasts two minutes: what was being applied when the pause began has ended by then, in whichever way."""
LOOK_SECONDS = 0.2

log = structlog.get_logger(__name__)

_FIELDS = "id, reason, by_whom, started_at, resumed_at, resumed_by, fetched, finished_at, proof"
_ACTIVE = Sql("select id, started_at from stripe_pause where open = 1 and resumed_at is null")
_OPEN = Sql(f"select {_FIELDS} from stripe_pause where open = 1")
_HISTORY = Sql(f"select {_FIELDS} from stripe_pause order by started_at desc, id desc limit :most")
_BEGIN = Sql(
    "insert into stripe_pause (id, open, reason, by_whom, started_at, fetched) values (:id, 1, :reason, :by_whom, :now, 0)"
    " on conflict do nothing"
)
_RESUME = Sql(
    "update stripe_pause set resumed_at = :now, resumed_by = :by_whom where id = :id and open = 1 and resumed_at is null"
)
_FETCHED = Sql("update stripe_pause set fetched = fetched + :number where id = :id")
_FINISH = Sql("update stripe_pause set open = null, finished_at = :now, proof = :proof where id = :id and open = 1")


class Paused(Conflict):
    """Stripe's events are parked: nothing that Stripe says is applied now."""

    default_code = "stripe_paused"


class Proof(msgspec.Struct, frozen=True):
    """What Stripe lists since `since` (ms), all of it stored: `applied` are in our books, `waiting` are tried again,
    `parked` could not be applied and wait for staff.
    """

    since: int
    listed: int
    applied: int
    waiting: int
    parked: int
    too_old: bool  # Stripe's list does not go back so far

    @property
    def complete(self) -> bool:
        """Whether all that Stripe lists is in our books, and its list goes back far enough."""
        return self.applied == self.listed and not self.too_old


class Pause(msgspec.Struct, frozen=True):
    """One pause. Between `resumed_at` and `finished_at` parked events are applied and counted. Times in ms."""

    id: str
    reason: str
    by_whom: str
    started_at: int
    resumed_at: int | None = None
    resumed_by: str | None = None
    fetched: int = 0
    finished_at: int | None = None
    proof: Proof | None = None


async def is_paused(tx: Tx) -> bool:
    """Whether events are parked now."""
    return await tx.fetch_one(_ACTIVE) is not None


async def require_applying(tx: Tx, *, unless: bool = False) -> None:
    """Raises Paused while events are parked, `unless` nothing will be kept. Ask in the transaction that applies."""
    row = None if unless else await tx.fetch_one(_ACTIVE)
    if row is not None:
        raise Paused(
            f"Stripe's events have been parked since {rfc3339(row['started_at'])}", fix="run `tollhouse stripe resume`"
        )


async def waiting(tx: Tx) -> int:
    """How many events are stored and not applied yet."""
    return await inbox.count_pending(tx, SOURCE)


async def open_pause(tx: Tx) -> Pause | None:
    """The pause that has not been finished."""
    row = await tx.fetch_one(_OPEN)
    return None if row is None else _pause(row)


async def pauses(tx: Tx, most: int = 20) -> list[Pause]:
    """The newest first."""
    return [_pause(row) for row in await tx.fetch(_HISTORY, most=most)]


async def pause(store: Store, *, by_whom: str, reason: str) -> Pause:
    """Park events from now on. Returns once nothing is being applied any more; asked again it is the same pause.

    Raises Conflict `resuming` while an earlier one is being resumed, Unavailable when something is still being applied.
    """
    why = reason_given(reason)
    async with store.transaction() as tx:
        now = store.clock.now_ms()
        begun = await tx.execute(_BEGIN, id=new_id("pau"), reason=why, by_whom=by_whom, now=now)
        found = await open_pause(tx)
    if found is None or found.resumed_at is not None:
        raise Conflict(
            "an earlier pause is being resumed", code="resuming", fix="finish that first: `tollhouse stripe resume`"
        )
    if begun:
        log.warning("stripe.paused", id=found.id, by=by_whom, reason=why)
    await _nothing_under_way(store)
    return found


async def _nothing_under_way(store: Store) -> None:
    """Wait for what was claimed before the pause was seen: it is finished, or given back."""
    deadline = time.monotonic() + UNDER_WAY_SECONDS
    while time.monotonic() < deadline:
        async with store.reading() as tx:
            if not await inbox.any_claimed(tx, store.clock.now_ms()):
                return
        await asyncio.sleep(LOOK_SECONDS)
    raise Unavailable(
        "events are parked, and some that were being applied before are still under way", code="still_applying",
        fix="run the command again in a moment",
    )  # fmt: skip


async def let_go(tx: Tx, found: Pause, *, by_whom: str, now: int) -> None:
    """Let parked events be applied; they are counted afterwards, see `finish`."""
    if await tx.execute(_RESUME, id=found.id, by_whom=by_whom, now=now):
        log.warning("stripe.resumed", id=found.id, by=by_whom)


async def count_fetched(tx: Tx, found: Pause, number: int) -> None:
    """So many more that had not arrived have been stored, in this transaction."""
    await tx.execute(_FETCHED, id=found.id, number=number)


async def finish(tx: Tx, found: Pause, proof: Proof, now: int) -> None:
    """The pause is over, with what was proven about it."""
    await tx.execute(_FINISH, id=found.id, now=now, proof=msgspec.json.encode(proof).decode())


def _pause(row: Row) -> Pause:
    proof = None if row["proof"] is None else msgspec.json.decode(row["proof"], type=Proof)
    return Pause(
        row["id"], row["reason"], row["by_whom"], row["started_at"], row["resumed_at"], row["resumed_by"],
        row["fetched"], row["finished_at"], proof,
    )  # fmt: skip


class ProofTold(msgspec.Struct, frozen=True):
    """A proof as it is told to machines, times in RFC 3339. `fetched` had not arrived."""

    since: str
    listed: int
    arrived: int
    fetched: int
    applied: int
    waiting: int
    parked: int
    complete: bool


class PauseTold(msgspec.Struct, frozen=True):
    """A pause as it is told to machines, times in RFC 3339."""

    id: str
    reason: str
    by: str
    started_at: str
    resumed_at: str | None
    resumed_by: str | None
    finished_at: str | None
    proof: ProofTold | None


def describe(one: Pause) -> PauseTold:
    """It, for machines."""
    proof = None if one.proof is None else tell_proof(one.proof, one.fetched)
    return PauseTold(
        one.id, one.reason, one.by_whom, rfc3339(one.started_at), at(one.resumed_at), one.resumed_by, at(one.finished_at),
        proof,
    )  # fmt: skip


def tell_proof(proof: Proof, fetched: int) -> ProofTold:
    """It, for machines."""
    return ProofTold(
        rfc3339(proof.since), proof.listed, proof.listed - fetched, fetched, proof.applied, proof.waiting, proof.parked,
        proof.complete,
    )  # fmt: skip


def at(moment: int | None) -> str | None:
    """A time as it leaves Tollhouse, where there is one."""
    return None if moment is None else rfc3339(moment)
