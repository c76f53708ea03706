"""Tax as Stripe Tax works it out: one standard rate a country, nothing for a business that accounts for it itself.

A price without a `tax_behavior` is taken as Stripe's automatic setting has it: exclusive in US and Canadian dollars,
inclusive in every other currency (docs.stripe.com/tax/products-prices-tax-codes-tax-behavior).
"""

import msgspec

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.world import World

_WHOLE = 10_000
_EXCLUSIVE_CURRENCIES = frozenset(("usd", "cad"))

UNION = {
    "AT": 2000, "BE": 2100, "BG": 2000, "CY": 1900, "CZ": 2100, "DE": 1900, "DK": 2500, "EE": 2400, "ES": 2100,
    "FI": 2550, "FR": 2000, "GR": 2400, "HR": 2500, "HU": 2700, "IE": 2300, "IT": 2200, "LT": 2100, "LU": 1700,
    "LV": 2100, "MT": 1800, "NL": 2100, "PL": 2300, "PT": 2300, "RO": 2100, "SE": 2500, "SI": 2200, "SK": 2300,
}  # fmt: skip
"""Standard rates of the European Union, in hundredths of a percent."""

RATES = {**UNION, "AU": 1000, "CA": 500, "CH": 810, "GB": 2000, "JP": 1000, "KR": 1000, "NO": 2500}
"""Where the seller is registered; elsewhere Stripe answers `not_collecting`."""


class Payer(msgspec.Struct, frozen=True):
    """What of a customer decides on its tax. Without a country nothing can be worked out."""

    country: str | None = None
    exempt: str = "none"
    business: bool = False


def payer_of(world: World, customer: Doc | None) -> Payer:
    """The customer as Stripe Tax sees it."""
    if customer is None:
        return Payer()
    address = customer["address"] or {}
    business = any(each["type"] == "eu_vat" for each in world.store.where("tax_id", "customer", customer["id"]))
    return Payer(address.get("country"), customer["tax_exempt"], business)


def behaviour_of(price: Doc | None, currency: str) -> str:
    """`inclusive` or `exclusive`."""
    named: str = (price or {}).get("tax_behavior") or "unspecified"
    if named != "unspecified":
        return named
    return "exclusive" if currency in _EXCLUSIVE_CURRENCIES else "inclusive"


def on(world: World, payer: Payer, amount: int, behaviour: str) -> Doc:
    """The tax on an amount after discounts, as a line shows it; negative on a credit."""
    rate, reason = _rate(world, payer)
    tax = _share(amount, rate, _WHOLE if behaviour == "exclusive" else _WHOLE + rate)
    return {
        "amount": tax,
        "tax_behavior": behaviour,
        "tax_rate_details": {"tax_rate": f"txr_{payer.country}{rate:05d}"},
        "taxability_reason": reason,
        "taxable_amount": 0 if not rate else amount if behaviour == "exclusive" else amount - tax,
        "type": "tax_rate_details",
    }


def write(world: World, customer: Doc, lines: list[Doc]) -> Doc:
    """Writes each line's tax; answers what the invoice says about it."""
    payer = payer_of(world, customer)
    for line in lines:
        priced = (line["pricing"] or {}).get("price_details") or {}
        price = world.store.get("price", priced.get("price") or "")
        net = line["amount"] - sum(each["amount"] for each in line["discount_amounts"])
        line["taxes"] = [on(world, payer, net, behaviour_of(price, line["currency"]))] if payer.country else []
    return settings(payer)


def settings(payer: Payer) -> Doc:
    """`automatic_tax` of what is taxed."""
    status = "complete" if payer.country else "requires_location_inputs"
    return {
        "disabled_reason": None,
        "enabled": True,
        "liability": {"type": "self"},
        "provider": "stripe",
        "status": status,
    }


def totals(lines: list[Doc]) -> list[Doc]:
    """The taxes of all lines, one for each rate and behaviour."""
    summed: dict[tuple[str, str, str], Doc] = {}
    for tax in (tax for line in lines for tax in line["taxes"]):
        key = (tax["tax_rate_details"]["tax_rate"], tax["tax_behavior"], tax["taxability_reason"])
        found = summed.setdefault(key, {**tax, "amount": 0, "taxable_amount": 0})
        found["amount"] += tax["amount"]
        found["taxable_amount"] += tax["taxable_amount"]
    return list(summed.values())


def added(taxes: list[Doc]) -> int:
    """What exclusive taxes add to the amounts."""
    return sum(tax["amount"] for tax in taxes if tax["tax_behavior"] == "exclusive")


def included(lines: list[Doc]) -> int:
    """What of the lines' amounts, before discounts, is tax."""
    whole = 0
    for line in lines:
        for tax in line["taxes"]:
            if tax["tax_behavior"] == "inclusive" and tax["amount"]:
                rate = int(tax["tax_rate_details"]["tax_rate"][-5:])
                whole += _share(line["amount"], rate, _WHOLE + rate)
    return whole


def _rate(world: World, payer: Payer) -> tuple[int, str]:
    if payer.exempt == "exempt":
        return 0, "customer_exempt"
    abroad = payer.country != world.config.country and payer.country in UNION
    if payer.exempt == "reverse" or (payer.business and abroad):
        return 0, "reverse_charge"
    rate = RATES.get(payer.country or "")
    return (0, "not_collecting") if rate is None else (rate, "standard_rated")


def _share(amount: int, part: int, whole: int) -> int:
    """Rounded half away from zero, so that a credit takes back exactly what was charged."""
    size = (2 * abs(amount) * part + whole) // (2 * whole)
    return size if amount >= 0 else -size
