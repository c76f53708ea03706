"""`tollhouse quotes set|list|withdraw`: a price for one customer, applied at Checkout. `serve` may run meanwhile."""

import asyncio
import getpass
from typing import Annotated

import typer

from tollhouse.billing.actions import open_till
from tollhouse.billing.quotes import STATUSES, Quote, all_quotes, quotes_of
from tollhouse.billing.quoting import quote_plan, withdraw_quote
from tollhouse.catalog import Configuration
from tollhouse.cli.at_stripe import at_stripe
from tollhouse.cli.database import in_transaction, known_configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table
from tollhouse.customers.actions import resolve
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.durations import parse_duration
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.kernel.money import Money, written
from tollhouse.store import Tx

ReferenceArgument = Annotated[
    str, typer.Argument(help="The customer's cus_ id, a member's usr_ id, or your external_id.", show_default=False)
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; it is kept with the quote.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds `quotes` with its commands."""
    group = typer.Typer(
        help="Quotes: a price for one customer, applied at Checkout.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("set")(set_)
    group.command("list")(list_)
    group.command("withdraw")(withdraw)
    app.add_typer(group, name="quotes")


def set_(
    reference: ReferenceArgument,
    plan: Annotated[str, typer.Option(help="The plan.", show_default=False)],
    reason: ReasonOption,
    percent: Annotated[str | None, typer.Option(help="Percent off, such as 20 or 12.5.")] = None,
    amount_off: Annotated[str | None, typer.Option(help="An amount off, such as 1.50.")] = None,
    price: Annotated[str | None, typer.Option(help="A price in place of the plan's, such as 7.20.")] = None,
    every: Annotated[str | None, typer.Option(help="month or year.", show_default="the plan's first price")] = None,
    lasts: Annotated[str, typer.Option(help="once, forever, or a number of months.")] = "forever",
    expires_in: Annotated[str, typer.Option(help="How long it is open, such as 30d.")] = "30d",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Quote a price to a customer: shown with the plans, and applied at Checkout."""
    named = {"percent": percent, "amount": amount_off, "price": price}
    given = [(kind, value) for kind, value in named.items() if value is not None]
    if len(given) != 1:
        raise InvalidRequest(
            "name what is quoted, once", code="invalid_quote", fix="give one of --percent, --amount-off, --price"
        )
    try:
        lasts_ms = parse_duration(expires_in)
    except ValueError as error:
        raise InvalidRequest(str(error), code="invalid_quote", fix="write --expires-in 30d") from None
    found = known_configuration(config)
    duration, months = (lasts, "") if lasts in ("once", "forever") else ("months", lasts)

    async def work(tx: Tx, now: int) -> Quote:
        return await quote_plan(
            tx, found.catalog, await resolve(tx, reference), plan=plan, interval=every, kind=given[0][0],
            value=given[0][1], duration=duration, months=months, reason=reason, by_whom=getpass.getuser(),
            lasts_ms=lasts_ms, now=now,
        )  # fmt: skip

    quote = asyncio.run(in_transaction(found, work))
    if as_json:
        emit_json(quote)
    else:
        emit(f"{quote.id}: {_offered(quote)} for {quote.customer} until {rfc3339(quote.expires_at)}")


def list_(
    reference: Annotated[str | None, typer.Argument(help="Only this customer's.", show_default="everybody's")] = None,
    status: Annotated[str | None, typer.Option(help="open, used, expired or withdrawn.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Quotes with who set them, why, and what became of them, the newest first."""
    if status is not None and status not in STATUSES:
        raise InvalidRequest(
            f"there is no status {status!r}", code="unknown_status", fix=f"name one of: {', '.join(STATUSES)}"
        )

    async def work(tx: Tx, now: int) -> list[Quote]:
        if reference is None:
            return await all_quotes(tx, now)
        return await quotes_of(tx, await resolve(tx, reference), now)

    found = asyncio.run(in_transaction(known_configuration(config), work))
    shown = [quote for quote in found if status in (None, quote.status)]
    if as_json:
        emit_json({"items": shown})
        return
    rows = [
        [
            quote.id, quote.customer, _offered(quote), quote.status, rfc3339(quote.expires_at), quote.by_whom,
            quote.reason, quote.subscription or quote.withdrawn_why or "",
        ]
        for quote in shown
    ]  # fmt: skip
    emit_table("Quotes", ["id", "customer", "offer", "status", "until", "by", "why", "then"], rows)


def withdraw(
    quote: Annotated[str, typer.Argument(help="The quote's id (quo_…).", show_default=False)],
    reason: ReasonOption,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Withdraw a quote: pages on which it stands are closed. Again it changes nothing."""
    done = asyncio.run(_withdraw(known_configuration(config), quote, reason))
    if as_json:
        emit_json(done)
    else:
        emit(f"{done.id} is withdrawn: {done.withdrawn_why}")


async def _withdraw(found: Configuration, quote: str, reason: str) -> Quote:
    async with at_stripe(found) as (store, catalog, gateway):
        till = open_till(store, catalog, gateway, found.settings)
        return await withdraw_quote(till, quote, by_whom=getpass.getuser(), why=reason)


def _offered(quote: Quote) -> str:
    offer = quote.offer
    what = {
        "percent": f"{offer.value / 100:g} % off",
        "amount": f"{written(Money(offer.value, quote.currency))} off",
        "price": written(Money(offer.value, quote.currency)),
    }[offer.kind]
    lasts = {"once": "once", "months": f"for {offer.months} months", "forever": "for ever"}[offer.duration]
    return f"{quote.plan} a {quote.every}: {what}, {lasts}"
