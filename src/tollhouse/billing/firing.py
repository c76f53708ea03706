"""Fire an event at a running instance without a card, and watch what comes of it (row A19).

The sandbox makes the real objects that lead to the event; the events are signed with our own secret and sent to the
instance as Stripe would; then its inbox and the customer's account are watched.
"""

import asyncio

import aiohttp
import msgspec

from tollhouse.billing.linking import ensure_stripe_customer, payer_of
from tollhouse.billing.stripe import StripeGateway, read_event, sign
from tollhouse.billing.syncing import SOURCE
from tollhouse.catalog.model import Catalog
from tollhouse.customers.book import view_customer
from tollhouse.customers.model import CustomerView
from tollhouse.kernel.errors import InvalidRequest, TollhouseError, Unavailable
from tollhouse.store import Store, inbox

POLL_SECONDS = 0.2
TIMEOUT_SECONDS = 10.0


class Target(msgspec.Struct, frozen=True):
    """Where to fire: the sandbox, the instance's address without a path, and the secret that it verifies."""

    sandbox_url: str
    url: str
    secret: str


class Shot(msgspec.Struct, frozen=True):
    """One event: how the instance answered, and what its inbox says (done, pending, parked, or missing)."""

    id: str
    type: str
    http_status: int
    inbox_status: str
    note: str | None = None


class Report(msgspec.Struct, frozen=True):
    """What was fired, and the customer before and after."""

    customer: str
    shots: tuple[Shot, ...]
    before: CustomerView
    after: CustomerView

    @property
    def settled(self) -> bool:
        """Whether the instance has handled every event."""
        return bool(self.shots) and all(shot.inbox_status == "done" for shot in self.shots)


class _Fired(msgspec.Struct, frozen=True):
    ids: list[str]


class _Events(msgspec.Struct, frozen=True):
    data: list[msgspec.Raw]


class _Named(msgspec.Struct, frozen=True):
    id: str


async def fire(
    store: Store, catalog: Catalog, gateway: StripeGateway, target: Target, event: str, customer: str, *,
    lookup_key: str | None, wait_seconds: float,
) -> Report:  # fmt: skip
    """Raises InvalidRequest for an event that the sandbox cannot bring about, Unavailable when one side does not answer."""
    async with store.reading() as tx:
        payer = await payer_of(tx, customer)
        before = await view_customer(tx, catalog, customer, store.clock.now_ms())
    stripe_id = await ensure_stripe_customer(store, gateway, payer)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)) as http:
        order = {"event": event, "customer": stripe_id} | ({"lookup_key": lookup_key} if lookup_key else {})
        fired = msgspec.json.decode(
            await _call(http, "POST", f"{target.sandbox_url}/_sandbox/trigger", order), type=_Fired
        )
        payloads = await _payloads(http, target, fired.ids)
        statuses = {name: await _send(http, target, payload, store) for name, payload in payloads.items()}
    shots = await _watch(store, payloads, statuses, wait_seconds)
    async with store.reading() as tx:
        after = await view_customer(tx, catalog, customer, store.clock.now_ms())
    return Report(customer, shots, before, after)


async def _payloads(http: aiohttp.ClientSession, target: Target, ids: list[str]) -> dict[str, bytes]:
    """The events as the sandbox emitted them, in their order."""
    listed = msgspec.json.decode(await _call(http, "GET", f"{target.sandbox_url}/_sandbox/events", None), type=_Events)
    known = {msgspec.json.decode(raw, type=_Named).id: bytes(raw) for raw in listed.data}
    return {name: known[name] for name in ids if name in known}


async def _send(http: aiohttp.ClientSession, target: Target, payload: bytes, store: Store) -> int:
    header = sign(payload.decode(), target.secret, store.clock.now_ms() // 1000)
    address = f"{target.url.rstrip('/')}/webhooks/stripe"
    headers = {"stripe-signature": header, "content-type": "application/json"}
    try:
        async with http.post(address, data=payload, headers=headers) as answer:
            return answer.status
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(
            f"{address} does not answer: {type(error).__name__}", code="instance_unreachable",
            fix="start it with `tollhouse serve`, or name its address with --url",
        ) from error  # fmt: skip


async def _call(http: aiohttp.ClientSession, method: str, address: str, body: dict[str, str] | None) -> bytes:
    try:
        async with http.request(method, address, json=body) as answer:
            content = await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(
            f"the sandbox at {address} does not answer: {type(error).__name__}", code="sandbox_unreachable",
            setting="STRIPE_API_BASE", fix="start it with `tollhouse-sandbox serve`, or `tollhouse demo`",
        ) from error  # fmt: skip
    if answer.status >= 400:
        raise InvalidRequest(f"the sandbox refused: {content.decode(errors='replace')[:500]}", code="sandbox_refused")
    return content


async def _watch(
    store: Store, payloads: dict[str, bytes], statuses: dict[str, int], wait_seconds: float
) -> tuple[Shot, ...]:
    """Look at the inbox until every event is handled, at most so long."""
    deadline = asyncio.get_running_loop().time() + wait_seconds
    while True:
        shots = []
        async with store.reading() as tx:
            for name, payload in payloads.items():
                row = await inbox.read(tx, SOURCE, name)
                status, note = (row.status, row.error) if row is not None else ("missing", None)
                shots.append(Shot(name, _type_of(payload), statuses[name], status, note))
        if all(shot.inbox_status in ("done", "parked") for shot in shots):
            return tuple(shots)
        if asyncio.get_running_loop().time() >= deadline:
            return tuple(shots)
        await asyncio.sleep(POLL_SECONDS)


def _type_of(payload: bytes) -> str:
    try:
        return read_event(payload).type
    except TollhouseError:
        return "?"
