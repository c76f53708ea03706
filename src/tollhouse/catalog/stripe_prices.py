"""Puts the price ids of `STRIPE_PRICE_…` into the plans (row A2: the mapping is configuration, not code)."""

from collections.abc import Mapping

import msgspec

from tollhouse.catalog.model import PlanVersion, Price


def with_stripe_prices(
    plans: Mapping[str, PlanVersion], ids: Mapping[str, str]
) -> tuple[dict[str, PlanVersion], list[str]]:
    """The plans with the price ids of `STRIPE_PRICE_…` put in, and the variables that no price answers to."""
    by_name: dict[str, tuple[str, int]] = {}
    sold = [plan for plan in plans.values() if plan.prices]
    for plan in sold:
        for index, price in enumerate(plan.prices):
            for name in _variable_names(plan, price, only_plan=len(sold) == 1):
                by_name.setdefault(name, (plan.plan, index))
    changed = dict(plans)
    unknown = []
    for name, price_id in ids.items():
        if name not in by_name:
            unknown.append(name)
            continue
        plan_name, index = by_name[name]
        prices = list(changed[plan_name].prices)
        prices[index] = msgspec.structs.replace(prices[index], stripe_price=price_id)
        changed[plan_name] = msgspec.structs.replace(changed[plan_name], prices=tuple(prices))
    return changed, unknown


def price_variable(plan: PlanVersion, price: Price) -> str:
    """The variable that names this price's id: `STRIPE_PRICE_STARTER`, `STRIPE_PRICE_STARTER_YEARLY`…"""
    return "STRIPE_PRICE_" + _variable_names(plan, price, only_plan=False)[0]


def known_variables(plans: Mapping[str, PlanVersion]) -> list[str]:
    """Every variable that names a price of these plans, the shortest form of each."""
    sold = [plan for plan in plans.values() if plan.prices]
    return [price_variable(plan, price) for plan in sold for price in plan.prices]


def _variable_names(plan: PlanVersion, price: Price, *, only_plan: bool) -> list[str]:
    name = plan.plan.upper().replace("-", "_")
    period = "MONTHLY" if price.every == "month" else "YEARLY"
    alone = sum(other.every == price.every for other in plan.prices) == 1
    names = []
    if alone and (price.every == "month" or len(plan.prices) == 1):
        names.append(name)
    if alone:
        names.append(f"{name}_{period}")
        if only_plan:
            names.append(period)
    names.append(f"{name}_{period}_{price.currency.upper()}")
    return names
