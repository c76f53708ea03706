"""Who would move from one plan or version to another, and what changes for them (rows S18, X4). Pure.

A changed file never changes what a customer bought: these moves do, and say beforehand what.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from tollhouse.catalog.model import Catalog, PlanVersion, Price
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.kernel.money import Money
from tollhouse.kernel.units import unscale
from tollhouse.ledger.model import State

Amount = int | Decimal | Literal["unlimited"] | None
"""In the meter's own units; None where a plan does not name the meter."""


class Choice(msgspec.Struct, frozen=True):
    """Whom a move is about: those on `source` (of one version or of any), who get the newest version of `target`.

    Without a source: whoever is on another version of a plan than its newest, which they get.
    """

    source: str | None = None
    version: int | None = None
    target: str | None = None


class Changed(msgspec.Struct, frozen=True):
    """One thing that a plan has otherwise: what a meter allows, what credits it brings, or its support."""

    what: Literal["limit", "credits", "support"]
    name: str
    label: str
    before: Amount | str
    after: Amount | str
    period: str = ""


class Held(msgspec.Struct, frozen=True):
    """The subscription that a customer has at Stripe, as our books have it. Times in ms."""

    id: str
    plan: str
    every: str
    price: Money
    period_end: int
    cancel_at: int | None = None
    later: bool = False


class Move(msgspec.Struct, frozen=True):
    """One customer's move. `stays` says why it is not made, where it is not.

    A subscriber pays `price_after` from `from_when` (ms) on; who pays nothing has neither.
    """

    customer: str
    email: str
    locale: str
    from_plan: str
    from_version: int
    to_plan: str
    to_version: int
    changes: tuple[Changed, ...]
    price_before: Money | None = None
    price_after: Money | None = None
    every: str | None = None
    from_when: int | None = None
    subscription: str | None = None
    stripe_customer: str | None = None
    notified: bool = False
    stays: str | None = None

    @property
    def pair(self) -> dict[str, str | int]:
        """From where to where, by column name."""
        return {
            "from_plan": self.from_plan, "from_version": self.from_version, "to_plan": self.to_plan,
            "to_version": self.to_version,
        }  # fmt: skip


def choose(catalog: Catalog, source: str | None, target: str | None) -> Choice:
    """`PLAN` or `PLAN@VERSION`, and the plan to move to. Raises InvalidRequest naming what there is."""
    if source is None:
        if target is not None:
            raise InvalidRequest("nobody is named who moves", code="invalid_move", fix=f"add --from PLAN --to {target}")
        return Choice()
    plan, at, number = source.strip().lower().partition("@")
    known = sorted({name for name, _ in catalog.versions} | catalog.plans.keys())
    if plan not in known:
        raise InvalidRequest(
            f"nobody ever bought a plan {plan!r}", code="unknown_plan", fix=f"name one of: {', '.join(known)}"
        )
    versions = sorted(version for name, version in catalog.versions if name == plan)
    if at and not (number.isascii() and number.isdigit() and int(number[:9]) in versions):
        told = ", ".join(f"{plan}@{version}" for version in versions)
        raise InvalidRequest(f"there is no {source!r}", code="unknown_version", fix=f"name one of: {told}")
    wanted = (target or plan).strip().lower()
    new = catalog.plans.get(wanted)
    if new is None or (new.retired and wanted != plan):
        sold = ", ".join(found.plan for found in catalog.on_sale)
        raise InvalidRequest(
            f"{wanted!r} is no plan that is sold", code="unknown_plan", fix=f"name --to, one of: {sold}"
        )
    return Choice(plan, int(number) if at else None, wanted)


def target_of(catalog: Catalog, choice: Choice, state: State) -> PlanVersion | None:
    """The version that this account gets; None where the choice is not about it, or it has it."""
    if choice.source is not None and (state.plan != choice.source or choice.version not in (None, state.plan_version)):
        return None
    found = catalog.plans.get(choice.target or state.plan)
    return None if found is None or (found.plan, found.version) == (state.plan, state.plan_version) else found


def price_for(target: PlanVersion, held: Held) -> Price | None:
    """What the subscriber pays for the target: in the same currency, for as long as before."""
    same = (price for price in target.prices if (price.currency, price.every) == (held.price.currency, held.every))
    return next(same, None)


def why_it_stays(catalog: Catalog, state: State, target: PlanVersion, held: Held | None) -> str | None:
    """Why this customer cannot be moved now; None where it can."""
    if held is None:
        if state.plan == catalog.free_plan and target.prices:
            return f"pays nothing, and {target.plan} costs something: it has to buy it"
        return None
    if held.plan != state.plan:
        return "the account and Stripe do not agree: run `tollhouse stripe reconcile` first"
    if held.cancel_at is not None:
        return f"its subscription ends on {rfc3339(held.cancel_at)[:10]}"
    if held.later:
        return "another change is agreed already, for when its period ends"
    if price_for(target, held) is None:
        return f"{target.plan} has no price in {held.price.currency} for a {held.every}"
    current = catalog.version(state.plan, state.plan_version)
    if held.every == "year" and target.plan != state.plan and current is not None and current.grants:
        return f"has paid its credits for the year: move it after {rfc3339(held.period_end)[:10]}"
    return None


def plan_move(
    catalog: Catalog, state: State, target: PlanVersion, held: Held | None, *,
    customer: str, email: str, locale: str, stripe_customer: str | None, notified: bool,
) -> Move:  # fmt: skip
    """The move of one customer, with all that is said about it."""
    current = catalog.version(state.plan, state.plan_version)
    price = price_for(target, held) if held is not None else None
    return Move(
        customer, email, locale, state.plan, state.plan_version, target.plan, target.version,
        changes_between(current, target, catalog) if current is not None else (),
        price_before=held.price if held is not None else None,
        price_after=Money(price.amount_minor, price.currency) if price is not None else None,
        every=held.every if held is not None else None,
        from_when=held.period_end if held is not None else None,
        subscription=held.id if held is not None else None,
        stripe_customer=stripe_customer, notified=notified, stays=why_it_stays(catalog, state, target, held),
    )  # fmt: skip


def changes_between(before: PlanVersion, after: PlanVersion, catalog: Catalog) -> tuple[Changed, ...]:
    """What the two allow and bring differently, in the catalogue's order."""
    found = []
    for name, meter in catalog.meters.items():
        label = meter.label or name
        kind: Literal["limit", "credits"] = "credits" if meter.kind == "credits" else "limit"
        period = meter.period if meter.kind == "quota" else ""
        was, now = _allows(before, name, kind, meter.decimals), _allows(after, name, kind, meter.decimals)
        if was != now:
            found.append(Changed(kind, name, label, was, now, period))
    if before.support != after.support:
        found.append(Changed("support", "support", "support", _support(before), _support(after)))
    return tuple(found)


def _allows(plan: PlanVersion, meter: str, kind: str, decimals: int) -> Amount:
    if kind == "credits":
        amounts = [grant.amount for grant in plan.grants if grant.meter == meter]
        return unscale(sum(amounts), decimals) if amounts else None
    if meter not in plan.limits:
        return None
    limit = plan.limits[meter]
    return "unlimited" if limit is None else unscale(limit, decimals)


def _hours(milliseconds: int) -> str:
    return f"{milliseconds // 3_600_000}h"


def _support(plan: PlanVersion) -> str:
    parts = [plan.support.channel]
    if plan.support.answer_within_ms is not None:
        parts.append(_hours(plan.support.answer_within_ms))
    if plan.support.sla_percent is not None:
        parts.append(f"{plan.support.sla_percent} %")
    return ", ".join(parts)
