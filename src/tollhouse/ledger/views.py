"""What a customer's meters look like to clients: total, used, remaining, reset. Pure."""

from decimal import Decimal
from functools import lru_cache

import msgspec

from tollhouse.catalog.model import Catalog, Meter, PlanVersion
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.units import unscale
from tollhouse.ledger.model import Shortage, State
from tollhouse.ledger.rules import comes_back_at, slide, soonest_expiry

Amount = int | Decimal


class MeterView(msgspec.Struct, frozen=True, gc=False):
    """One meter of one customer, in the meter's own units. None stands for unlimited (and for 'never resets').

    `resets_at` is when the next thing changes by time alone: the soonest lot expires, the quota's period turns, the
    oldest of what a rate used comes back.
    """

    total: Amount | None
    used: Amount
    remaining: Amount | None
    resets_at: str | None = None


class Upgrade(msgspec.Struct, frozen=True):
    """The cheapest plan above the customer's that allows more of what was short."""

    plan: str
    url: str


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an admission was refused, as in API.md."""

    code: str
    meter: str | None
    needed: Amount | None
    remaining: Amount | None
    resets_at: str | None
    upgrade: Upgrade | None = None
    retry_after: int | None = None  # whole seconds, rates only
    verify_email: bool = False


@lru_cache(maxsize=65_536)
def _time(at_ms: int) -> str:
    return rfc3339(at_ms)


def meter_view(state: State, plan: PlanVersion, meter: Meter, now: int) -> MeterView:
    """This meter at `now`, of a state that was advanced to `now`. After a downgrade remaining is 0, never below."""
    kind = meter.kind
    if kind == "credits":
        return _credits_view(state, meter)
    if kind == "rate":
        return rate_view(state, plan, meter, now)[0]
    resets = None
    if kind == "quota":
        quota = state.quotas.get(meter.name)
        used = quota.used if quota else 0
        resets = _time(quota.end) if quota else None
    elif kind == "lease":
        used = state.held.get(meter.name, 0)
    else:
        used = state.counts.get(meter.name, 0)
    return _of_limit(plan, meter, used, resets)


def rate_view(state: State, plan: PlanVersion, meter: Meter, now: int) -> tuple[MeterView, int | None]:
    """A rate meter at `now`, and when the oldest of what was used comes back (ms; None when nothing was used)."""
    window = slide(state.windows.get(meter.name), meter, now)
    back_at = comes_back_at(window, meter)
    resets = None if back_at is None else _time(back_at)
    return _of_limit(plan, meter, sum(window.counts), resets), back_at


def _credits_view(state: State, meter: Meter) -> MeterView:
    total = used = 0
    lots = state.lots.get(meter.name, ())
    for lot in lots:
        total += lot.amount
        used += lot.used
    soonest = soonest_expiry(lots)
    resets = None if soonest is None else _time(soonest)
    decimals = meter.decimals
    if decimals == 0:
        return MeterView(total, used, total - used, resets)
    return MeterView(unscale(total, decimals), unscale(used, decimals), unscale(total - used, decimals), resets)


def _of_limit(plan: PlanVersion, meter: Meter, used: int, resets: str | None) -> MeterView:
    limit, decimals = plan.limits.get(meter.name, 0), meter.decimals
    if limit is None:
        return MeterView(None, unscale(used, decimals), None, resets)
    left = limit - used if used < limit else 0
    if decimals == 0:
        return MeterView(limit, used, left, resets)
    return MeterView(unscale(limit, decimals), unscale(used, decimals), unscale(left, decimals), resets)


def all_meters(state: State, plan: PlanVersion, catalog: Catalog, now: int) -> dict[str, MeterView]:
    """Every meter that the plan names, in the catalogue's order."""
    return {name: meter_view(state, plan, meter, now) for name, meter in catalog.meters.items() if plan.allows(meter)}


def upgrade_for(catalog: Catalog, plan: PlanVersion, meter: Meter | None) -> Upgrade | None:
    """The next plan that can be bought and gives more of this meter (or any plan above, when none is named)."""
    for better in catalog.on_sale:
        if better.rank > plan.rank and better.prices and (meter is None or _gives_more(plan, better, meter)):
            return Upgrade(better.plan, f"/pricing?plan={better.plan}")
    return None


def _gives_more(plan: PlanVersion, better: PlanVersion, meter: Meter) -> bool:
    if not better.allows(meter):
        return False
    if not plan.allows(meter):
        return True
    if meter.kind == "credits":
        return _granted(better, meter.name) > _granted(plan, meter.name)
    now, then = plan.limits.get(meter.name, 0), better.limits.get(meter.name, 0)
    return now is not None and (then is None or then > now)


def _granted(plan: PlanVersion, meter: str) -> int:
    return sum(grant.amount for grant in plan.grants if grant.meter == meter)


def reason_of(shortage: Shortage, catalog: Catalog, plan: PlanVersion) -> Reason:
    """The refusal as clients read it: which limit, what is left, when it resets, which plan would allow it."""
    meter = catalog.meters.get(shortage.meter) if shortage.meter else None
    decimals = meter.decimals if meter else 0
    helps = shortage.code not in ("customer_blocked", "subscription_past_due")
    return Reason(
        code=shortage.code,
        meter=shortage.meter,
        needed=None if shortage.needed is None else unscale(shortage.needed, decimals),
        remaining=None if shortage.remaining is None else unscale(shortage.remaining, decimals),
        resets_at=None if shortage.resets_at is None else rfc3339(shortage.resets_at),
        upgrade=upgrade_for(catalog, plan, meter) if helps else None,
        retry_after=None if shortage.retry_after_ms is None else -(-shortage.retry_after_ms // 1000),
        verify_email=shortage.verify_email,
    )
