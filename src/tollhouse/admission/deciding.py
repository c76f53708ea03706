"""One admission, decided: pure, no I/O. Used by the lanes, one by one, and by `check`."""

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from tollhouse.admission.model import Answer, Ask, LeaseView, RateLimit
from tollhouse.catalog.model import Catalog, Meter
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.ids import entry_id
from tollhouse.ledger.book import encode, plan_of, time_of
from tollhouse.ledger.model import Entry, Shortage, State
from tollhouse.ledger.rules import comes_back_at, slide, standing_shortage, sums, take
from tollhouse.ledger.turning import advance
from tollhouse.ledger.views import Amount, MeterView, meter_view, reason_of

PREFIX = {"admit": "adm", "hold": "hld"}
_REPLAYED = (b'"replayed":false', b'"replayed":true')


class LeaseRow(msgspec.Struct, frozen=True):
    """A slot to be written beside its admission."""

    slots: dict[str, int]
    ttl_ms: int


class Decision(msgspec.Struct, frozen=True):
    """What came of one ask: the state after it, entries to write (the last is the admission's), the answer's JSON."""

    state: State
    entries: tuple[Entry, ...]
    answer: bytes
    shortage: Shortage | None = None
    lease: LeaseRow | None = None
    limit: RateLimit | None = None  # where the action costs a rate meter


def decide(state: State, catalog: Catalog, ask: Ask, now: int) -> Decision:
    """May this customer do this now? Then debit it. Raises Unavailable when clocks disagree (rule 6)."""
    at = time_of(state, now)
    turned: list[Entry] = []
    if state.next_due is not None and state.next_due <= at:
        state, turned = advance(state, catalog, at)
    plan = plan_of(catalog, state)
    meters = catalog.meters
    result = standing_shortage(state) or take(state, plan, meters, ask.cost, at)
    if isinstance(result, Shortage):
        views = {name: meter_view(state, plan, meters[name], at) for name in ask.cost if plan.allows(meters[name])}
        refusal = Answer(False, None, False, reason=reason_of(result, catalog, plan), meters=views)
        limit = rate_limit(state, views, ask.cost, meters, at)
        return Decision(state, tuple(turned), encode(refusal), result, None, limit)
    after = result.state
    remaining, used = sums(after)
    kind = "admission" if ask.operation == "admit" else "hold"
    entry = Entry(after.seq, kind, ask.action, at, result.moves, remaining, used, None, ask.metadata)  # type: ignore[arg-type]
    lease = lease_of(ask, meters)
    views = {name: meter_view(after, plan, meters[name], at) for name in ask.cost}
    answer = Answer(
        True,
        entry_id(PREFIX[ask.operation], ask.customer, after.seq),
        False,
        ask.debits,
        None,
        views,
        None if lease is None else LeaseView(rfc3339(at + lease.ttl_ms), heartbeat_seconds(lease.ttl_ms)),
        None if ask.terms is None else rfc3339(at + ask.terms.ttl_ms),
    )
    limit = rate_limit(after, views, ask.cost, meters, at)
    return Decision(after, (*turned, entry) if turned else (entry,), encode(answer), None, lease, limit)


def rate_limit(
    state: State, views: Mapping[str, MeterView], cost: Mapping[str, int], meters: Mapping[str, Meter], at: int
) -> RateLimit | None:
    """What is left of the first rate meter in the cost; None where there is none, or it is unlimited."""
    for name in cost:
        meter = meters[name]
        if meter.kind == "rate" and name in views:
            view = views[name]
            if view.remaining is None or view.total is None:
                return None
            back_at = comes_back_at(slide(state.windows.get(name), meter, at), meter)
            seconds = 0 if back_at is None else max(1, -(-(back_at - at) // 1000))
            return RateLimit(
                f'"{name}";r={int(view.remaining)};t={seconds}', _policy(name, view.total, meter.window_ms)
            )
    return None


@lru_cache(maxsize=1_024)
def _policy(name: str, quota: Amount, window_ms: int) -> str:
    return f'"{name}";q={int(quota)};w={max(1, window_ms // 1000)}'


def lease_of(ask: Ask, meters: dict[str, Meter]) -> LeaseRow | None:
    """The slot that an admission holds; a hold keeps its slots itself until it ends."""
    if ask.operation == "hold":
        return None
    slots = {name: amount for name, amount in ask.cost.items() if meters[name].kind == "lease"}
    return LeaseRow(slots, min(meters[name].ttl_ms for name in slots)) if slots else None


def heartbeat_seconds(ttl_ms: int) -> int:
    """Three heartbeats fit into the time to live, so that one may be lost."""
    return max(1, ttl_ms // 3000)


def replayed(answer: bytes) -> bytes:
    """The first answer again, told to be so; nothing else differs (rule 12)."""
    return answer.replace(*_REPLAYED, 1)
