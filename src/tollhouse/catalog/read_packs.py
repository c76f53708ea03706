"""Reads `[packs]` of the file: credits that are bought once, beside a plan or without one (row X11)."""

from tollhouse.catalog.model import Meter, Pack, PackPrice
from tollhouse.catalog.read_amounts import amount_of, meter_of
from tollhouse.catalog.read_plans import read_currency, read_money
from tollhouse.settings.reader import Table


def read_pack(name: str, table: Table, meters: dict[str, Meter], unread: frozenset[str]) -> Pack | None:
    """One pack; None when it cannot be sold as it is written."""
    title = table.text("title", longest=60) or name.replace("_", " ").replace("-", " ").capitalize()
    description = table.text("description", longest=300)
    credits = _credits(table, meters, unread)
    read = [_price(name, item) for item in table.array("prices", "prices")]
    prices = tuple(price for price in read if price is not None)
    expires_after_ms = table.duration_ms("expires_after", 'a duration such as "365d"')
    if not table.values.get("prices"):
        fix = 'write prices = [ { amount = 500, currency = "usd" } ]'
        table.problem("prices" if "prices" in table.values else None, "no price", "a price", fix)
    if len({price.currency for price in prices}) < len(prices):
        table.problem("prices", "two prices in one currency", "one price for each currency", "take one of them out")
    table.finish()
    if credits is None or not prices:
        return None
    return Pack(name, title, credits[0], credits[1], prices, description, expires_after_ms)


def _credits(table: Table, meters: dict[str, Meter], unread: frozenset[str]) -> tuple[str, int] | None:
    """The one meter, and the scaled amount."""
    given = table.table("credits", "what is bought, such as { credits = 500 }")
    if given is None or len(given.values) != 1:
        fix = "write credits = { credits = 500 } with the name of a meter of kind credits"
        found = "no credits" if given is None else f"{len(given.values)} meters"
        table.problem("credits" if given is not None else None, found, "an amount on one credits meter", fix)
        return None
    name = next(iter(given.values))
    meter = meter_of(given, name, meters, unread)
    if meter is None:
        return None
    if meter.kind != "credits":
        given.problem(name, f"a {meter.kind} meter", "a meter of kind credits", "sell credits on a credits meter")
        return None
    amount = amount_of(given, name, meter, least=1)
    return None if amount is None else (name, amount)


def _price(pack: str, table: Table) -> PackPrice | None:
    currency = read_currency(table)
    amount = read_money(table, currency)
    if amount == 0:
        table.problem("amount", "0", "more than 0", "give credits with a plan, or name what they cost")
    table.finish()
    if not amount or currency is None:
        return None
    return PackPrice(amount, currency, f"tollhouse_pack_{pack}_once_{currency}")
