"""Endpoints: add, list, rotate, disable, enable, remove; deliveries: list, replay, test. One function per use case."""

import msgspec

from tollhouse.alerts.hooks import queries
from tollhouse.alerts.hooks.addresses import Reach, checked_url
from tollhouse.alerts.hooks.events import EVENTS, TEST_EVENT, body_of
from tollhouse.alerts.hooks.model import KEPT_MS, MOST_ENDPOINTS, STATUSES, Attempt, Delivery, Endpoint
from tollhouse.alerts.hooks.vault import Vault
from tollhouse.alerts.signing import new_secret
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.errors import Conflict, InvalidRequest, NotFound
from tollhouse.kernel.ids import is_id, new_id
from tollhouse.store import Row, Tx, Value

LONGEST_DESCRIPTION = 200
LONGEST_OVERLAP_MS = 7 * DAY
USUAL_OVERLAP_MS = DAY
FORGET_AT_ONCE = 5_000

_decode_events = msgspec.json.Decoder(tuple[str, ...]).decode


class Added(msgspec.Struct, frozen=True):
    """An endpoint with a new secret, which is shown this once."""

    endpoint: Endpoint
    secret: str

    def __repr__(self) -> str:
        return f"Added(endpoint={self.endpoint!r})"


class Enabled(msgspec.Struct, frozen=True):
    """An endpoint that is sent to again; how many deliveries were not sent meanwhile, and when the oldest of them was made."""

    endpoint: Endpoint
    missed: int
    missed_since: int | None


async def add_endpoint(
    tx: Tx, vault: Vault, reach: Reach, url: str, *, events: tuple[str, ...], description: str, by_whom: str, now: int
) -> Added:
    """A new endpoint; no events means all. Raises InvalidRequest, Conflict at 32 endpoints or for one that is there."""
    address = checked_url(url.strip(), reach)
    chosen = checked_events(events)
    text = description.strip()
    if len(text) > LONGEST_DESCRIPTION or not text.isprintable():
        raise InvalidRequest(
            "the description is too long or not printable", code="invalid_hook",
            fix=f"write at most {LONGEST_DESCRIPTION} printable characters",
        )  # fmt: skip
    known = await list_endpoints(tx)
    if len(known) >= MOST_ENDPOINTS:
        raise Conflict(
            f"there are {MOST_ENDPOINTS} endpoints already", code="too_many_hooks", fix="remove one that is not needed"
        )
    if twin := next((endpoint for endpoint in known if endpoint.url == address), None):
        raise Conflict(
            f"{twin.id} has this address already",
            code="hook_exists",
            fix=f"rotate or enable {twin.id}, or remove it first",
        )
    identifier, secret = new_id("hke"), new_secret()
    await tx.execute(
        queries.INSERT_ENDPOINT, id=identifier, url=address, description=text, events=msgspec.json.encode(chosen).decode(),
        secret=vault.seal(identifier, secret), now=now, by_whom=by_whom,
    )  # fmt: skip
    return Added(await read_endpoint(tx, identifier), secret)


def checked_events(events: tuple[str, ...]) -> tuple[str, ...]:
    """The filter, each event once. Raises InvalidRequest naming those that there are."""
    chosen = tuple(dict.fromkeys(events))
    unknown = [name for name in chosen if name not in EVENTS]
    if unknown:
        raise InvalidRequest(
            f"there is no event {unknown[0][:60]!r}", code="unknown_event", fix=f"name some of: {', '.join(EVENTS)}"
        )
    return chosen


async def list_endpoints(tx: Tx, *, lock: bool = False) -> list[Endpoint]:
    """Every endpoint, the oldest first; with `lock` none of them is disabled or removed before the transaction ends."""
    return [_endpoint(row) for row in await tx.fetch(queries.LOCK_ENDPOINTS if lock else queries.ENDPOINTS)]


