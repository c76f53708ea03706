"""`tollhouse stripe unmapped`: what was bought at prices that no plan maps to, and its replay once one does."""

import asyncio
from typing import Annotated

import typer

from tollhouse.billing.unmapped import Unmapped, replay_unmapped, unmapped_purchases
from tollhouse.cli.database import in_transaction, known_configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.money import written
from tollhouse.store import Tx


def unmapped(
    replay: Annotated[bool, typer.Option("--replay", help="Apply them with the catalogue as it is now.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Purchases whose price no plan names. Name it in the catalogue, start again, then run this with --replay."""

    async def work(tx: Tx, now: int) -> list[Unmapped]:
        found = await unmapped_purchases(tx)
        for customer in {one.customer for one in found} if replay else ():
            await replay_unmapped(tx, customer, now)
        return found

    found = asyncio.run(in_transaction(known_configuration(config), work))
    if as_json:
        emit_json({"items": found, "replayed": replay})
        return
    rows = [
        [
            one.customer, one.subscription, one.price, f"{written(one.amount)} a {one.every}",
            written(one.paid), one.status, rfc3339(one.created_at),
        ]
        for one in found
    ]  # fmt: skip
    emit_table(
        "Bought, and mapped to no plan",
        ["customer", "subscription", "price", "amount", "paid", "status", "since"],
        rows,
    )
    if replay:
        emit(f"{len(found)} to be looked at again")
