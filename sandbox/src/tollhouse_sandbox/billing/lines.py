"""The lines of an invoice."""

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.identifiers import random_text


def of_subscription_item(
    subscription: Doc, item: Doc, *, amount: int, description: str, period: tuple[int, int], proration: bool = False
) -> Doc:
    """One line for a subscription item."""
    price = item["price"]
    return _line(
        amount=amount,
        currency=price["currency"],
        description=description,
        discountable=not proration,
        livemode=subscription["livemode"],
        metadata={**subscription["metadata"], **item["metadata"]},
        parent={
            "invoice_item_details": None,
            "subscription_item_details": {
                "invoice_item": f"ii_{random_text(24)}" if proration else None,
                "proration": proration,
                "proration_details": {"credited_items": None},
                "subscription": subscription["id"],
                "subscription_item": item["id"],
            },
            "type": "subscription_item_details",
        },
        period={"end": period[1], "start": period[0]},
        pricing=pricing_of(price),
        quantity=item["quantity"],
        subscription=subscription["id"],
    )


def of_invoice_item(item: Doc) -> Doc:
    """The line that an invoice item becomes."""
    details = (item["parent"] or {}).get("subscription_details") or {}
    subscription = details.get("subscription")
    return _line(
        **{name: item[name] for name in ("amount", "currency", "description", "discountable", "livemode", "quantity")},
        metadata=dict(item["metadata"]),
        parent={
            "invoice_item_details": {
                "invoice_item": item["id"],
                "proration": False,
                "proration_details": {"credited_items": None},
                "subscription": subscription,
            },
            "subscription_item_details": None,
            "type": "invoice_item_details",
        },
        period=dict(item["period"]),
        pricing=item["pricing"],
        subscription=subscription,
    )


def item_of(line: Doc) -> str | None:
    """The invoice item that a line stands for."""
    details = line["parent"]["invoice_item_details"]
    return details["invoice_item"] if details else None


def pricing_of(price: Doc) -> Doc:
    """How lines and invoice items name their price."""
    return {
        "price_details": {"price": price["id"], "product": price["product"]},
        "type": "price_details",
        "unit_amount_decimal": price["unit_amount_decimal"],
    }


def _line(**facts: object) -> Doc:
    return {
        "id": f"il_{random_text(24)}",
        "object": "line_item",
        "discount_amounts": [],
        "discounts": [],
        "invoice": None,
        "pretax_credit_amounts": [],
        "quantity_decimal": str(facts["quantity"]),
        "subtotal": facts["amount"],
        "taxes": [],
        **facts,
    }
