"""`tollhouse stripe rollback`: the runbook's roll-back with its defaults, and its undoing. `serve` may run meanwhile."""

import asyncio
import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from tollhouse.billing.maintenance import lasting
from tollhouse.billing.rollback import EVENTS, LETTERS, Options, Rollback, describe
from tollhouse.billing.rolling_back import Roller
from tollhouse.catalog import Configuration
from tollhouse.cli.at_stripe import at_stripe
from tollhouse.cli.database import known_configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table
from tollhouse.cli.progress import bar
from tollhouse.cli.stripe_pause import show_proof
from tollhouse.kernel.errors import Conflict, InvalidRequest

CHANGES = 2
"""Exit status of `--plan` when there is something to do."""


def rollback(
    undo: Annotated[bool, typer.Option("--undo", help="Undo the roll-back that is in force.")] = False,
    keep_endpoints: Annotated[bool, typer.Option("--keep-endpoints", help="Let Stripe go on sending events.")] = False,
    no_maintenance: Annotated[bool, typer.Option("--no-maintenance", help="Go on selling.")] = False,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Leave the backup out.")] = False,
    tell_users: Annotated[bool, typer.Option("--tell-users", help="Write one e-mail to each user.")] = False,
    lasts: Annotated[str, typer.Option("--for", help="How long new subscriptions are paused.")] = "1h",
    backup_to: Annotated[
        Path | None, typer.Option(help="The folder for the backup.", show_default="backups beside the database")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Disable our webhook endpoints, pause new subscriptions, back up the state, tell users; or undo all of that.

    Killed anywhere, it is run again and goes on. With --plan the exit status is 2 when there is something to do, else 0.
    Exit status 1 also when an event is not in the books after --undo.
    """
    options = Options(not keep_endpoints, not no_maintenance, not no_backup, tell_users, lasting(lasts))
    if undo and options != Options():
        raise InvalidRequest("--undo undoes what was done, all of it", fix="leave the other options out")
    found = known_configuration(config)
    if plan:
        _show_plan(asyncio.run(_plan(found, options, backup_to, undo)), as_json)
        return
    if not yes:
        _confirm(found, undo)
    done = asyncio.run(_run(found, options, backup_to, undo, quiet=as_json))
    if as_json:
        emit_json(describe(done))
    else:
        emit(f"{done.id}: {'undone' if undo else 'rolled back'}")
        _say_what_is_left(done, undo)
    events = done.steps.get(EVENTS)
    if undo and events is not None and not (events.record.proof and events.record.proof.complete):
        raise typer.Exit(1)


def _confirm(found: Configuration, undo: bool) -> None:
    """The environment's name has to be typed. Raises Conflict `not_confirmed`."""
    name = found.settings.environment
    if not sys.stdin.isatty():
        raise Conflict("nobody can be asked here", code="not_confirmed", fix="add --yes, after a look at --plan")
    what = "undo the roll-back of Stripe" if undo else "roll Stripe back"
    if typer.prompt(f"To {what}, type the environment's name ({name})", err=True).strip() != name:
        raise Conflict("nothing was done", code="not_confirmed", fix=f"type {name}, or add --yes")


async def _plan(found: Configuration, options: Options, folder: Path | None, undo: bool) -> list[tuple[str, str]]:
    async with at_stripe(found) as (store, catalog, gateway):
        roller = Roller(store, catalog, gateway, found.settings, folder=folder)
        return await (roller.plan_undo() if undo else roller.plan(options))


async def _run(found: Configuration, options: Options, folder: Path | None, undo: bool, *, quiet: bool) -> Rollback:
    with bar("working") as progress:
        async with at_stripe(found) as (store, catalog, gateway):
            roller = Roller(
                store, catalog, gateway, found.settings, folder=folder, said=_nothing if quiet else emit,
                told=lambda _, number, of: progress(number, of),
            )  # fmt: skip
            if undo:
                return await roller.undo(by_whom=getpass.getuser())
            return await roller.roll_back(options, by_whom=getpass.getuser())


def _nothing(line: str) -> None:
    """JSON says it all in the end."""


def _show_plan(lines: list[tuple[str, str]], as_json: bool) -> None:
    if as_json:
        emit_json({"steps": [{"step": step, "does": words} for step, words in lines]})
    elif lines:
        emit_table("To do", ["step", "does"], [list(line) for line in lines])
    else:
        emit("nothing to do")
    if lines:
        raise typer.Exit(CHANGES)


def _say_what_is_left(done: Rollback, undo: bool) -> None:
    if not undo:
        emit("bring it back with `tollhouse stripe rollback --undo`")
        return
    events = done.steps.get(EVENTS)
    if events is not None and events.record.proof is not None:
        show_proof(events.record.proof, events.fetched)
    if LETTERS in done.steps:
        emit(f"{done.steps[LETTERS].record.letters} letters stay sent")
