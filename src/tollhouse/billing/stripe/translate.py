"""From Stripe's shapes to our own words. Pure. Seconds become milliseconds."""

import msgspec

from tollhouse.billing import model
from tollhouse.billing.account import ProductFacts
from tollhouse.billing.stripe import wire
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.kernel.money import Money

LONGEST_ID = 255
LONGEST_TYPE = 100

_decode_event = msgspec.json.Decoder(wire.Event).decode
_decode_subscription_event = msgspec.json.Decoder(wire.SubscriptionEvent).decode


def name_of(reference: wire.Reference | None) -> str | None:
    """The id behind a reference, expanded or not."""
    return reference.id if isinstance(reference, wire.Named) else reference


def _ms(seconds: int) -> int:
    return seconds * 1000


def _maybe_ms(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1000


def price(given: wire.Price) -> model.PriceFacts:
    return model.PriceFacts(
        id=given.id,
        product=name_of(given.product) or "",
        currency=given.currency,
        amount_minor=given.unit_amount or 0,
        every=given.recurring.interval if given.recurring else "",
        interval_count=given.recurring.interval_count if given.recurring else 1,
        lookup_key=given.lookup_key,
        active=given.active,
    )


def product(given: wire.Product) -> ProductFacts:
    return ProductFacts(given.id, given.name, given.description or "", given.active, given.metadata)


def subscription(given: wire.Subscription) -> model.Subscription:
    return model.Subscription(
        id=given.id,
        status=given.status,
        created_at=_ms(given.created),
        anchor=_ms(given.billing_cycle_anchor),
        items=tuple(_item(item, given) for item in given.items.data),
        currency=given.currency,
        cancel_at_period_end=given.cancel_at_period_end,
        cancel_at=_maybe_ms(given.cancel_at),
        canceled_at=_maybe_ms(given.canceled_at),
        ended_at=_maybe_ms(given.ended_at),
        trial_end=_maybe_ms(given.trial_end),
        metadata=given.metadata,
        later=_later(given.schedule),
        sends_invoices=given.collection_method == "send_invoice",
    )


def _later(given: wire.Schedule | str | None) -> model.LaterPrice | None:
    """The price of the phase that follows on the present one."""
    if not isinstance(given, wire.Schedule) or given.current_phase is None:
        return None
    ends = given.current_phase.end_date
    for phase in given.phases:
        if phase.start_date >= ends and phase.items:
            return model.LaterPrice(name_of(phase.items[0].price) or "", _ms(phase.start_date))
    return None


def _item(given: wire.SubscriptionItem, owner: wire.Subscription) -> model.Item:
    start = given.current_period_start or owner.current_period_start or owner.created
    end = given.current_period_end or owner.current_period_end or owner.created
    return model.Item(
        given.id, price(given.price), 1 if given.quantity is None else given.quantity, _ms(start), _ms(end)
    )


_UNDER_WAY = {"processing": "processing", "requires_action": "action_required"}
"""What an open invoice's status says, by its payment's."""


def invoice(given: wire.Invoice, payment: str | None = None) -> model.Invoice:
    """`payment`: the status of the payment intent that collects it, where it is open."""
    details = given.parent.subscription_details if given.parent else None
    of_subscription = name_of(details.subscription if details else given.subscription)
    tax = sum(tax.amount for tax in given.total_taxes or given.total_tax_amounts or ())
    return model.Invoice(
        id=given.id,
        status=_UNDER_WAY.get(payment or "", given.status or "draft"),
        reason=given.billing_reason or "manual",
        subscription=of_subscription,
        created_at=_ms(given.created),
        currency=given.currency,
        amount_due_minor=given.amount_due,
        amount_paid_minor=given.amount_paid,
        net_minor=given.total - tax,
        tax_minor=tax,
        attempts=given.attempt_count,
        lines=tuple(_line(line, of_subscription) for line in given.lines.data),
        paid_at=_maybe_ms(given.status_transitions.paid_at),
        number=given.number,
        next_attempt_at=_maybe_ms(given.next_payment_attempt),
        page_url=given.hosted_invoice_url,
        pdf_url=given.invoice_pdf,
        credited_minor=given.pre_payment_credit_notes_amount + given.post_payment_credit_notes_amount or None,
        finalized_at=_maybe_ms(given.status_transitions.finalized_at),
    )


def _line(given: wire.InvoiceLine, of_subscription: str | None) -> model.InvoiceLine:
    parent = given.parent
    details = (parent.subscription_item_details or parent.invoice_item_details) if parent else None
    priced = given.pricing.price_details if given.pricing else None
    product = priced.product if priced else given.price.product if given.price else None
    named = name_of(given.subscription) or (details.subscription if details else None)
    return model.InvoiceLine(
        id=given.id,
        amount_minor=given.amount
        - sum(discount.amount for discount in given.discount_amounts or ())
        - _included(given),
        currency=given.currency,
        price=name_of(priced.price) if priced else given.price.id if given.price else None,
        product=name_of(product),
        subscription=named or of_subscription,
        proration=given.proration or (details is not None and details.proration),
        period_start=_ms(given.period.start),
        period_end=_ms(given.period.end),
        description=given.description or "",
    )


def _included(given: wire.InvoiceLine) -> int:
    """The tax that is part of the line's amount; other tax is added to it."""
    taxes = given.taxes or given.tax_amounts or ()
    return sum(tax.amount for tax in taxes if tax.inclusive or tax.tax_behavior == "inclusive")


def customer(given: wire.Customer) -> model.StripeCustomer:
    return model.StripeCustomer(given.id, given.email, given.deleted, given.metadata)


def checkout_session(given: wire.CheckoutSession) -> model.CheckoutSession:
    written = (given.metadata or {}).get(model.OPENED_KEY, "")
    opened_at = int(written) if written.isascii() and written.isdigit() and len(written) < 16 else _ms(given.created)
    return model.CheckoutSession(
        given.id, given.status or "open", opened_at, _ms(given.expires_at), given.url, given.mode, given.currency
    )


def purchase(given: wire.CheckoutSession) -> model.Purchase | None:
    """A pack that is paid; None for anything else, and for one whose payment is still under way (delayed methods)."""
    sold = given.metadata or {}
    tax = given.total_details.amount_tax if given.total_details else 0
    amount, lasts = sold.get(model.PACK_AMOUNT_KEY, ""), sold.get(model.PACK_EXPIRY_KEY, "")
    if given.mode != "payment" or given.payment_status != "paid" or not (_is_number(amount) and _is_number(lasts)):
        return None
    paid_at = _ms(_paid_at(given))
    return model.Purchase(
        session=given.id,
        pack=sold.get(model.PACK_KEY, ""),
        meter=sold.get(model.PACK_METER_KEY, ""),
        amount=int(amount),
        paid=Money((given.amount_total or 0) - tax, given.currency or ""),
        paid_at=paid_at,
        expires_at=paid_at + int(lasts) if int(lasts) else None,
        payment=_intent_of(given),
        charged_minor=given.amount_total or 0,
    )


def awaited_pack(given: wire.CheckoutSession, payment: wire.PaidIntent) -> model.AwaitedPack:
    """A pack's session that is complete and not paid, by its payment intent."""
    return model.AwaitedPack(
        given.id,
        payment.id,
        (given.metadata or {}).get(model.PACK_KEY, ""),
        Money(given.amount_total or 0, given.currency or ""),
        failed=payment.status != "processing",
    )


def _intent_of(given: wire.CheckoutSession) -> str | None:
    intent = given.payment_intent
    return intent.id if isinstance(intent, wire.PaidIntent) else intent


def _paid_at(given: wire.CheckoutSession) -> int:
    """When the payment was made; a page may have stood open for a day before. Without a charge, when that page was made."""
    intent = given.payment_intent
    charge = intent.latest_charge if isinstance(intent, wire.PaidIntent) else None
    return charge.created if isinstance(charge, wire.PaidCharge) else given.created


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 16


def event(payload: bytes | str) -> model.WebhookEvent:
    """What an event is about. Raises InvalidRequest when it is none of Stripe's snapshot events."""
    try:
        given = _decode_event(payload)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(
            f"this is no event of Stripe's: {error}",
            code="not_an_event",
            fix="let the endpoint send snapshot events (not thin ones)",
        ) from None
    about = given.data.object
    whose = about.id if about.object == "customer" else name_of(about.customer)
    details = about.parent.subscription_details if about.parent else None
    named = (
        about.id if about.object == "subscription" else name_of(details.subscription if details else about.subscription)
    )
    subject = whose or model.OTHER_SUBJECT + (about.id or given.id)
    if not 0 < len(given.id) <= LONGEST_ID or len(given.type) > LONGEST_TYPE or len(subject) > LONGEST_ID:
        raise InvalidRequest("the event's id, type or customer is too long", code="not_an_event")
    if not (given.id.isprintable() and given.type.isprintable() and subject.isprintable()):
        raise InvalidRequest("the event's id, type or customer is no plain text", code="not_an_event")
    return model.WebhookEvent(
        given.id,
        given.type,
        subject,
        given.livemode,
        _ms(given.created),
        about.id,
        named,
        name_of(about.charge),
    )


def stated(payload: bytes | str) -> model.Stated | None:
    """What an event says of its subscription; None when it is about something else, or of a shape that is not known."""
    try:
        given = _decode_subscription_event(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    now, was = subscription(given.data.object), given.data.previous_attributes or wire.PreviousAttributes()
    return model.Stated(
        subscription=now.id,
        status=now.status,
        over=given.type == "customer.subscription.deleted",
        period_start=max((item.period_start for item in now.items), default=now.created_at),
        prices=tuple(item.price.id for item in now.items),
        canceling=now.cancel_at_period_end,
        was_prices=tuple(item.price.id for item in was.items.data) if was.items else None,
        was_canceling=was.cancel_at_period_end,
        was_status=was.status,
    )
