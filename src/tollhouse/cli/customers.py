"""`tollhouse customers block|unblock|lots`: staff stop a customer, let it go on, see what it was granted and paid."""

import asyncio
from typing import Annotated

import typer

from tollhouse.admission.lapsing import read_current
from tollhouse.billing.actions import subscription_of
from tollhouse.billing.model import OWING_STATUSES
from tollhouse.catalog.actions import publish
from tollhouse.catalog.model import Catalog
from tollhouse.cli.database import in_transaction, known_configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table
from tollhouse.customers.actions import resolve
from tollhouse.customers.lots import view_lots
from tollhouse.customers.model import LotMoney, LotPage
from tollhouse.identity.emails import plain_text
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.kernel.money import Money, written
from tollhouse.ledger import actions as ledger
from tollhouse.ledger.book import read_state
from tollhouse.ledger.model import Standing
from tollhouse.store import Tx

LONGEST_REASON = 500

ReferenceArgument = Annotated[
    str, typer.Argument(help="The customer's cus_ id, a member's usr_ id, or your external_id.", show_default=False)
]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Why; it is kept in the customer's book.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Adds `customers` with its commands."""
    group = typer.Typer(help="Customers: block, unblock, lots.", no_args_is_help=True, rich_markup_mode=None)
    group.command("block")(block)
    group.command("unblock")(unblock)
    group.command("lots")(lots)
    app.add_typer(group, name="customers")


def block(
    reference: ReferenceArgument,
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Refuse every action of a customer from now on; nothing that it has is taken away."""
    _set(reference, "blocked", reason, config, as_json)


def unblock(
    reference: ReferenceArgument,
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Let a blocked customer go on with what it has; a payment that is owed still has to be made."""
    _set(reference, "good", reason, config, as_json)


def _set(reference: str, standing: Standing, reason: str, config: ConfigOption, as_json: bool) -> None:
    kept = plain_text(reason, "the reason", LONGEST_REASON)
    if not kept:
        raise InvalidRequest("the reason is empty", fix="say in a few words why, with --reason")
    found = known_configuration(config)

    async def work(tx: Tx, now: int) -> str:
        customer = await resolve(tx, reference)
        catalog = await publish(tx, found.catalog, now)
        owing = standing == "good" and await _owes(tx, catalog, customer, now)
        await ledger.block(tx, catalog, customer, "past_due" if owing else standing, now, kept)
        return customer

    customer = asyncio.run(in_transaction(found, work))
    if as_json:
        emit_json({"customer": customer, "blocked": standing == "blocked", "reason": kept})
    else:
        emit(f"{customer} is {'blocked' if standing == 'blocked' else 'no longer blocked'}: {kept}")


def lots(
    reference: ReferenceArgument,
    after: Annotated[str | None, typer.Option("--after", help="The last lot of the page before.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """List a customer's lots, the newest first: what is left of each, what was paid for it and what of that is deferred."""
    found = known_configuration(config)

    async def work(tx: Tx, now: int) -> LotPage:
        catalog = await publish(tx, found.catalog, now)
        return await view_lots(tx, catalog, await resolve(tx, reference), now, read_current, after=after)

    page = asyncio.run(in_transaction(found, work))
    if as_json:
        emit_json(page)
        return
    emit_table(
        f"Lots of {reference}",
        ["lot", "source", "amount", "left", "paid", "deferred", "earned", "refunded"],
        [
            [lot.id, lot.source, f"{lot.amount} {lot.meter}", str(lot.remaining), *_money_of(lot.value)]
            for lot in page.lots
        ],
        right=["amount", "left", "paid", "deferred", "earned", "refunded"],
    )
    if page.next:
        emit(f"There are older ones: tollhouse customers lots {reference} --after {page.next}")


def _money_of(value: LotMoney | None) -> list[str]:
    if value is None:
        return ["", "", "", ""]
    return [
        written(Money(minor, value.currency)) for minor in (value.paid, value.deferred, value.earned, value.refunded)
    ]


async def _owes(tx: Tx, catalog: Catalog, customer: str, now: int) -> bool:
    """Whether a plan that the customer has is not paid; one that never began is not owed."""
    subscription = await subscription_of(tx, customer)
    if subscription is None or subscription.status not in OWING_STATUSES:
        return False
    return subscription.plan == (await read_state(tx, catalog, customer, now)).plan
