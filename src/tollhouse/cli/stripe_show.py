"""`tollhouse stripe show`: one customer's payments beside Stripe's own record, and what differs. Nothing is changed."""

import asyncio
from contextlib import AsyncExitStack
from typing import Annotated

import typer

from tollhouse.billing.beside import Beside, Live, read_beside, told
from tollhouse.catalog import Configuration
from tollhouse.catalog.actions import publish
from tollhouse.cli.at_stripe import only_stripe
from tollhouse.cli.database import known_configuration, opened
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table, show_error
from tollhouse.customers.actions import resolve
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import Unavailable
from tollhouse.kernel.money import Money, written


def show(
    reference: Annotated[str, typer.Argument(help="The customer: a cus_ id or your own id.", show_default=False)],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """A customer's payments and subscription, ours and Stripe's, and what differs. Exit status 1 when Stripe says nothing."""
    beside = asyncio.run(_read(known_configuration(config), reference))
    if as_json:
        emit_json(told(beside))
    else:
        _show(beside)
    if beside.silence is not None:
        if not as_json:
            show_error(Unavailable(beside.silence.detail, code=beside.silence.code, fix=beside.silence.fix))
        raise typer.Exit(1)


async def _read(found: Configuration, reference: str) -> Beside:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened(found))
        async with store.transaction() as tx:
            customer = await resolve(tx, reference)
            catalog = await publish(tx, found.catalog, store.clock.now_ms())
        keyed = found.settings.stripe.secret_key is not None
        gateway = await stack.enter_async_context(only_stripe(found)) if keyed else None
        return await read_beside(store, catalog, gateway, customer)


def _show(beside: Beside) -> None:
    ours = beside.ours
    rows: list[list[str]] = []
    if ours.subscription is not None:
        one = ours.subscription
        period = f"{rfc3339(one.period_start)} to {rfc3339(one.period_end)}"
        rows.append(["subscription", one.id, one.status, f"{written(one.price)} a {one.every}", period])
    rows += [_row("invoice", one.id, one.status, one.due, one.created_at) for one in ours.invoices]
    rows += [_row("payment", one.id, one.status, one.amount, one.created_at) for one in ours.payments]
    rows += [["pack", one.session, one.status, one.pack, rfc3339(one.opened_at)] for one in ours.packs]
    emit_table("Ours", ["what", "id", "status", "amount", "when"], rows)
    if beside.stripe is not None:
        _show_live(beside.stripe)
        emit(
            f"{beside.stripe_customer}: {len(beside.stripe.differences)} differences; asked in {beside.stripe.took_ms} ms"
        )
    elif beside.stripe_customer is None:
        emit(f"{beside.customer} has no customer at Stripe: it has never opened Checkout")


def _show_live(live: Live) -> None:
    rows: list[list[str]] = []
    for one in live.subscriptions:
        price = ", ".join(f"{line.quantity} × {written(line.amount)} a {line.every}" for line in one.prices)
        rows.append(["subscription", one.id, one.status, price, _period(one.period_start, one.period_end)])
    rows += [_row("invoice", one.id, one.status, one.due, one.created_at) for one in live.invoices]
    rows += [_row("pack", one.session, f"paid ({one.pack})", one.paid, one.paid_at) for one in live.packs]
    emit_table("Stripe's", ["what", "id", "status", "amount", "when"], rows)
    if live.differences:
        different = [[found.field, found.ours or "–", found.stripes or "–"] for found in live.differences]
        emit_table("Differences", ["what", "ours", "Stripe's"], different)


def _period(start: int | None, end: int | None) -> str:
    return "" if start is None or end is None else f"{rfc3339(start)} to {rfc3339(end)}"


def _row(what: str, identifier: str, status: str, amount: Money, at: int) -> list[str]:
    return [what, identifier, status, written(amount), rfc3339(at)]
