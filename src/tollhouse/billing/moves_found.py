"""Who is to be moved, read a few hundred accounts at a time in the order of their keys: nothing is kept in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import msgspec

from tollhouse.billing import move_queries as queries
from tollhouse.billing.moves import Choice, Held, Move, plan_move, target_of
from tollhouse.billing.moves_summed import Group, Summary
from tollhouse.catalog.actions import next_versions, refresh
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.money import Money
from tollhouse.ledger.book import decode_state
from tollhouse.ledger.queries import COUNT_ACCOUNTS
from tollhouse.ledger.turning import advance
from tollhouse.store import Row, Store, Tx, Value

AT_ONCE = 500
AT_ONCE_BESIDE_OTHERS = 50


class Batch(msgspec.Struct, frozen=True):
    """Accounts that were looked at, and those of them that the choice is about."""

    looked: int
    moves: tuple[Move, ...]


class Made(msgspec.Struct, frozen=True):
    """How far a move is: of those from one version to another, how many were told, moved, and could not be. ms."""

    from_plan: str
    from_version: int
    to_plan: str
    to_version: int
    notified: int
    moved: int
    failed: int
    last_moved_at: int | None


async def as_published(tx: Tx, catalog: Catalog) -> Catalog:
    """The file's catalogue under the numbers that publishing would give it, with what was sold before. Writes nothing."""
    numbers = await next_versions(tx, catalog)
    plans = {name: msgspec.structs.replace(plan, version=numbers[name][0]) for name, plan in catalog.plans.items()}
    return await refresh(tx, msgspec.structs.replace(catalog, plans=plans))


async def sum_up(store: Store, catalog: Catalog, choice: Choice, most: int) -> tuple[list[Group], int, bool]:
    """The first `most` whom the choice is about, by version; how many accounts were looked at, and whether that is all.
    In small batches: a server that answers others meanwhile is never held up by more than one of them."""
    summary, looked, found = Summary(), 0, 0
    async for batch in find_moves(store, catalog, choice, AT_ONCE_BESIDE_OTHERS):
        looked += batch.looked
        for move in batch.moves[: most - found]:
            summary.add(move)
        found += len(batch.moves)
        if found > most:
            return summary.groups(), looked, False
        await asyncio.sleep(0)
    return summary.groups(), looked, True


async def moves_made(tx: Tx) -> list[Made]:
    """How far every move is, by version."""
    return [
        Made(
            row["from_plan"], row["from_version"], row["to_plan"], row["to_version"], int(row["notified"]),
            int(row["moved"]), int(row["failed"]), row["last_moved_at"],
        )
        for row in await tx.fetch(queries.MOVES_BY_PAIR)
    ]  # fmt: skip


async def failures(tx: Tx, most: int) -> list[Row]:
    """Who could not be moved, the newest first: `customer`, `failed_at`, `reason`, and from where to where."""
    return await tx.fetch(queries.FAILURES, most=most)


async def count_accounts(tx: Tx) -> int:
    """How many accounts there are to look at."""
    row = await tx.fetch_one(COUNT_ACCOUNTS)
    return int(row["accounts"]) if row is not None else 0


async def find_moves(store: Store, catalog: Catalog, choice: Choice, at_once: int = AT_ONCE) -> AsyncIterator[Batch]:
    """Batch by batch; whoever is moved meanwhile is read at most once."""
    cell, customer = -1, ""
    while True:
        async with store.reading() as tx:
            rows = await tx.fetch(queries.ACCOUNTS_AFTER, cell=cell, customer=customer, most=at_once)
            if not rows:
                return
            moves = await _moves_of(tx, catalog, choice, rows, store.clock.now_ms())
        cell, customer = rows[-1]["cell"], rows[-1]["customer"]
        yield Batch(len(rows), moves)


async def _moves_of(tx: Tx, catalog: Catalog, choice: Choice, rows: list[Row], now: int) -> tuple[Move, ...]:
    chosen = []
    for row in rows:
        state = decode_state(row["state"])
        state = advance(state, catalog, max(now, state.decided_at))[0]
        target = target_of(catalog, choice, state)
        if target is not None:
            chosen.append((row, state, target))
    if not chosen:
        return ()
    span: dict[str, Value] = {
        "cell": chosen[0][0]["cell"], "customer": chosen[0][0]["customer"],
        "last_cell": chosen[-1][0]["cell"], "last_customer": chosen[-1][0]["customer"],
    }  # fmt: skip
    # Where there are several, the oldest counts: it comes last.
    held = {row["customer"]: _held(row) for row in await tx.fetch(queries.SUBSCRIPTIONS_OF_SPAN, **span)}
    told = {_pair(row) for row in await tx.fetch(queries.NOTIFIED_OF_SPAN, **span)}
    return tuple(
        plan_move(
            catalog, state, target, held.get(row["customer"]), customer=row["customer"], email=row["email"],
            locale=row["locale"], stripe_customer=row["stripe_customer"],
            notified=(row["customer"], state.plan, state.plan_version, target.plan, target.version) in told,
        )
        for row, state, target in chosen
    )  # fmt: skip


def _held(row: Row) -> Held:
    return Held(
        row["id"], row["plan"], row["every"], Money(row["amount_minor"], row["currency"]), row["period_end"],
        row["cancel_at"], row["later_plan"] is not None,
    )  # fmt: skip


def _pair(row: Row) -> tuple[str, str, int, str, int]:
    return row["customer"], row["from_plan"], row["from_version"], row["to_plan"], row["to_version"]


def key_of(move: Move, cell: int) -> Mapping[str, Value]:
    """The key of the row about this move."""
    return {"cell": cell, "customer": move.customer, **move.pair}
