"""`tollhouse maintenance on|off|status`: new subscriptions paused for a time. `serve` may run meanwhile, or not at all."""

import asyncio
import getpass
from typing import Annotated

import typer

from tollhouse.billing import maintenance
from tollhouse.billing.maintenance import Maintenance, MaintenanceState
from tollhouse.cli.database import in_transaction, known_configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.durations import format_duration
from tollhouse.store import Tx

MOST_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Adds `maintenance` with its commands."""
    group = typer.Typer(
        help="Maintenance: new subscriptions are paused, everything else works.", no_args_is_help=True,
        rich_markup_mode=None,
    )  # fmt: skip
    group.command("on")(on)
    group.command("off")(off)
    group.command("status")(status)
    app.add_typer(group, name="maintenance")


def on(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept, and shown to staff.", show_default=False)],
    lasts: Annotated[str, typer.Option("--for", help="How long, from 1m to 30d.")] = "1h",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Pause new subscriptions and purchases. It ends by itself; again it begins anew from now."""
    lasts_ms = maintenance.lasting(lasts)

    async def work(tx: Tx, now: int) -> Maintenance:
        return await maintenance.switch_on(tx, by_whom=getpass.getuser(), reason=reason, lasts_ms=lasts_ms, now=now)

    begun = asyncio.run(in_transaction(known_configuration(config), work))
    if as_json:
        emit_json(maintenance.told(begun))
    else:
        emit(f"new subscriptions are paused until {rfc3339(begun.ends_at)}")


def off(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Sell again from now on. Where nothing is paused it changes nothing."""

    async def work(tx: Tx, now: int) -> int:
        return await maintenance.switch_off(tx, by_whom=getpass.getuser(), now=now)

    ended = asyncio.run(in_transaction(known_configuration(config), work))
    if as_json:
        emit_json({"ended": ended})
    else:
        emit("new subscriptions are open again" if ended else "nothing was paused")


def status(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Whether new subscriptions are paused, until when, by whom and why; and what was before."""

    async def work(tx: Tx, now: int) -> tuple[int, Maintenance | None, list[Maintenance], MaintenanceState]:
        known = await maintenance.history(tx, MOST_SHOWN)
        return now, await maintenance.current(tx, now), known, await maintenance.read_state(tx, now)

    now, current, known, state = asyncio.run(in_transaction(known_configuration(config), work))
    if as_json:
        emit_json(state)
        return
    if current is None:
        emit("off: everything is sold")
    else:
        left = format_duration(max(1_000, (current.ends_at - now) // 1_000 * 1_000))
        emit(f"on until {rfc3339(current.ends_at)} ({left} left), by {current.by_whom}: {current.reason}")
    rows = [[rfc3339(one.started_at), rfc3339(one.over_at), one.by_whom, one.reason, _ended(one, now)] for one in known]
    emit_table("Maintenance", ["from", "to", "by", "why", "ended"], rows)


def _ended(one: Maintenance, now: int) -> str:
    if one.ended_by is not None:
        return one.ended_by
    return "by itself" if one.ends_at <= now else "not yet"
