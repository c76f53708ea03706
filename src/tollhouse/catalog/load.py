"""Reads the catalogue from tollhouse.toml: every mistake of the file at once, with line, key and fix."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from tollhouse.catalog.check import check_unique, free_plan, warnings
from tollhouse.catalog.model import Action, Catalog, Meter, PlanVersion, Product, Terms, Tool
from tollhouse.catalog.read_actions import read_action, read_tool
from tollhouse.catalog.read_billing import read_billing
from tollhouse.catalog.read_meters import read_meter, read_product
from tollhouse.catalog.read_packs import read_pack
from tollhouse.catalog.read_plans import read_plan
from tollhouse.catalog.stripe_prices import known_variables, with_stripe_prices
from tollhouse.settings import ConfigurationProblems, Problem, Purpose, Settings, read_settings
from tollhouse.settings.problems import ENVIRONMENT, did_you_mean, in_order, listed
from tollhouse.settings.reader import Table, root
from tollhouse.settings.toml import Document, read_document


class Configuration(msgspec.Struct, frozen=True):
    """A whole installation as the file and the environment describe it; `warnings` do not stop it."""

    settings: Settings
    catalog: Catalog
    warnings: tuple[Problem, ...]


def load_configuration(
    path: Path, environ: Mapping[str, str], *, purpose: Purpose = "serve", dotenv: Path | None = None
) -> Configuration:
    """Settings and catalogue. Raises ConfigurationProblems with every problem of both at once."""
    document = read_document(path)
    problems: list[Problem] = []
    settings = read_settings(document, environ, problems, purpose=purpose, dotenv=dotenv)
    catalog, found = read_catalog(document, settings.stripe.prices)
    problems.extend(problem for problem in found if problem.severity == "error")
    if problems:
        raise ConfigurationProblems(problems)
    return Configuration(settings, catalog, tuple(problem for problem in found if problem.severity == "warning"))


def problems_of(
    path: Path, environ: Mapping[str, str], *, purpose: Purpose = "serve", dotenv: Path | None = None
) -> list[Problem]:
    """Every problem and warning of the file and the environment. Raises ConfigurationProblems for an unreadable file."""
    document = read_document(path)
    problems: list[Problem] = []
    settings = read_settings(document, environ, problems, purpose=purpose, dotenv=dotenv)
    return in_order([*problems, *read_catalog(document, settings.stripe.prices)[1]])


def load_catalog(path: Path, price_ids: Mapping[str, str] | None = None) -> Catalog:
    """The catalogue of the file, every plan at version 1. `price_ids` are `settings.stripe.prices`.

    Raises ConfigurationProblems with every problem of the catalogue.
    """
    catalog, problems = read_catalog(read_document(path), price_ids or {})
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise ConfigurationProblems(errors)
    return catalog


def read_catalog(document: Document, price_ids: Mapping[str, str]) -> tuple[Catalog, list[Problem]]:
    """The catalogue, and every problem and warning of it. With problems the catalogue is good for nothing else."""
    problems: list[Problem] = []
    top = root(document, problems)
    product_table = top.table("product", "the product's name and more")
    if product_table is None and not top.has("product"):
        top.problem("product", "nothing", "a table [product]", 'write [product] and name = "…" below it')
    product = read_product(product_table) if product_table is not None else Product(name="")
    meters, unread = _meters(top)
    actions, tools = _actions(top, meters, unread)
    plans, free = _plans(top, meters, unread)
    read = [read_pack(name, table, meters, unread) for name, table in top.named("packs", "a pack")]
    packs = {pack.name: pack for pack in read if pack is not None}
    billing = top.table("billing", "what happens when a payment fails")
    terms = read_billing(billing) if billing is not None else Terms()
    if not plans and not problems:
        top.problem("plans", "no plan", "a free plan at least", "add [plans.free]")
    plans = _put_price_ids(document, plans, price_ids, problems)
    check_unique(document, plans, problems)
    name = free_plan(document, plans, free, problems)
    catalog = Catalog(
        product=product,
        meters=meters,
        actions=actions,
        tools=tools,
        plans=plans,
        free_plan=name,
        packs=packs,
        terms=terms,
    )
    if not problems:
        problems.extend(warnings(document, catalog))
    return catalog, in_order(problems)


def _meters(top: Table) -> tuple[dict[str, Meter], frozenset[str]]:
    """The meters, and the names of those that could not be read."""
    meters: dict[str, Meter] = {}
    unread = set()
    for name, table in top.named("meters", "a meter"):
        meter = read_meter(name, table)
        if meter is None:
            unread.add(name)
        else:
            meters[name] = meter
    return meters, frozenset(unread)


def _actions(top: Table, meters: dict[str, Meter], unread: frozenset[str]) -> tuple[dict[str, Action], dict[str, Tool]]:
    actions = {name: read_action(name, table, meters, unread) for name, table in top.named("actions", "an action")}
    tools: dict[str, Tool] = {}
    launches: dict[str, Action] = {}
    for name, table in top.named("tools", "a tool"):
        tools[name], launch = read_tool(name, table, meters, unread, actions)
        if launch is not None:
            launches[launch.name] = launch
    return actions | launches, tools


def _plans(top: Table, meters: dict[str, Meter], unread: frozenset[str]) -> tuple[dict[str, PlanVersion], list[str]]:
    """The plans in the file's order, and the names of those marked free."""
    plans: dict[str, PlanVersion] = {}
    free = []
    for rank, (name, table) in enumerate(top.named("plans", "a plan")):
        plans[name], is_free = read_plan(name, rank, table, meters, unread)
        if is_free:
            free.append(name)
    return plans, free


def _put_price_ids(
    document: Document, plans: dict[str, PlanVersion], ids: Mapping[str, str], problems: list[Problem]
) -> dict[str, PlanVersion]:
    changed, unknown = with_stripe_prices(plans, ids)
    known = known_variables(plans)
    for name in unknown:
        variable = f"STRIPE_PRICE_{name}"
        close = did_you_mean(variable, [other.lower() for other in known])
        fix = f"did you mean {close.upper()}?" if close else f"unset it, or add its plan to {document.file}"
        found = "a price id for no plan of the file"
        problems.append(Problem(ENVIRONMENT, variable, found, listed(known), fix))
    return changed
