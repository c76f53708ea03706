"""One admission, decided: pure, no I/O. Used by the lanes, one by one, and by `check`."""

from collections.abc import Iterable, Mapping

import msgspec

from tollhouse.admission.model import Answer, Ask, LeaseView, RateLimit
from tollhouse.catalog.model import Catalog, Meter, PlanVersion
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.ids import entry_id
from tollhouse.ledger.book import encode, plan_of, time_of
from tollhouse.ledger.model import Entry, EntryKind, Shortage, State, Taken
from tollhouse.ledger.rules import standing_shortage, sums, take
from tollhouse.ledger.turning import advance
from tollhouse.ledger.views import MeterView, meter_view, rate_view, reason_of

PREFIX = {"admit": "adm", "hold": "hld"}
_REPLAYED = (b'"replayed":false', b'"replayed":true')


class LeaseRow(msgspec.Struct, frozen=True):
    """A slot to be written beside its admission."""

    slots: dict[str, int]
    ttl_ms: int


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What came of one ask: the state after it, entries to write (the last is the admission's), the answer's JSON."""

    state: State
    entries: tuple[Entry, ...]
    answer: bytes
    shortage: Shortage | None = None
    lease: LeaseRow | None = None
    limit: RateLimit | None = None  # where the action costs a rate meter


def decide(state: State, catalog: Catalog, ask: Ask, now: int) -> Decision:
    """May this customer do this now? Then debit it. Raises Unavailable when clocks disagree (rule 6)."""
    at = now if now >= state.decided_at else time_of(state, now)
    turned: list[Entry] = []
    if state.next_due is not None and state.next_due <= at:
        state, turned = advance(state, catalog, at)
    plan = catalog.versions.get((state.plan, state.plan_version)) or plan_of(catalog, state)
    meters = catalog.meters
    result: Taken | Shortage | None = None if state.standing == "good" else standing_shortage(state)
    if result is None:
        result = take(state, plan, meters, ask.cost, at)
    if isinstance(result, Shortage):
        return _refused(state, catalog, plan, ask, at, result, turned)
    after = result.state
    remaining, used = sums(after)
    kind: EntryKind = "admission" if ask.operation == "admit" else "hold"
    entry = Entry(after.seq, kind, ask.action, at, result.moves, remaining, used, None, ask.metadata)
    lease = None if after.held is state.held else lease_of(ask, meters)
    views, limit = _views(after, plan, meters, ask.cost, at)
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
    return Decision(after, (*turned, entry) if turned else (entry,), encode(answer), None, lease, limit)


def _refused(
    state: State, catalog: Catalog, plan: PlanVersion, ask: Ask, at: int, short: Shortage, turned: list[Entry]
) -> Decision:
    cost = {name: amount for name, amount in ask.cost.items() if plan.allows(catalog.meters[name])}
    views, limit = _views(state, plan, catalog.meters, cost, at)
    refusal = Answer(False, None, False, reason=reason_of(short, catalog, plan), meters=views)
    return Decision(state, tuple(turned), encode(refusal), short, None, limit)


def _views(
    state: State, plan: PlanVersion, meters: Mapping[str, Meter], names: Iterable[str], at: int
) -> tuple[dict[str, MeterView], RateLimit | None]:
    """Each of these meters after the decision; and the first rate among them, unless it is unlimited."""
    views: dict[str, MeterView] = {}
    limit: RateLimit | None = None
    rates = 0
    for name in names:
        meter = meters[name]
        if meter.kind != "rate":
            views[name] = meter_view(state, plan, meter, at)
            continue
        view, back_at = rate_view(state, plan, meter, at)
        views[name] = view
        rates += 1
        if rates == 1 and view.remaining is not None and view.total is not None:
            seconds = 0 if back_at is None else max(1, -(-(back_at - at) // 1000))
            limit = RateLimit(name, int(view.remaining), seconds, int(view.total), max(1, meter.window_ms // 1000))
    return views, limit


def lease_of(ask: Ask, meters: dict[str, Meter]) -> LeaseRow | None:
    """The slot that an admission holds; a hold keeps its slots itself until it ends."""
    if ask.operation == "hold":
        return None
    slots: dict[str, int] | None = None
    for name, amount in ask.cost.items():
        if meters[name].kind == "lease":
            slots = {**(slots or {}), name: amount}
    return None if slots is None else LeaseRow(slots, min(meters[name].ttl_ms for name in slots))


def heartbeat_seconds(ttl_ms: int) -> int:
    """Three heartbeats fit into the time to live, so that one may be lost."""
    return max(1, ttl_ms // 3000)


def replayed(answer: bytes) -> bytes:
    """The first answer again, told to be so; nothing else differs (rule 12)."""
    return answer.replace(*_REPLAYED, 1)
