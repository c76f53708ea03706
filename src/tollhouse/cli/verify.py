"""`tollhouse verify`: counts every account again from its entries. `serve` may run meanwhile."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tollhouse.admission.verify import check_slots
from tollhouse.catalog import Catalog, Configuration
from tollhouse.catalog.actions import refresh
from tollhouse.cli.database import known_configuration, opened
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table
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
    with _bar() as progress:
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


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr, where a person watches."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("customers", total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)
