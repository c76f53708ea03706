"""`tollhouse stripe payments`: what a customer paid or tried to pay, as Stripe's payment intents have it."""

import asyncio
from typing import Annotated

import typer

from tollhouse.billing.payments import PaymentView, payments_of
from tollhouse.cli.database import in_transaction, known_configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit_json, emit_table
from tollhouse.customers.actions import resolve
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.money import written
from tollhouse.store import Tx

MOST_LISTED = 1_000


def payments(
    reference: Annotated[str, typer.Argument(help="The customer: a cus_ id or your own id.", show_default=False)],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """A customer's payments and attempts, the newest first, each with what it failed of."""

    async def work(tx: Tx, now: int) -> list[PaymentView]:
        return await payments_of(tx, await resolve(tx, reference), MOST_LISTED)

    found = asyncio.run(in_transaction(known_configuration(config), work))
    if as_json:
        emit_json({"items": found})
        return
    rows = [
        [
            one.id, rfc3339(one.created_at), written(one.amount), one.status,
            one.invoice or "", one.failure_code or "", one.failure or "",
        ]
        for one in found
    ]  # fmt: skip
    emit_table("Payments", ["id", "begun", "amount", "status", "invoice", "code", "failed of"], rows)
