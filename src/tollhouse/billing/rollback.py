"""Roll-backs of Stripe as they are kept (row U10): one row each, and one for each of its steps, with what undoing needs.

At most one is open: from its first step until it is undone. Which way it goes is decided by its row alone, so that whoever
finds it, after any kill, goes on in the same direction.
"""

from typing import Literal

import msgspec

from tollhouse.billing.pausing import Proof, ProofTold, at, tell_proof
from tollhouse.kernel.clock import HOUR, rfc3339
from tollhouse.kernel.ids import new_id
from tollhouse.store import Row, Sql, Tx

ENDPOINTS, MAINTENANCE, BACKUP, LETTERS, EVENTS = "endpoints", "maintenance", "backup", "letters", "events"
FORWARD = (ENDPOINTS, MAINTENANCE, BACKUP, LETTERS)
"""In the runbook's order. The events are fetched when it is undone."""

_FIELDS = "id, options, by_whom, started_at, finished_at, undo_at, undo_by, undone_at, error"
_BEGIN = Sql(
    "insert into stripe_rollback (id, open, options, by_whom, started_at) values (:id, 1, :options, :by_whom, :now)"
    " on conflict do nothing"
)
_CHOOSE = Sql(
    "update stripe_rollback set options = :options where open = 1 and undo_at is null and finished_at is null"
)
_OPEN = Sql(f"select {_FIELDS} from stripe_rollback where open = 1")
_READ = Sql(f"select {_FIELDS} from stripe_rollback where id = :id")
_HISTORY = Sql(f"select {_FIELDS} from stripe_rollback order by started_at desc, id desc limit :most")
_IS_FORWARD = Sql("select 1 as one from stripe_rollback where id = :id and undo_at is null [[for update]]")
_FINISH = Sql(
    "update stripe_rollback set finished_at = :now, error = null"
    " where id = :id and undo_at is null and finished_at is null"
)
_TURN = Sql(
    "update stripe_rollback set undo_at = :now, undo_by = :by_whom where id = :id and open = 1 and undo_at is null"
)
_UNDONE = Sql("update stripe_rollback set undone_at = :now, open = null, error = null where id = :id and open = 1")
_STOPPED = Sql("update stripe_rollback set error = :error where id = :id and open = 1")
_STEP = "rollback, name, record, fetched, begun_at, done_at, undone_at"
_BEGIN_STEP = Sql(
    "insert into stripe_rollback_step (rollback, name, record, fetched, begun_at)"
    " values (:rollback, :name, :record, 0, :now) on conflict do nothing"
)
_STEPS = Sql(f"select {_STEP} from stripe_rollback_step where rollback = :rollback order by begun_at, name")
_WRITE_STEP = Sql("update stripe_rollback_step set record = :record where rollback = :rollback and name = :name")
_STEP_DONE = Sql(
    "update stripe_rollback_step set done_at = coalesce(done_at, :now) where rollback = :rollback and name = :name"
)
_STEP_UNDONE = Sql(
    "update stripe_rollback_step set undone_at = coalesce(undone_at, :now) where rollback = :rollback and name = :name"
)
_FETCHED = Sql(
    "update stripe_rollback_step set fetched = fetched + :number where rollback = :rollback and name = :name"
)


class Options(msgspec.Struct, frozen=True):
    """What is to be done, by the runbook's defaults."""

    endpoints: bool = True
    maintenance: bool = True
    backup: bool = True
    tell_users: bool = False
    lasts_ms: int = HOUR

    def wants(self, step: str) -> bool:
        """Whether this step belongs to it."""
        chosen = {
            ENDPOINTS: self.endpoints, MAINTENANCE: self.maintenance, BACKUP: self.backup, LETTERS: self.tell_users,
            EVENTS: self.endpoints,
        }  # fmt: skip
        return chosen[step]


class Endpoint(msgspec.Struct, frozen=True):
    """A webhook endpoint that this roll-back disables. `found`: what was found of it when it was undone."""

    id: str
    url: str
    found: Literal["", "enabled", "gone", "left"] = ""


class Record(msgspec.Struct, frozen=True):
    """What a step has done, as far as it goes: each uses its own fields."""

    endpoints: tuple[Endpoint, ...] = ()
    maintenance: str = ""
    file: str = ""
    after: str = ""  # the last user who was written to
    letters: int = 0
    proof: Proof | None = None


class Step(msgspec.Struct, frozen=True):
    """One step. Times in ms."""

    name: str
    record: Record
    fetched: int
    begun_at: int
    done_at: int | None
    undone_at: int | None


class Rollback(msgspec.Struct, frozen=True):
    """One roll-back. It goes forward until `undo_at`, then back. Times in ms."""

    id: str
    options: Options
    by_whom: str
    started_at: int
    finished_at: int | None
    undo_at: int | None
    undo_by: str | None
    undone_at: int | None
    error: str | None
    steps: dict[str, Step] = {}

    @property
    def state(self) -> Literal["rolling_back", "rolled_back", "undoing", "undone"]:
        """Where it stands."""
        if self.undone_at is not None:
            return "undone"
        if self.undo_at is not None:
            return "undoing"
        return "rolling_back" if self.finished_at is None else "rolled_back"


