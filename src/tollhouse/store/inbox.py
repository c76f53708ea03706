"""What came from outside, kept before it is understood. The row is the job: nothing is queued anywhere else.

    receive -> pending -> claim -> done | retry (pending again, later) | park (waits for staff)

A claim takes every pending event of a few subjects (Stripe customers), so that one look at the outside answers all of
one's. It lasts for a lease; whoever comes after a lapsed one may take the rows again. Effects have a fence of their own.
"""

from collections.abc import Iterable

import msgspec

from tollhouse.kernel.clock import HOUR, SECOND
from tollhouse.store.engine import Row, Tx, Value
from tollhouse.store.sql import Sql

MOST_ATTEMPTS = 12
FIRST_PAUSE_MS = 5 * SECOND
LONGEST_PAUSE_MS = HOUR
LONGEST_ERROR = 2_000
MOST_SUBJECTS = 8
_ROWS_TRIED = 8 * MOST_SUBJECTS

_FIELDS = "source, id, type, subject, payload, received_at, status, attempts, due_at, done_at, error, failed_at"

_INSERT = Sql(
    "insert into inbox (source, id, type, subject, payload, received_at, status, attempts, due_at)"
    " values (:source, :id, :type, :subject, :payload, :now, 'pending', 0, :now) on conflict do nothing returning id"
)
INSERT_ALL = (
    "insert into inbox (source, id, type, subject, payload, received_at, status, attempts, due_at)"
    " select :source, id, type, subject, payload, :now::bigint, 'pending', 0, :now from unnest("
    "string_to_array(:ids, E'\\x1f'), string_to_array(:types, E'\\x1f'), string_to_array(:subjects, E'\\x1f'),"
    " string_to_array(:payloads, E'\\x1f')) as came(id, type, subject, payload) on conflict do nothing returning id"
)
"""PostgreSQL alone: one statement for all, which a room may make part of its own."""
_INSERT_ALL = Sql(INSERT_ALL)
# A plan is made once and kept, maybe when nothing is known about the table yet: so each statement on events that wait can
# use one index alone. `_PENDING` is what the index by `due_at` asks for; subjects and keys have their own.
_PENDING = "status = 'pending' and due_at > 0"
_OF_SOURCE = "source || '' = :source"  # without being taken for the key, which begins with the source
_ANY_DUE = Sql(
    f"select 1 as one from inbox where {_PENDING} and due_at <= :now"
    " and (claimed_until is null or claimed_until <= :now) limit 1"
)
_ANY_CLAIMED = Sql(f"select 1 as one from inbox where {_PENDING} and claimed_until > :now limit 1")
_STATUS = Sql("select id, status from inbox where source = :source and id = :id")
_COUNT_PENDING = Sql(f"select count(*) as number from inbox where {_PENDING} and {_OF_SOURCE}")
_SUBJECTS = Sql(
    f"select subject from inbox waiting where {_PENDING} and due_at <= :now"
    " and (claimed_until is null or claimed_until <= :now)"
    " and coalesce((select max(taken.claimed_until) from inbox taken"
    " where taken.subject = waiting.subject and taken.status = 'pending'), 0) <= :now"
    " order by due_at limit :most"
)
_CLAIM = Sql(
    "update inbox set claim = :claim, claimed_until = :until from ("
    "select source as of_source, id as of_id from inbox where subject = :subject and status = 'pending'"
    " and (claimed_until is null or claimed_until <= :now)"
    " order by case when due_at <= :now then 0 else 1 end, received_at, id limit :most [[for update skip locked]]) as free"
    f" where source = of_source and id = of_id returning {_FIELDS}"
)
_DONE = Sql(
    "update inbox set status = 'done', done_at = :now, error = :note, failed_at = null, claim = null,"
    " claimed_until = null"
    " where subject = :subject and claim = :claim and status = 'pending' returning id"
)
_RETRY = Sql(
    "update inbox set attempts = :attempts, due_at = :due_at, error = :error, claim = null, claimed_until = null,"
    " failed_at = coalesce(failed_at, :failed_at)"
    " where source = :source and id = :id and claim = :claim and status = 'pending'"
)
_PARK = Sql(
    "update inbox set status = 'parked', attempts = :attempts, error = :error, claim = null, claimed_until = null,"
    " failed_at = coalesce(failed_at, :failed_at)"
    " where source = :source and id = :id and claim = :claim and status = 'pending'"
)
_REPLAY = Sql(
    "update inbox set status = 'pending', attempts = 0, due_at = :now, done_at = null, claim = null,"
    " claimed_until = null"
    " where source = :source and id = :id and status <> 'pending'"
)
_REPLAY_EACH = Sql(f"{_REPLAY.text} returning id")
_REPLAY_PARKED = Sql(
    "update inbox set status = 'pending', attempts = 0, due_at = :now, claim = null, claimed_until = null"
    " where source = :source and subject = :subject and status = 'parked'"
)
_SET_ASIDE = Sql(
    "update inbox set status = 'parked', error = :error, failed_at = :now where source = :source and id = :id"
    " and status = 'pending' and attempts = 0 and claim is null"
)
_REVIVE = Sql(
    "update inbox set status = 'pending', due_at = :now where source = :source and id = :id and status = 'parked'"
    " and attempts = 0"
)
_READ = Sql(f"select {_FIELDS} from inbox where source = :source and id = :id")
_LIST = {
    status: Sql(
        f"select {_FIELDS} from inbox where {_OF_SOURCE} and status = '{status}' and received_at < :before"
        " order by received_at desc, id desc limit :most"
    )
    for status in ("pending", "done", "parked")
}


