"""Which lines a customer's balances have crossed: so many percent used, and nothing left. Pure, and quick where none is.

Told by whoever writes the account, in the same statement or transaction. A key says which period of a quota, or which
newest lot of credits, a fact is about: what was given back and is spent again is told once.
"""

from typing import TypeAlias

from tollhouse.catalog.model import Catalog, Meter, PlanVersion
from tollhouse.kernel.facts import BalanceExhausted, BalanceThreshold
from tollhouse.ledger.model import Lot, Quota, State
from tollhouse.ledger.rules import soonest_expiry

Told: TypeAlias = tuple[BalanceThreshold | BalanceExhausted, str]
"""A fact, and the key under which it is told once."""


def balances_told(customer: str, before: State, after: State, catalog: Catalog) -> list[Told]:
    """What is to be told of the way from one state to a later one of the same customer; almost always nothing.

    Credits and quotas have balances; rates, leases and counts have none.
    """
    lines = catalog.terms.balance_thresholds
    lowest = lines[0] if lines else 100
    told: list[Told] = []
    for name, lots in after.lots.items():
        if lots is before.lots.get(name):
            continue
        total = used = 0
        for lot in lots:
            total += lot.amount
            used += lot.used
        if used * 100 >= lowest * total:
            told += _credits(customer, catalog, name, before.lots.get(name, ()), lots)
    if after.quotas is before.quotas:
        return told
    plan = catalog.versions.get((after.plan, after.plan_version)) or catalog.version(after.plan, after.plan_version)
    if plan is None:
        return told
    for name, quota in after.quotas.items():
        if quota is before.quotas.get(name):
            continue
        limit = plan.limits.get(name)
        if limit and quota.used * 100 >= lowest * limit:
            told += _quota(customer, catalog, name, before, quota, limit)
    return told


def _credits(customer: str, catalog: Catalog, name: str, before: tuple[Lot, ...], after: tuple[Lot, ...]) -> list[Told]:
    meter = catalog.meters.get(name)
    if meter is None:
        return []
    newest = max((lot.id for lot in (*before, *after)), default="")
    had, spent = sum(lot.amount for lot in before), sum(lot.used for lot in before)
    total, used = sum(lot.amount for lot in after), sum(lot.used for lot in after)
    return _crossed(customer, catalog, meter, (had, spent), (total, used), newest, soonest_expiry(after))


def _quota(customer: str, catalog: Catalog, name: str, before: State, quota: Quota, limit: int) -> list[Told]:
    meter = catalog.meters.get(name)
    if meter is None:
        return []
    earlier = before.quotas.get(name)
    spent = earlier.used if earlier is not None and earlier.start == quota.start else 0
    had = _limit_of(catalog.version(before.plan, before.plan_version), name, limit)
    return _crossed(customer, catalog, meter, (had, spent), (limit, quota.used), str(quota.start), quota.end)


def _limit_of(plan: PlanVersion | None, name: str, otherwise: int) -> int:
    """What the plan before allowed; unlimited is more than anything that was used."""
    if plan is None:
        return otherwise
    limit = plan.limits.get(name, 0)
    return 1 << 62 if limit is None else limit


def _crossed(
    customer: str, catalog: Catalog, meter: Meter, before: tuple[int, int], after: tuple[int, int], place: str,
    resets_at: int | None,
) -> list[Told]:  # fmt: skip
    (had, spent), (total, used) = before, after
    remaining = max(0, total - used)
    told: list[Told] = []
    # Of nothing no part can be used: who has no credits at all, or no quota any more, crosses no line of percents.
    for percent in catalog.terms.balance_thresholds if total > 0 else ():
        if spent * 100 < percent * had and used * 100 >= percent * total:
            fact = BalanceThreshold(customer, meter.name, percent, total, used, remaining, meter.decimals, resets_at)
            told.append((fact, f"{customer}:{meter.name}:{place}:{percent}"))
    if had > spent and remaining == 0:
        gone = BalanceExhausted(customer, meter.name, total, used, remaining, meter.decimals, resets_at)
        told.append((gone, f"{customer}:{meter.name}:{place}"))
    return told
