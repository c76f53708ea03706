"""What follows on Stripe's side when a customer has brought a card, and which payments an event is about (row U4).

A card that was kept becomes the customer's default where it has none, and pays what is owed, so that a subscription that
stands still goes on at once. Done again it does nothing more: Stripe's own state decides, and one key pays once.
"""

from collections.abc import Iterable

import structlog

from tollhouse.billing.model import SETUP_KEY, WAITING_STATUSES, Invoice, Payment, Setup, Subscription, WebhookEvent
from tollhouse.billing.stripe import StripeGateway, intents
from tollhouse.kernel.errors import InvalidRequest, NotFound

PAYMENT_TYPES = frozenset({"payment_intent.succeeded", "payment_intent.payment_failed"})
SETUP_TYPE = "setup_intent.succeeded"
STANDS_STILL = frozenset({"incomplete", "past_due", "unpaid"})

log = structlog.get_logger(__name__)


async def payments_named(gateway: StripeGateway, read: Iterable[WebhookEvent]) -> list[Payment]:
    """The present state of every payment that these events are about."""
    found = []
    for name in sorted({event.object_id for event in read if event.object_id and event.type in PAYMENT_TYPES}):
        try:
            found.append(await intents.payment(gateway, name))
        except NotFound:  # test data that was deleted since
            log.info("billing.payment_gone", payment=name)
    return found


async def go_on_with_cards(gateway: StripeGateway, stripe_id: str, read: Iterable[WebhookEvent]) -> None:
    """Let every card that these events say is kept be used where it is waited for."""
    for name in sorted({event.object_id for event in read if event.object_id and event.type == SETUP_TYPE}):
        try:
            setup = await intents.setup(gateway, name)
        except NotFound:  # test data that was deleted since
            log.info("billing.setup_gone", setup=name)
            continue
        if setup.status == "succeeded" and setup.customer == stripe_id and setup.payment_method is not None:
            await _use(gateway, stripe_id, setup, setup.payment_method)


async def _use(gateway: StripeGateway, stripe_id: str, setup: Setup, method: str) -> None:
    try:
        if await intents.default_method(gateway, stripe_id) is None:
            await intents.set_default_method(gateway, stripe_id, method)
    except (InvalidRequest, NotFound) as error:  # the card, or the customer, has been taken away since
        log.info("billing.card_gone", setup=setup.id, error=error.detail)
        return
    waiting = [
        found
        for found in await gateway.subscriptions(stripe_id)
        # One that is being bought with this very card is paid by whoever sells it.
        if found.status in STANDS_STILL and found.metadata.get(SETUP_KEY) != setup.id
    ]
    if waiting:
        invoices = await gateway.invoices(stripe_id)
        for subscription in waiting:
            await _pay(gateway, subscription, _owed(invoices, subscription), setup, method)


def _owed(invoices: Iterable[Invoice], subscription: Subscription) -> list[Invoice]:
    """Its invoices that were tried and are not paid, the oldest first."""
    owed = [
        found
        for found in invoices
        if found.subscription == subscription.id and found.status in WAITING_STATUSES and found.attempts > 0
    ]
    return sorted(owed, key=lambda found: (found.created_at, found.id))


async def _pay(
    gateway: StripeGateway, subscription: Subscription, owed: list[Invoice], setup: Setup, method: str
) -> None:
    paid = False
    for invoice in owed:
        begun = await intents.first_payment(gateway, invoice.id)
        if begun is not None and begun[0].status in ("requires_action", "processing"):
            return  # its owner is asked by the bank at this moment, or the bank is at work
        try:
            await intents.pay(gateway, invoice.id, method, f"tollhouse-{setup.id}-{invoice.id}")
        except InvalidRequest as error:  # declined: Stripe tells that by events of its own
            log.info("billing.card_did_not_pay", setup=setup.id, invoice=invoice.id, error=error.detail)
            return
        paid = True
    if paid:
        await intents.set_method(gateway, subscription.id, method)