class Event(msgspec.Struct, frozen=True):
    """One row of the inbox. `status` is pending, done or parked; times are ms since 1970."""

    source: str
    id: str
    type: str
    subject: str
    payload: str
    received_at: int
    status: str
    attempts: int
    due_at: int
    done_at: int | None = None
    error: str | None = None
    failed_at: int | None = None


def pause_ms(attempts: int) -> int:
    """How long to wait after so many failures: 5 s, doubled each time, at most an hour."""
    return int(min(FIRST_PAUSE_MS * 2 ** max(0, attempts - 1), LONGEST_PAUSE_MS))


async def receive(tx: Tx, source: str, id: str, type: str, subject: str, payload: str, now: int) -> bool:
    """Keep what came, once per (source, id). False when it was there already."""
    kept = await tx.fetch(_INSERT, source=source, id=id, type=type, subject=subject, payload=payload, now=now)
    return bool(kept)


async def receive_all(tx: Tx, source: str, came: Iterable[tuple[str, str, str, str]], now: int) -> set[str]:
    """Keep what came, (id, type, subject, payload) each, once per id; in an order in which no two callers lock each other.
    The ids of those that were not there.
    """
    rows = sorted(came)
    if tx.dialect == "postgresql":
        kept = await tx.fetch(_INSERT_ALL, source=source, now=now, **as_columns(rows))
    else:
        fields = ("id", "type", "subject", "payload")
        given: list[dict[str, Value]] = [
            {"source": source, "now": now, **dict(zip(fields, row, strict=True))} for row in rows
        ]
        kept = await tx.fetch_many(_INSERT, given)
    return {row["id"] for row in kept}


