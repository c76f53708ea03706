"""`tollhouse customers block|unblock`: staff stop a customer, or let it go on. `serve` may run meanwhile."""

import asyncio
from typing import Annotated

import typer

from tollhouse.billing.actions import subscription_of
from tollhouse.billing.model import OWING_STATUSES
from tollhouse.catalog.actions import publish
from tollhouse.catalog.model import Catalog
from tollhouse.cli.database import in_transaction, known_configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json
from tollhouse.customers.actions import resolve
from tollhouse.identity.emails import plain_text
from tollhouse.kernel.errors import InvalidRequest
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
    group = typer.Typer(help="Customers: block, unblock.", no_args_is_help=True, rich_markup_mode=None)
    group.command("block")(block)
    group.command("unblock")(unblock)
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


async def _owes(tx: Tx, catalog: Catalog, customer: str, now: int) -> bool:
    """Whether a plan that the customer has is not paid; one that never began is not owed."""
    subscription = await subscription_of(tx, customer)
    if subscription is None or subscription.status not in OWING_STATUSES:
        return False
    return subscription.plan == (await read_state(tx, catalog, customer, now)).plan
