"""`tollhouse stripe reconcile`: our books against Stripe's, shown and repaired. `serve` may run meanwhile."""

import asyncio
import getpass
from collections.abc import Callable
from typing import Annotated

import typer

from tollhouse.billing.reconciling import Found, Reconciler, Run, begin, count_links, differences_of_run, stripe_id_of
from tollhouse.catalog import Configuration
from tollhouse.cli.at_stripe import at_stripe
from tollhouse.cli.database import known_configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table
from tollhouse.cli.progress import customers_bar
from tollhouse.customers.actions import resolve

CALLS_PER_SECOND = 20.0
"""Below the 25 that Stripe allows in test mode; of the 100 in live mode the rest stays for customers who are buying."""
MOST_SHOWN = 10_000


def reconcile(
    customer: Annotated[
        str | None, typer.Option(help="Only this one: a cus_ id or your own id.", show_default="all that are linked")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what differs and change nothing.")] = False,
    why: Annotated[str, typer.Option(help="Why; it is kept with the run.")] = "on demand",
    calls_per_second: Annotated[
        float, typer.Option(help="At most so many calls to Stripe.", min=0.1, max=1_000)
    ] = CALLS_PER_SECOND,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Compare every customer with Stripe and repair what differs. Stopped and run again it goes on where it was.

    Exit status 1 when a customer could not be compared.
    """
    found = known_configuration(config)
    with customers_bar() as progress:
        run, lines = asyncio.run(_reconciled(found, customer, dry_run, why, calls_per_second, progress))
    if as_json:
        emit_json({"run": run, "differences": lines})
    else:
        _show(run, lines)
    if run.failed:
        raise typer.Exit(1)


async def _reconciled(
    found: Configuration, reference: str | None, dry_run: bool, why: str, calls_per_second: float,
    progress: Callable[[int, int], None],
) -> tuple[Run, list[Found]]:  # fmt: skip
    async with at_stripe(found, calls_per_second) as (store, catalog, gateway):
        reconciler = Reconciler(store, catalog, gateway)
        async with store.transaction() as tx:
            only = None if reference is None else await stripe_id_of(tx, await resolve(tx, reference))
            run = await begin(
                tx, by_whom=getpass.getuser(), why=why, dry_run=dry_run, now=store.clock.now_ms(), only=only
            )
            total = 1 if only else await count_links(tx)
        try:
            while run.finished_at is None:
                run, _ = await reconciler.step(run)
                progress(run.looked, total)
        finally:
            await reconciler.give_back(run)
        async with store.reading() as tx:
            return run, await differences_of_run(tx, run.id, MOST_SHOWN)


def _show(run: Run, lines: list[Found]) -> None:
    if lines:
        rows = [[line.customer, line.field, line.ours or "–", line.stripes or "–"] for line in lines]
        emit_table("Differences from Stripe", ["customer", "what", "ours", "Stripe's"], rows)
    done = "differ" if run.dry_run else "differed and were repaired"
    emit(f"{run.looked} compared, {run.different} {done}, {run.failed} could not be compared ({run.id})")
