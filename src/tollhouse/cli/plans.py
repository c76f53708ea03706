"""`tollhouse plans`: what the file sells, and everything that is wrong with it."""

import asyncio
import os
import sys
from decimal import Decimal
from pathlib import Path

import typer
from sqlalchemy.exc import SQLAlchemyError

from tollhouse.catalog import Catalog, Meter, PlanVersion, Price
from tollhouse.catalog.actions import next_versions
from tollhouse.catalog.load import problems_of
from tollhouse.cli.config import configuration, dotenv_beside
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table, warn
from tollhouse.kernel.durations import format_duration
from tollhouse.kernel.errors import ConfigurationError, Unavailable
from tollhouse.kernel.money import Money, written
from tollhouse.kernel.units import unscale
from tollhouse.settings import ConfigurationProblems
from tollhouse.store import open_store
from tollhouse.store.opening import sqlite_path
from tollhouse.store.revision import status


def register(app: typer.Typer) -> None:
    """Adds `plans` and `plans check`."""
    group = typer.Typer(help="What is sold: plans, prices, limits and their versions.", rich_markup_mode=None)
    group.callback(invoke_without_command=True)(plans)
    group.command("check")(check)
    app.add_typer(group, name="plans")


def plans(context: typer.Context, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Show the plans of the file: prices, credits, limits, and the version that each has or will get."""
    if context.invoked_subcommand is not None:
        return
    found = configuration(config, "plans")
    versions = _versions(found.settings.database_url.reveal(), found.catalog)
    if as_json:
        emit_json(_document(found.catalog, versions))
        return
    meters = list(found.catalog.meters.values())
    columns = ["plan", "version", "price", *(_meter_title(meter) for meter in meters), "support"]
    rows = [_row(plan, meters, versions) for plan in found.catalog.plans.values()]
    emit_table(found.catalog.product.name, columns, rows, right=columns[1:-1])


def check(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Tell every mistake of the file, and of what this environment sets, with line and fix. Exit status 1 when there is one.

    What is missing to serve, secrets above all, is told by `serve`.
    """
    problems = problems_of(config, os.environ, purpose="plans", dotenv=dotenv_beside(config))
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        emit_json(problems)
        if errors:
            raise typer.Exit(1)
        return
    for problem in problems:
        if problem.severity == "warning":
            warn(problem)
    if errors:
        raise ConfigurationProblems(errors)
    emit(f"{config}: no mistakes")


def _versions(database_url: str, catalog: Catalog) -> dict[str, tuple[int, bool]]:
    """Each plan's version and whether it is new; empty where there is no database to ask yet."""
    if database_url.startswith("sqlite:") and not Path(sqlite_path(database_url)).exists():
        return {}
    try:
        if not status(database_url).up_to_date:
            return {}
        return asyncio.run(_read_versions(database_url, catalog))
    except (OSError, SQLAlchemyError, ConfigurationError, Unavailable) as error:
        sys.stderr.write(f"warning: no versions are shown, for the database does not answer: {error}\n")
        return {}


async def _read_versions(database_url: str, catalog: Catalog) -> dict[str, tuple[int, bool]]:
    store = await open_store(database_url)
    try:
        async with store.reading() as tx:
            return await next_versions(tx, catalog)
    finally:
        await store.close()


def _row(plan: PlanVersion, meters: list[Meter], versions: dict[str, tuple[int, bool]]) -> list[str]:
    prices = "\n".join(_price(price) for price in plan.prices) or ("on request" if plan.contact_only else "free")
    number, new = versions.get(plan.plan, (0, True))
    version = "–" if not number else f"{number} (new)" if new else str(number)
    return [plan.plan, version, prices, *(_allowance(plan, meter) for meter in meters), _support(plan)]


def _meter_title(meter: Meter) -> str:
    per = {"quota": f"a {meter.period}", "rate": f"in {format_duration(meter.window_ms)}", "lease": "at once"}
    return f"{meter.name} {per[meter.kind]}" if meter.kind in per else meter.name


def _allowance(plan: PlanVersion, meter: Meter) -> str:
    for grant in plan.grants:
        if grant.meter == meter.name:
            return _figure(unscale(grant.amount, meter.decimals)) + (" (added)" if grant.mode == "add" else "")
    if meter.name not in plan.limits:
        return "–"
    limit = plan.limits[meter.name]
    return "unlimited" if limit is None else _figure(unscale(limit, meter.decimals))


def _figure(amount: int | Decimal) -> str:
    return f"{amount:,}"


def _price(price: Price) -> str:
    return f"{written(Money(price.amount_minor, price.currency))} a {price.every}"


def _support(plan: PlanVersion) -> str:
    parts = [plan.support.channel]
    if plan.support.answer_within_ms is not None:
        parts.append(f"in {format_duration(plan.support.answer_within_ms)}")
    if plan.support.sla_percent is not None:
        parts.append(f"SLA {plan.support.sla_percent} %")
    return ", ".join(parts)


def _document(catalog: Catalog, versions: dict[str, tuple[int, bool]]) -> dict[str, object]:
    return {
        "product": catalog.product,
        "free_plan": catalog.free_plan,
        "meters": list(catalog.meters.values()),
        "actions": [
            {"name": action.name, "cost": _amounts(action.cost, catalog), "priced_by_caller": action.priced_by_caller}
            for action in catalog.actions.values()
        ],
        "tools": list(catalog.tools.values()),
        "billing": {
            "grace": format_duration(catalog.terms.grace_ms),
            "on_refund": catalog.terms.on_refund,
            "automatic_tax": catalog.terms.automatic_tax,
            "tax_ids": catalog.terms.tax_ids,
            "billing_address": catalog.terms.billing_address,
            "receipts": catalog.terms.receipts,
        },
        "plans": [_plan_document(plan, catalog, versions.get(plan.plan)) for plan in catalog.plans.values()],
    }


def _ceiling(amount: int | None, meter: Meter) -> int | Decimal | str:
    return "unlimited" if amount is None else unscale(amount, meter.decimals)


def _plan_document(plan: PlanVersion, catalog: Catalog, version: tuple[int, bool] | None) -> dict[str, object]:
    return {
        "name": plan.plan,
        "title": plan.title,
        "version": version[0] if version else None,
        "new": version is None or version[1],
        "prices": plan.prices,
        "limits": {name: _ceiling(limit, catalog.meters[name]) for name, limit in plan.limits.items()},
        "credits": {
            grant.meter: {
                "amount": unscale(grant.amount, catalog.meters[grant.meter].decimals),
                "mode": grant.mode,
                "verified_only": grant.verified_only,
                "on_upgrade": grant.on_upgrade,
                "rollover": _ceiling(grant.rollover, catalog.meters[grant.meter]),
            }
            for grant in plan.grants
        },
        "support": plan.support,
        "features": plan.features,
    }


def _amounts(cost: dict[str, int], catalog: Catalog) -> dict[str, int | Decimal]:
    return {name: unscale(amount, catalog.meters[name].decimals) for name, amount in cost.items()}
