"""Customers' tax ids. The sandbox checks how they are written, not whether anybody has them."""

import re

from tollhouse_sandbox.billing.taxes import UNION
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.world import World

KIND = "tax_id"
_WRITTEN = {
    "ch_vat": re.compile(r"CHE-?[0-9]{3}\.?[0-9]{3}\.?[0-9]{3} ?(MWST|TVA|IVA)"),
    "eu_vat": re.compile(r"[A-Z]{2}[0-9A-Z+*]{2,12}"),
    "gb_vat": re.compile(r"(GB|XI)([0-9]{9}|[0-9]{12})"),
    "no_vat": re.compile(r"[0-9]{9}MVA"),
}
TYPES = tuple(_WRITTEN)


def is_written_right(kind: str, value: str) -> bool:
    """Whether a tax id of this type can look so. Greece writes EL."""
    if not _WRITTEN[kind].fullmatch(value):
        return False
    return kind != "eu_vat" or value[:2] in UNION or value[:2] in ("EL", "XI")


def kind_of(value: str) -> str | None:
    """The type of a tax id that somebody typed without saying which."""
    return next((kind for kind in TYPES if is_written_right(kind, value)), None)


def country_of(kind: str, value: str) -> str:
    """Whose tax id it is."""
    if kind == "eu_vat":
        return "GR" if value[:2] == "EL" else value[:2]
    return kind[:2].upper()


def create(world: World, customer: Doc, kind: str, value: str) -> Doc:
    """One more tax id of the customer, the same one when it has it already."""
    for known in world.store.where(KIND, "customer", customer["id"]):
        if (known["type"], known["value"]) == (kind, value):
            return known
    made: Doc = {
        "id": new_id("txi"),
        "object": KIND,
        "country": country_of(kind, value),
        "created": world.clock.now(),
        "customer": customer["id"],
        "customer_account": None,
        "livemode": customer["livemode"],
        "owner": {"customer": customer["id"], "customer_account": None, "type": "customer"},
        "type": kind,
        "value": value,
        "verification": {"status": "verified", "verified_address": None, "verified_name": None},
    }
    world.store.put(KIND, made)
    world.emit("customer.tax_id.created", made)
    return made


def shown(world: World, customer: str | None) -> list[Doc]:
    """The customer's tax ids as invoices and Checkout sessions name them."""
    rows = world.store.where(KIND, "customer", customer) if customer else []
    return [{"type": each["type"], "value": each["value"]} for each in rows]
