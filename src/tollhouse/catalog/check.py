"""What must hold between the plans, the actions and the prices of a file."""

from collections.abc import Iterator

from tollhouse.catalog.model import Action, Catalog, Meter, PlanVersion
from tollhouse.kernel.units import unscale
from tollhouse.settings.problems import Problem
from tollhouse.settings.toml import Document, KeyPath, dotted


def free_plan(document: Document, plans: dict[str, PlanVersion], free: list[str], problems: list[Problem]) -> str:
    """The name of the one free plan; no free plan, or two, are reported."""
    allowed = "exactly one plan for those who have not paid"
    if not free:
        fix = "add [plans.free], or write free = true in a plan without prices"
        problems.append(_at(document, ("plans",), "no free plan", allowed, fix))
    for name in free[1:]:
        fix = f"take free = true out of {name} or {free[0]}" if name != "free" else f"rename it, or unmark {free[0]}"
        problems.append(_at(document, ("plans", name), f"a second free plan besides {free[0]}", allowed, fix))
    return free[0] if free else next(iter(plans), "free")


def check_unique(document: Document, plans: dict[str, PlanVersion], problems: list[Problem]) -> None:
    """Two plans never share a price, a lookup key or a Stripe product: a payment has to mean one plan."""
    seen: dict[tuple[str, str], str] = {}
    for plan in plans.values():
        for kind, value, path in _identities(plan):
            other = seen.setdefault((kind, value), plan.plan)
            if other != plan.plan or (kind != "product" and list(_values(plan, kind)).count(value) > 1):
                found = f'{kind} "{value}", which plan {other} has too'
                fix = f"give each its own {kind}"
                problems.append(_at(document, path, found, f"a {kind} that nothing else has", fix))


def warnings(document: Document, catalog: Catalog) -> Iterator[Problem]:
    """What is legal but can hardly be meant."""
    for action in catalog.actions.values():
        path = _action_path(catalog, action)
        willing = [plan for plan in catalog.plans.values() if _allows(plan, action, catalog.meters)]
        if not willing:
            fix = "name its meters in the limits or credits of a plan, or take the action out"
            yield _at(document, path, "an action that no plan allows", "a plan with all its meters", fix, warning=True)
        for name, amount in action.cost.items():
            limits = [plan.limits[name] for plan in willing if name in plan.limits]
            if limits and all(limit is not None and limit < amount for limit in limits):
                cost = unscale(amount, catalog.meters[name].decimals)
                found = f"a cost of {cost} {name}, more than any plan's limit"
                fix = "lower the cost or raise a limit"
                yield _at(document, (*path, "cost", name), found, "a cost that a plan can bear", fix, warning=True)
    for plan in catalog.plans.values():
        if catalog.actions and not any(_allows(plan, action, catalog.meters) for action in catalog.actions.values()):
            fix = "name the meters of an action in its limits or credits"
            found = "a plan that no action can use"
            yield _at(document, ("plans", plan.plan), found, "a plan that allows something", fix, warning=True)
    costed = {name for action in catalog.actions.values() for name in action.cost}
    for meter in catalog.meters.values():
        if meter.name not in costed and meter.kind != "count":
            fix = "name it in the cost of an action, or take it out"
            found = "a meter that no action costs"
            yield _at(document, ("meters", meter.name), found, "a meter that something uses", fix, warning=True)


def _allows(plan: PlanVersion, action: Action, meters: dict[str, Meter]) -> bool:
    return all(plan.allows(meters[name]) for name in action.cost)


def _action_path(catalog: Catalog, action: Action) -> KeyPath:
    for tool in catalog.tools.values():
        if tool.action == action.name == f"launch_tool_{tool.name}":
            return ("tools", tool.name)
    return ("actions", action.name)


def _identities(plan: PlanVersion) -> Iterator[tuple[str, str, KeyPath]]:
    for index, price in enumerate(plan.prices):
        at: KeyPath = ("plans", plan.plan, "prices", index)
        yield "lookup key", price.lookup_key, (*at, "lookup_key")
        if price.stripe_price:
            yield "price", price.stripe_price, (*at, "stripe_price")
    for index, product in enumerate(plan.stripe_products):
        yield "product", product, ("plans", plan.plan, "stripe_products", index)


def _values(plan: PlanVersion, kind: str) -> Iterator[str]:
    for of, value, _ in _identities(plan):
        if of == kind:
            yield value


def _at(document: Document, path: KeyPath, found: str, allowed: str, fix: str, *, warning: bool = False) -> Problem:
    line = document.line(path)
    return Problem(document.file, dotted(path), found, allowed, fix, line, "warning" if warning else "error")