async def begin(tx: Tx, options: Options, *, by_whom: str, now: int) -> Rollback:
    """A new one, or the one that is open: for what is left of it the options of the last call count."""
    written = msgspec.json.encode(options).decode()
    identifier = new_id("rbk")
    if await tx.execute(_BEGIN, id=identifier, options=written, by_whom=by_whom, now=now):
        return await read(tx, identifier)
    await tx.execute(_CHOOSE, options=written)
    found = await open_rollback(tx)
    return found if found is not None else await begin(tx, options, by_whom=by_whom, now=now)


async def open_rollback(tx: Tx) -> Rollback | None:
    """The one that has been begun and not been undone, with its steps."""
    row = await tx.fetch_one(_OPEN)
    return None if row is None else await _whole(tx, row)


async def read(tx: Tx, identifier: str) -> Rollback:
    """One that is known to be there, with its steps."""
    return await _whole(tx, (await tx.fetch(_READ, id=identifier))[0])


async def rollbacks(tx: Tx, most: int = 20) -> list[Rollback]:
    """The newest first, with their steps."""
    return [await _whole(tx, row) for row in await tx.fetch(_HISTORY, most=most)]


async def goes_forward(tx: Tx, identifier: str) -> bool:
    """Whether nobody has begun to undo it; nobody does while this transaction lasts."""
    return await tx.fetch_one(_IS_FORWARD, id=identifier) is not None


async def finish(tx: Tx, identifier: str, now: int) -> None:
    """Every step is done."""
    await tx.execute(_FINISH, id=identifier, now=now)


async def turn_round(tx: Tx, identifier: str, *, by_whom: str, now: int) -> None:
    """From now on it is undone."""
    await tx.execute(_TURN, id=identifier, by_whom=by_whom, now=now)


async def close(tx: Tx, identifier: str, now: int) -> None:
    """It is undone."""
    await tx.execute(_UNDONE, id=identifier, now=now)


async def stopped(tx: Tx, identifier: str, error: str) -> None:
    """A run of it ended with an error: why."""
    await tx.execute(_STOPPED, id=identifier, error=error[:2_000])


async def begin_step(tx: Tx, identifier: str, name: str, record: Record, now: int) -> Step:
    """The step with what it is going to do; of an earlier run it is as that one wrote it."""
    written = msgspec.json.encode(record).decode()
    await tx.execute(_BEGIN_STEP, rollback=identifier, name=name, record=written, now=now)
    return (await read(tx, identifier)).steps[name]


async def write_step(tx: Tx, identifier: str, name: str, record: Record) -> None:
    """How far it is."""
    await tx.execute(_WRITE_STEP, rollback=identifier, name=name, record=msgspec.json.encode(record).decode())


async def step_done(tx: Tx, identifier: str, name: str, now: int) -> None:
    """It has been done."""
    await tx.execute(_STEP_DONE, rollback=identifier, name=name, now=now)


async def step_undone(tx: Tx, identifier: str, name: str, now: int) -> None:
    """It has been undone."""
    await tx.execute(_STEP_UNDONE, rollback=identifier, name=name, now=now)


async def count_fetched(tx: Tx, identifier: str, number: int) -> None:
    """So many more events that had not arrived have been stored, in this transaction."""
    await tx.execute(_FETCHED, rollback=identifier, name=EVENTS, number=number)


async def _whole(tx: Tx, row: Row) -> Rollback:
    steps = {}
    for each in await tx.fetch(_STEPS, rollback=row["id"]):
        record = msgspec.json.decode(each["record"], type=Record)
        steps[each["name"]] = Step(
            each["name"], record, each["fetched"], each["begun_at"], each["done_at"], each["undone_at"]
        )
    return Rollback(
        row["id"], msgspec.json.decode(row["options"], type=Options), row["by_whom"], row["started_at"],
        row["finished_at"], row["undo_at"], row["undo_by"], row["undone_at"], row["error"], steps,
    )  # fmt: skip


class StepTold(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step as it is told to machines, times in RFC 3339."""

    step: str
    begun_at: str
    done_at: str | None
    undone_at: str | None
    endpoints: tuple[Endpoint, ...] = ()
    maintenance: str = ""
    file: str = ""
    letters: int = 0
    events: ProofTold | None = None


class RollbackTold(msgspec.Struct, frozen=True):
    """A roll-back as it is told to machines, times in RFC 3339."""

    id: str
    state: str
    by: str
    started_at: str
    finished_at: str | None
    undo_by: str | None
    undone_at: str | None
    error: str | None
    steps: list[StepTold]


def describe(found: Rollback) -> RollbackTold:
    """It, for machines."""
    steps = [
        StepTold(
            step.name, rfc3339(step.begun_at), at(step.done_at), at(step.undone_at), step.record.endpoints,
            step.record.maintenance, step.record.file, step.record.letters,
            None if step.record.proof is None else tell_proof(step.record.proof, step.fetched),
        )
        for step in found.steps.values()
    ]  # fmt: skip
    return RollbackTold(
        found.id, found.state, found.by_whom, rfc3339(found.started_at), at(found.finished_at), found.undo_by,
        at(found.undone_at), found.error, steps,
    )  # fmt: skip
