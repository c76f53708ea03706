"""`tollhouse migrate import|pricing|example`: customers brought over from an older system's tables; moved to another plan or version."""

import asyncio
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Annotated

import msgspec
import typer

from tollhouse.billing.importing import Failed, Importer, plans_for
from tollhouse.billing.old_tables import find_old_tables
from tollhouse.catalog import Configuration
from tollhouse.catalog.actions import publish
from tollhouse.cli.database import known_configuration, opened
from tollhouse.cli.migrate_pricing import pricing
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table
from tollhouse.cli.progress import customers_bar
from tollhouse.cli.stopping import STOPPED, told_to_stop
from tollhouse.kernel.errors import InvalidRequest

MOST_SHOWN = 1_000
EXAMPLES = ("sqlite", "postgresql")


class Imported(msgspec.Struct, frozen=True):
    """What a run came to. `users`: how many the old tables hold; `failures`: the first thousand."""

    users: int
    plans: dict[str, str]
    imported: int
    failed: int
    failures: list[Failed]
    stopped: bool = False


def register(app: typer.Typer) -> None:
    """Adds `migrate` with its commands."""
    group = typer.Typer(
        help="Moving customers: from an older system's tables, to another plan or version.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("import")(import_)
    group.command("pricing")(pricing)
    group.command("example")(example)
    group.callback()(_group)
    app.add_typer(group, name="migrate")


def _group() -> None:
    """Moving customers: from an older system's tables, to another plan or version."""


def example(
    database: Annotated[str, typer.Option(help="sqlite or postgresql.")] = "sqlite",
) -> None:
    """Write the tables of a system that sold minutes as SQL, for rehearsing the move in a database of your own."""
    if database not in EXAMPLES:
        raise InvalidRequest(
            f"there is no example for {database!r}", code="unknown_database", fix=f"name one of: {', '.join(EXAMPLES)}"
        )
    emit(resources.files("tollhouse.presets").joinpath("minutes", f"{database}.sql").read_text("utf-8").rstrip())


def import_(
    plans: Annotated[
        list[str] | None, typer.Option("--map", help="An old plan's name and what it is now: pro=pro_minutes.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the plans and prices, and bring nobody over.")
    ] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Make customers, users and subscriptions of the old tables' users. Stopped and run again it goes on where it was.

    The old tables are only read. Exit status 1 when somebody could not be brought over, 130 when it was stopped.
    """
    given = dict(_pair(text) for text in plans or [])
    found = known_configuration(config)
    with customers_bar() as progress:
        done = asyncio.run(_import(found, given, dry_run, progress))
    if as_json:
        emit_json(done)
    else:
        _show(done, dry_run)
    if done.stopped:
        raise typer.Exit(STOPPED)
    if done.failed:
        raise typer.Exit(1)


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not equals or not old.strip() or not new.strip():
        raise InvalidRequest(
            f"{text!r} maps nothing", code="invalid_map", fix="write --map OLD=PLAN, such as pro=starter"
        )
    return old.strip(), new.strip()


async def _import(
    found: Configuration, given: Mapping[str, str], dry_run: bool, progress: Callable[[int, int], None]
) -> Imported:
    async with opened(found) as store:
        async with store.transaction() as tx:
            old = await find_old_tables(tx)
            catalog = await publish(tx, found.catalog, store.clock.now_ms())
            plans = await plans_for(tx, catalog, old, given)
        named = {name: plan.plan for name, plan in plans.items()}
        looked = made = failed = 0
        failures: list[Failed] = []
        if dry_run:
            return Imported(old.count, named, 0, 0, [])
        with told_to_stop() as stopping:
            async for step in Importer(store, catalog, old, plans).steps():
                looked, made, failed = looked + step.looked, made + step.made, failed + len(step.failed)
                failures += step.failed[: max(0, MOST_SHOWN - len(failures))]
                progress(looked, old.count)
                if stopping.is_set():
                    break
            return Imported(old.count, named, made, failed, failures, stopping.is_set())


def _show(done: Imported, dry_run: bool) -> None:
    if dry_run:
        emit_table("Plans", ["old", "now"], [[old, now] for old, now in done.plans.items()])
        emit(f"{done.users} users; nobody was brought over")
        return
    if done.failures:
        rows = [[failure.old_id, failure.email, failure.reason] for failure in done.failures]
        emit_table("Not brought over", ["old id", "e-mail", "why"], rows)
    emit(f"{done.imported} brought over, {done.failed} could not be; the old tables hold {done.users} users")
    if done.stopped:
        emit("stopped before the end: run it again to go on")