def as_columns(rows: Iterable[tuple[str, str, str, str]]) -> dict[str, str]:
    """The parameters of `INSERT_ALL`, each column as one text: a third less time than row by row.

    None of the texts may hold the character U+001F, which no JSON text does.
    """
    names = ("ids", "types", "subjects", "payloads")
    return {name: "\x1f".join(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


async def any_due(tx: Tx, now: int) -> bool:
    """Whether a claim may find something: a look that takes no lock and no writer's turn."""
    return await tx.fetch_one(_ANY_DUE, now=now) is not None


async def any_claimed(tx: Tx, now: int) -> bool:
    """Whether somebody is at work on an event now."""
    return await tx.fetch_one(_ANY_CLAIMED, now=now) is not None


async def statuses(tx: Tx, source: str, ids: Iterable[str]) -> dict[str, str]:
    """The status of each of these that is kept, by id."""
    rows = await tx.fetch_many(_STATUS, [{"source": source, "id": id} for id in ids])
    return {row["id"]: row["status"] for row in rows}


async def count_pending(tx: Tx, source: str) -> int:
    """How many events are not handled yet, and not set aside."""
    row = await tx.fetch_one(_COUNT_PENDING, source=source)
    return 0 if row is None else int(row["number"])


async def claim(
    tx: Tx, now: int, lease_ms: int, claim_id: str, most: int = 500, subjects: int = MOST_SUBJECTS
) -> list[Event]:
    """Take the pending events of the subjects that have waited longest, oldest first; empty when nothing is due.

    Events of those subjects which wait for a later try come along: looking again answers them too.
    """
    waiting = await tx.fetch(_SUBJECTS, now=now, most=_ROWS_TRIED)
    found = list(dict.fromkeys(row["subject"] for row in waiting))
    for first in range(0, len(found), subjects):  # the next ones, where somebody else is just taking these
        chosen = found[first : first + subjects]
        taking: dict[str, Value] = {
            "claim": claim_id, "until": now + lease_ms, "now": now, "most": most // len(chosen)
        }  # fmt: skip
        rows = await tx.fetch_many(_CLAIM, [taking | {"subject": subject} for subject in chosen])
        if rows:
            return sorted(map(_event, rows), key=lambda event: (event.received_at, event.id))
    return []


async def done(tx: Tx, taken: Iterable[tuple[Event, str]], now: int, note: str | None = None) -> set[str]:
    """Whatever the claims, (event, claim id) each, took of the events' subjects is handled; `note` says so where there was
    nothing to do. The ids of those that were still held."""
    places = sorted({(event.subject, claim_id) for event, claim_id in taken})
    rows = await tx.fetch_many(
        _DONE, [{"subject": subject, "claim": claim_id, "now": now, "note": note} for subject, claim_id in places]
    )
    return {row["id"] for row in rows}


async def retry(
    tx: Tx, event: Event, claim_id: str, *, attempts: int, due_at: int, error: str, failed_at: int | None = None
) -> bool:
    """Give it back, to be tried again at `due_at`; it counts as failed from `failed_at` on. False when the claim was lost."""
    kept = await tx.execute(
        _RETRY,
        source=event.source,
        id=event.id,
        claim=claim_id,
        attempts=attempts,
        due_at=due_at,
        error=error[:LONGEST_ERROR],
        failed_at=failed_at,
    )
    return kept > 0


async def park(tx: Tx, event: Event, claim_id: str, *, attempts: int, error: str, failed_at: int | None = None) -> bool:
    """Set it aside for staff, with the reason, failed from `failed_at` on. False when the claim was lost."""
    parked = await tx.execute(
        _PARK,
        source=event.source,
        id=event.id,
        claim=claim_id,
        attempts=attempts,
        error=error[:LONGEST_ERROR],
        failed_at=failed_at,
    )
    return parked > 0


async def replay(tx: Tx, source: str, id: str, now: int) -> bool:
    """Let a parked or finished event be handled again. False when there is none, or it is pending anyway."""
    return await tx.execute(_REPLAY, source=source, id=id, now=now) > 0


async def replay_all(tx: Tx, source: str, ids: Iterable[str], now: int) -> int:
    """As `replay`, for each of these. How many."""
    return len(await tx.fetch_many(_REPLAY_EACH, [{"source": source, "id": id, "now": now} for id in sorted(ids)]))


async def replay_parked(tx: Tx, source: str, subject: str, now: int) -> int:
    """Let every parked event of this subject be handled again. How many."""
    return await tx.execute(_REPLAY_PARKED, source=source, subject=subject, now=now)


async def set_aside(tx: Tx, source: str, id: str, now: int, error: str) -> bool:
    """Let an event that nobody has tried yet wait for staff, because of how it came. False when somebody has it."""
    return await tx.execute(_SET_ASIDE, source=source, id=id, now=now, error=error[:LONGEST_ERROR]) > 0


async def revive_all(tx: Tx, source: str, ids: Iterable[str], now: int) -> None:
    """Those of these events that were set aside have come again as they should: handle them."""
    await tx.execute_many(_REVIVE, [{"source": source, "id": id, "now": now} for id in sorted(ids)])


async def read(tx: Tx, source: str, id: str) -> Event | None:
    """One event, or None."""
    row = await tx.fetch_one(_READ, source=source, id=id)
    return _event(row) if row is not None else None


async def list_events(tx: Tx, source: str, status: str, before: int | None = None, most: int = 100) -> list[Event]:
    """The newest first, those received before `before` (ms)."""
    rows = await tx.fetch(_LIST[status], source=source, before=before or 1 << 60, most=most)
    return [_event(row) for row in rows]


def _event(row: Row) -> Event:
    return Event(
        row["source"], row["id"], row["type"], row["subject"], row["payload"], row["received_at"], row["status"],
        row["attempts"], row["due_at"], row["done_at"], row["error"], row["failed_at"],
    )  # fmt: skip