async def read_endpoint(tx: Tx, endpoint: str, *, lock: bool = False) -> Endpoint:
    """By its id (`hke_…`). Raises NotFound."""
    row = None
    if is_id(endpoint, "hke"):
        row = await tx.fetch_one(queries.LOCK_ENDPOINT if lock else queries.ENDPOINT, id=endpoint)
    if row is None:
        raise NotFound(
            f"there is no endpoint {endpoint[:60]!r}",
            code="hook_not_found",
            fix="list them with `tollhouse hooks list`",
        )
    return _endpoint(row)


async def rotate_secret(
    tx: Tx, vault: Vault, endpoint: str, *, overlap_ms: int, now: int, secret_at: int | None = None
) -> Added:
    """Another secret. Until the overlap is over both sign; the one before the last signs no more.

    `secret_at`: rotate only the secret made then, so that a form sent twice rotates once. Raises NotFound, Conflict.
    """
    if not 0 <= overlap_ms <= LONGEST_OVERLAP_MS:
        raise InvalidRequest(
            "the overlap is longer than 7 days", code="invalid_hook", fix="write 0s to 7d, such as 24h"
        )
    found = await read_endpoint(tx, endpoint, lock=True)
    if secret_at not in (None, found.secret_at):
        raise Conflict(
            f"the secret of {found.id} was changed meanwhile", code="hook_rotated",
            fix="load the page again to change it once more",
        )  # fmt: skip
    secret, until = new_secret(), now + overlap_ms if overlap_ms else None
    await tx.execute(queries.ROTATE, id=found.id, secret=vault.seal(found.id, secret), until=until, now=now)
    return Added(await read_endpoint(tx, endpoint), secret)


async def disable_endpoint(tx: Tx, endpoint: str, why: str, now: int) -> Endpoint:
    """Send nothing more: what waits, and what happens meanwhile, is kept as failed. Again it changes nothing."""
    found = await read_endpoint(tx, endpoint, lock=True)
    if await tx.execute(queries.DISABLE, id=found.id, why=why[:500], now=now):
        await tx.execute(queries.FAIL_WAITING, endpoint=found.id, error=why[:500], now=now)
    return await read_endpoint(tx, endpoint)


async def enable_endpoint(tx: Tx, endpoint: str) -> Enabled:
    """Send again from now on; what was not sent while it was disabled waits for a replay."""
    found = await read_endpoint(tx, endpoint, lock=True)
    if found.disabled_at is None:
        return Enabled(found, 0, None)
    await tx.execute(queries.ENABLE, id=found.id)
    row = await tx.fetch_one(queries.COUNT_FAILED, endpoint=found.id, since=found.disabled_at)
    failed, oldest = (row["failed"], row["oldest"]) if row is not None else (0, None)
    return Enabled(await read_endpoint(tx, endpoint), failed, oldest)


async def remove_endpoint(tx: Tx, endpoint: str) -> Endpoint:
    """The endpoint goes with its secret, its deliveries and attempts. Raises NotFound."""
    found = await read_endpoint(tx, endpoint, lock=True)
    for statement in (queries.REMOVE_ATTEMPTS, queries.REMOVE_DELIVERIES, queries.REMOVE_ENDPOINT):
        await tx.execute(statement, id=found.id)
    return found


async def list_deliveries(
    tx: Tx, endpoint: str, *, status: str | None = None, before: tuple[int, str] | None = None, most: int = 100
) -> list[Delivery]:
    """An endpoint's deliveries, the newest first. Raises NotFound, InvalidRequest for a status that there is not."""
    found = await read_endpoint(tx, endpoint)
    at, event = before or (1 << 60, "")
    place: dict[str, Value] = {"endpoint": found.id, "at": at, "event": event, "most": most}
    if status is None:
        return [_delivery(row) for row in await tx.fetch(queries.DELIVERIES, **place)]
    if status not in STATUSES:
        raise InvalidRequest(
            f"there is no status {status[:20]!r}", code="unknown_status", fix=f"name one of: {', '.join(STATUSES)}"
        )
    return [_delivery(row) for row in await tx.fetch(queries.DELIVERIES_OF_STATUS, **place, status=status)]


