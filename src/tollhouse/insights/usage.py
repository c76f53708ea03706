"""The usage of a product that sells sessions, in the shape of its runbook (S2, S6, S10). Pure."""

from decimal import Decimal

import msgspec

from tollhouse.catalog.model import Catalog, Meter, PlanVersion
from tollhouse.kernel.clock import MINUTE
from tollhouse.kernel.units import unscale
from tollhouse.ledger.model import State

Amount = int | Decimal


class RateLimit(msgspec.Struct, frozen=True, rename="camel"):
    """Requests a minute and sessions at once that the plan allows; null is unlimited."""

    requests_per_minute: Amount | None
    concurrent: Amount | None


class SessionUsage(msgspec.Struct, frozen=True, rename="camel"):
    """`estimatedMinutes` is what the quota is estimated to last; `minutesUsed` is counted for cost and never billed."""

    plan: str
    sessions_included: Amount | None
    sessions_used: Amount
    sessions_remaining: Amount | None
    estimated_minutes: Amount | None
    minutes_used: int
    percent_used: int
    rate_limit: RateLimit


def session_usage(state: State, plan: PlanVersion, catalog: Catalog) -> SessionUsage | None:
    """Of a state advanced to now; None when the catalogue has no quota meter. Percent is rounded down, at most 100."""
    meter = _first(catalog, "quota")
    if meter is None:
        return None
    quota = state.quotas.get(meter.name)
    used = quota.used if quota else 0
    limit = plan.limits.get(meter.name, 0)
    included = None if limit is None else unscale(limit, meter.decimals)
    return SessionUsage(
        plan=plan.plan,
        sessions_included=included,
        sessions_used=unscale(used, meter.decimals),
        sessions_remaining=None if limit is None else unscale(max(0, limit - used), meter.decimals),
        estimated_minutes=None if included is None else included * meter.minutes_each,
        minutes_used=(quota.session_ms if quota else 0) // MINUTE,
        percent_used=0 if limit is None else 100 if used >= limit else used * 100 // limit,
        rate_limit=RateLimit(_per_minute(plan, catalog), _limit_of(plan, _first(catalog, "lease"))),
    )


def _first(catalog: Catalog, kind: str) -> Meter | None:
    """The first meter of this kind in the file; of quotas the one whose units have minutes, if there is one."""
    of_kind = [meter for meter in catalog.meters.values() if meter.kind == kind]
    return next((meter for meter in of_kind if meter.minutes_each), of_kind[0] if of_kind else None)


def _limit_of(plan: PlanVersion, meter: Meter | None) -> Amount | None:
    if meter is None:
        return 0
    limit = plan.limits.get(meter.name, 0)
    return None if limit is None else unscale(limit, meter.decimals)


def _per_minute(plan: PlanVersion, catalog: Catalog) -> Amount | None:
    meter = _first(catalog, "rate")
    limit = _limit_of(plan, meter)
    return limit if limit is None or meter is None else limit * MINUTE // meter.window_ms
