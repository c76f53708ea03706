"""`tollhouse stripe pause|resume`: Stripe's events parked, then applied and proven complete. `serve` may run meanwhile."""

import asyncio
import getpass
from typing import Annotated

import typer

from tollhouse.billing.catching_up import Told
from tollhouse.billing.catching_up import resume as resume_events
from tollhouse.billing.pausing import Pause, Proof, describe, waiting
from tollhouse.billing.pausing import pause as pause_events
from tollhouse.billing.syncing import Syncer
from tollhouse.catalog import Configuration
from tollhouse.cli.at_stripe import at_stripe
from tollhouse.cli.database import known_configuration, opened
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json
from tollhouse.cli.progress import bar
from tollhouse.kernel.clock import rfc3339


def pause(
    reason: Annotated[str, typer.Option("--reason", help="Why; it is kept.", show_default=False)],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Park Stripe's events: they are stored and answered as ever, and nothing is applied until `resume`.

    Ends when nothing is being applied any more; again it changes nothing.
    """
    begun, parked = asyncio.run(_pause(known_configuration(config), reason))
    if as_json:
        emit_json({"pause": describe(begun), "waiting": parked})
    else:
        emit(f"Stripe's events are parked since {rfc3339(begun.started_at)}; {parked} wait now")


async def _pause(found: Configuration, reason: str) -> tuple[Pause, int]:
    async with opened(found) as store:
        begun = await pause_events(store, by_whom=getpass.getuser(), reason=reason)
        async with store.reading() as tx:
            return begun, await waiting(tx)


def resume(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Apply what was parked, and prove against Stripe's own list that nothing is missing. Killed, it is run again.

    Exit status 1 when an event that Stripe lists is not in the books afterwards.
    """
    found = known_configuration(config)
    with bar("events") as progress:
        done = asyncio.run(_resume(found, lambda _, number, of: progress(number, of)))
    if as_json:
        emit_json(describe(done))
    elif done.proof is not None:
        emit(f"resumed; parked since {rfc3339(done.started_at)}")
        show_proof(done.proof, done.fetched)
    if done.proof is None or not done.proof.complete:
        raise typer.Exit(1)


async def _resume(found: Configuration, told: Told) -> Pause:
    async with at_stripe(found) as (store, catalog, gateway):
        return await resume_events(Syncer(store, catalog, gateway), gateway, by_whom=getpass.getuser(), told=told)


def show_proof(proof: Proof, fetched: int) -> None:
    """What Stripe lists against what we have, in plain words."""
    emit(f"Stripe lists {proof.listed} event(s) since {rfc3339(proof.since)}")
    emit(f"{proof.listed - fetched} had arrived, {fetched} were missing and have been fetched")
    emit(f"{proof.applied} are applied, {proof.waiting} wait for another try, {proof.parked} wait for staff")
    if proof.waiting or proof.parked:
        emit("not complete: `tollhouse stripe events --status pending` and `--status parked` say why")
    elif proof.too_old:
        emit("not proven: Stripe lists 30 days only, and this goes back further; run `tollhouse stripe reconcile`")
    else:
        emit("complete")