async def read_delivery(tx: Tx, endpoint: str, event: str) -> tuple[Delivery, str, list[Attempt]]:
    """One delivery, the body that is sent, and its attempts, the newest first. Raises NotFound."""
    found = await read_endpoint(tx, endpoint)
    known = is_id(event, "evt")
    row = await tx.fetch_one(queries.DELIVERY, endpoint=found.id, event=event) if known else None
    told = await tx.fetch_one(queries.EVENT, id=event) if known else None
    if row is None or told is None:
        raise _no_delivery(endpoint, event)
    attempts = await tx.fetch(queries.ATTEMPTS, endpoint=found.id, event=event, most=50)
    return _delivery(row), told["payload"], [_attempt(attempt) for attempt in attempts]


async def counts_of(tx: Tx, endpoint: str, since: int) -> dict[str, int]:
    """Deliveries made since then, by status."""
    rows = await tx.fetch(queries.COUNTS, endpoint=endpoint, since=since)
    return dict.fromkeys(STATUSES, 0) | {row["status"]: row["number"] for row in rows}


async def replay_delivery(tx: Tx, endpoint: str, event: str, now: int) -> None:
    """Send this event again, with the same id. Raises NotFound; Conflict while the endpoint is disabled."""
    found = await _enabled(tx, endpoint)
    if not is_id(event, "evt") or not await tx.execute(queries.REPLAY_ONE, endpoint=found.id, event=event, now=now):
        raise _no_delivery(endpoint, event)


async def replay_failed(tx: Tx, endpoint: str, since: int, now: int) -> int:
    """Send again what happened since then and has failed, given up or not. How many. Raises NotFound; Conflict while the
    endpoint is disabled.
    """
    found = await _enabled(tx, endpoint)
    return await tx.execute(queries.REPLAY_FAILED, endpoint=found.id, since=since, now=now)


async def put_test(tx: Tx, endpoint: str, now: int) -> str:
    """A `hook.test` for this endpoint alone, whatever its filter; its id. Raises NotFound; Conflict while it is disabled."""
    found = await _enabled(tx, endpoint)
    event = new_id("evt")
    body = body_of(TEST_EVENT, {"endpoint": found.id}, now)
    await tx.execute(queries.INSERT_EVENT, id=event, type=TEST_EVENT, customer=None, payload=body, at=now)
    await tx.execute(
        queries.INSERT_DELIVERY, endpoint=found.id, event=event, status="waiting", now=now, done_at=None, error=None
    )
    return event


async def forget_old(tx: Tx, now: int) -> int:
    """Events of more than 30 days ago go, with their deliveries. How many."""
    old = {"before": now - KEPT_MS, "most": FORGET_AT_ONCE}
    await tx.execute(queries.FORGET_ATTEMPTS, **old)
    await tx.execute(queries.FORGET_DELIVERIES, **old)
    return await tx.execute(queries.FORGET_EVENTS, **old)


async def _enabled(tx: Tx, endpoint: str) -> Endpoint:
    found = await read_endpoint(tx, endpoint, lock=True)
    if not found.enabled:
        raise Conflict(
            f"{found.id} is disabled: {found.disabled_why}", code="hook_disabled", fix=f"enable {found.id} first"
        )
    return found


def _no_delivery(endpoint: str, event: str) -> NotFound:
    return NotFound(
        f"there is no delivery of {event[:60]!r} to {endpoint}", code="delivery_not_found",
        fix=f"list them with `tollhouse hooks deliveries {endpoint}`; they are kept for 30 days",
    )  # fmt: skip


def _endpoint(row: Row) -> Endpoint:
    return Endpoint(
        row["id"], row["url"], row["description"], _decode_events(row["events"]), row["created_at"], row["created_by"],
        row["secret_at"], row["disabled_at"], row["disabled_why"], row["failing_since"], row["old_secret_until"],
    )  # fmt: skip


def _delivery(row: Row) -> Delivery:
    return Delivery(
        row["endpoint"], row["event"], row["type"], row["customer"], row["status"], row["attempts"], row["created_at"],
        row["due_at"], row["done_at"], row["answered"], row["error"],
    )  # fmt: skip


def _attempt(row: Row) -> Attempt:
    return Attempt(row["at"], row["took_ms"], row["answered"], row["error"], row["answer"])
