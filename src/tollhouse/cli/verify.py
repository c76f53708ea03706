"""`tollhouse verify`: counts every account again from its entries. `serve` may run meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer

from tollhouse.admission.verify import check_slots
from tollhouse.catalog import Catalog, Configuration
from tollhouse.catalog.actions import refresh
from tollhouse.cli.database import known_configuration, opened
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table
from tollhouse.cli.progress import customers_bar
from tollhouse.kernel.units import unscale
from tollhouse.ledger.recount import Discrepancy
from tollhouse.ledger.verify import Report, verify_all


def register(app: typer.Typer) -> None:
    """Adds `verify`."""
    app.command("verify")(verify)


def verify(
    customer: Annotated[str | None, typer.Option(help="Only this customer (cus_…).")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Recompute every account from its entries; compare keys, lots and slots. Exit status 1 when anything is found."""
    found = known_configuration(config)
    with customers_bar() as progress:
        report, catalog = asyncio.run(_verified(found, customer, progress))
    if as_json:
        emit_json(report)
    else:
        _show(report, catalog)
    if report.findings_in_all:
        raise typer.Exit(1)


async def _verified(
    found: Configuration, customer: str | None, progress: Callable[[int, int], None]
) -> tuple[Report, Catalog]:
    async with opened(found) as store:
        async with store.reading() as tx:
            catalog = await refresh(tx, found.catalog)
        report = await verify_all(store, catalog, customer=customer, progress=progress, checks=[check_slots])
        return report, catalog


def _show(report: Report, catalog: Catalog) -> None:
    if report.findings:
        columns = ["customer", "meter", "what", "expected", "found", "fix"]
        rows = [
            [
                finding.customer,
                finding.meter or "–",
                finding.check,
                _amount(finding, finding.expected, catalog),
                _amount(finding, finding.found, catalog),
                finding.fix,
            ]
            for finding in report.findings
        ]
        emit_table("What the books say twice and differently", columns, rows)
    if report.findings_in_all > len(report.findings):
        emit(f"and {report.findings_in_all - len(report.findings)} more")
    looked_at = f"customers {report.customers}, entries {report.entries}, keys {report.keys}"
    emit(f"{looked_at}: {report.findings_in_all or 'nothing'} found")


def _amount(finding: Discrepancy, value: str | int | None, catalog: Catalog) -> str:
    """Amounts on a meter in its own units."""
    if isinstance(value, int) and finding.meter in catalog.meters:
        return str(unscale(value, catalog.meters[finding.meter].decimals))
    return "–" if value is None else str(value)
