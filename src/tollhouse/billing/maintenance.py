"""Maintenance (row U11): nobody begins a new subscription or purchase; everything else goes on. It ends by itself.

It is a row with its end in it, compared with the database's time by whoever is asked to sell: so it holds for every
process and host at once, ends on all of them in the same moment, and no process has to run for that. Decisions never ask.

What staff switch on takes the place of what staff had switched on before. A roll-back's own stands beside it, so that
undoing the roll-back ends that one alone.
"""

import msgspec
import structlog

from tollhouse.identity.emails import plain_text
from tollhouse.kernel.clock import DAY, HOUR, MINUTE, rfc3339
from tollhouse.kernel.durations import parse_duration
from tollhouse.kernel.errors import InvalidRequest, Unavailable
from tollhouse.kernel.ids import new_id
from tollhouse.store import Row, Sql, Store, Tx

USUAL_MS = HOUR
SHORTEST_MS = MINUTE
LONGEST_MS = 30 * DAY
LONGEST_REASON = 500

log = structlog.get_logger(__name__)

_FIELDS = "id, reason, by_whom, started_at, ends_at, ended_at, ended_by, rollback"
# One that is there has begun, whatever the clock of this process says: it may be behind that of who switched it on.
_ON = "ended_at is null and ends_at > :now"
_INSERT = Sql(
    "insert into maintenance (id, reason, by_whom, started_at, ends_at, rollback)"
    " values (:id, :reason, :by_whom, :now, :ends_at, :rollback) on conflict do nothing"
)
_REPLACE = Sql(f"update maintenance set ended_at = :now, ended_by = :by_whom where {_ON} and rollback is null")
_END = Sql(f"update maintenance set ended_at = :now, ended_by = :by_whom where {_ON}")
_END_OF_ROLLBACK = Sql(f"{_END.text} and rollback = :rollback")
_CURRENT = Sql(f"select {_FIELDS} from maintenance where {_ON} order by ends_at desc, id desc limit 1")
_OF_ROLLBACK = Sql(f"select {_FIELDS} from maintenance where rollback = :rollback")
_HISTORY = Sql(f"select {_FIELDS} from maintenance order by started_at desc, id desc limit :most")


class Maintenance(msgspec.Struct, frozen=True):
    """One time of maintenance. `ended_at`: when somebody ended it before its time. `rollback`: which switched it on. Times
    in ms."""

    id: str
    reason: str
    by_whom: str
    started_at: int
    ends_at: int
    ended_at: int | None
    ended_by: str | None
    rollback: str | None

    @property
    def over_at(self) -> int:
        """When it ended, or will."""
        return self.ends_at if self.ended_at is None else self.ended_at


class MaintenanceTime(msgspec.Struct, frozen=True):
    """One time of maintenance as it is told to machines, times in RFC 3339. `ended_at`: before its end, by `ended_by`."""

    id: str
    reason: str
    by: str
    started_at: str
    ends_at: str
    ended_at: str | None
    ended_by: str | None
    rollback: str | None


class MaintenanceState(msgspec.Struct, frozen=True):
    """Whether new subscriptions are paused now, and what was before, the newest first."""

    on: bool
    current: MaintenanceTime | None
    history: list[MaintenanceTime]


def lasting(text: str) -> int:
    """Milliseconds of a time such as `1h`. Raises InvalidRequest naming what is allowed."""
    try:
        lasts_ms = parse_duration(text)
    except ValueError as error:
        raise InvalidRequest(str(error), code="invalid_duration", fix="write 1h, 30m or 2d") from None
    if not SHORTEST_MS <= lasts_ms <= LONGEST_MS:
        raise InvalidRequest(
            f"maintenance cannot last {text.strip()}", code="invalid_duration", fix="write a time from 1m to 30d"
        )
    return lasts_ms


def reason_given(text: str) -> str:
    """The reason, trimmed. Raises InvalidRequest when it is missing, too long or not printable."""
    why = plain_text(text, "the reason", LONGEST_REASON)
    if not why:
        raise InvalidRequest("the reason is missing", code="reason_missing", fix="say in a few words why")
    return why


async def switch_on(
    tx: Tx, *, by_whom: str, reason: str, lasts_ms: int, now: int, rollback: str | None = None
) -> Maintenance:
    """Pause new subscriptions from now on. Again for the same roll-back it is the one that it switched on before.

    Raises InvalidRequest for a reason that is missing or too long.
    """
    why = reason_given(reason)
    if rollback is None:
        await tx.execute(_REPLACE, by_whom=by_whom, now=now)
    new = Maintenance(new_id("mnt"), why, by_whom, now, now + lasts_ms, None, None, rollback)
    made = await tx.execute(
        _INSERT, id=new.id, reason=why, by_whom=by_whom, now=now, ends_at=new.ends_at, rollback=rollback
    )
    if made:
        log.warning("maintenance.on", id=new.id, by=by_whom, reason=why, until=rfc3339(new.ends_at))
        return new
    row = await tx.fetch_one(_OF_ROLLBACK, rollback=rollback)
    return new if row is None else _maintenance(row)


async def switch_off(tx: Tx, *, by_whom: str, now: int, rollback: str | None = None) -> int:
    """Sell again from now on. `rollback`: end what that one switched on, and nothing else. How many were ended."""
    if rollback is None:
        ended = await tx.execute(_END, by_whom=by_whom, now=now)
    else:
        ended = await tx.execute(_END_OF_ROLLBACK, by_whom=by_whom, now=now, rollback=rollback)
    if ended:
        log.warning("maintenance.off", by=by_whom)
    return ended


async def current(tx: Tx, now: int) -> Maintenance | None:
    """The one that is on now; of several that which ends last."""
    row = await tx.fetch_one(_CURRENT, now=now)
    return None if row is None else _maintenance(row)


async def paused_until(tx: Tx, now: int) -> int | None:
    """When new subscriptions begin again (ms); None when they are not paused."""
    found = await current(tx, now)
    return None if found is None else found.ends_at


async def history(tx: Tx, most: int = 50) -> list[Maintenance]:
    """The newest first."""
    return [_maintenance(row) for row in await tx.fetch(_HISTORY, most=most)]


async def read_state(tx: Tx, now: int) -> MaintenanceState:
    """All of it, for machines."""
    found = await current(tx, now)
    now_on = None if found is None else told(found)
    return MaintenanceState(found is not None, now_on, [told(one) for one in await history(tx)])


def told(one: Maintenance) -> MaintenanceTime:
    """It, for machines."""
    ended = None if one.ended_at is None else rfc3339(one.ended_at)
    return MaintenanceTime(
        one.id,
        one.reason,
        one.by_whom,
        rfc3339(one.started_at),
        rfc3339(one.ends_at),
        ended,
        one.ended_by,
        one.rollback,
    )


async def require_selling(store: Store) -> None:
    """Raises Unavailable `maintenance` with `retry_after` (s) and `ends_at` while nothing new may be begun."""
    now = store.clock.now_ms()
    async with store.reading() as tx:
        until = await paused_until(tx, now)
    if until is not None:
        raise Unavailable(
            f"new subscriptions are paused until {rfc3339(until)}", code="maintenance", retry_after=-(-(until - now) // 1000),
            ends_at=rfc3339(until), fix="try again then; everything else works",
        )  # fmt: skip


def _maintenance(row: Row) -> Maintenance:
    return Maintenance(
        row["id"], row["reason"], row["by_whom"], row["started_at"], row["ends_at"], row["ended_at"], row["ended_by"],
        row["rollback"],
    )  # fmt: skip
