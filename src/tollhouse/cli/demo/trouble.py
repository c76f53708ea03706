"""What went wrong in the demo's past, written by the product's own functions at its own time, so that staff see how it looks.

Two days ago Stripe's webhooks were refused for twenty minutes. One event waits for staff still. The endpoint of webhooks out
is disabled: nothing leaves this machine.
"""

import msgspec

from tollhouse.alerts import incidents
from tollhouse.alerts import queries as alert_queries
from tollhouse.alerts.hooks import actions as hooks
from tollhouse.alerts.hooks import queries as hook_queries
from tollhouse.alerts.hooks.events import body_of
from tollhouse.alerts.hooks.opening import open_hooks
from tollhouse.billing.refused import ALERT_KEY, MEANINGS
from tollhouse.billing.stripe import FIXES
from tollhouse.billing.syncing import SOURCE
from tollhouse.cli.demo.home import ADMIN_EMAIL
from tollhouse.house import House
from tollhouse.kernel.clock import DAY, MINUTE, SECOND
from tollhouse.kernel.facts import OperatorAlert
from tollhouse.kernel.ids import new_id
from tollhouse.store import Tx, inbox

REFUSED_MINUTES = 20
BUYER = "cus_DemoEarlierBuyer"
STRANGER = "cus_DemoOfAnotherShop"
UNMAPPED = "no plan maps to price_DemoGone; the payment is kept. fix: name its product in a plan"
EVENTS: tuple[tuple[float, str, str, str | None], ...] = (
    (6.3, "checkout.session.completed", BUYER, None),
    (6.2, "customer.subscription.created", BUYER, None),
    (6.1, "invoice.payment_succeeded", BUYER, None),
    (3.4, "customer.subscription.deleted", BUYER, None),
    (1.7, "invoice.payment_failed", STRANGER, UNMAPPED),
)
"""So many days ago, the type, about whom, and why it waits for staff."""
HOOK_URL = "https://api.example.com/hooks/tollhouse"
HOOK_EVENT = "subscription.ended"
DELIVERIES: tuple[tuple[float, int | None, str | None], ...] = (
    (4.6, 204, None),
    (3.4, 204, None),
    (2.5, 503, "it answered 503"),
)
"""So many days ago, what was answered, and what was wrong with it."""
DISABLED = "api.example.com moves to another host"


async def live_through(tx: Tx, house: House, present_ms: int) -> None:
    """All of it. Nobody is written to: the alert counts as told and over."""
    await _refuse(tx, present_ms - 2 * DAY)
    for days_ago, kind, subject, error in EVENTS:
        await _receive(tx, kind, subject, error, present_ms - round(days_ago * DAY))
    await _send(tx, house, present_ms)


async def _refuse(tx: Tx, at: int) -> None:
    detail = (
        f"Stripe is reached: {MEANINGS['wrong_secret']}. What was paid meanwhile waits in the inbox and is not lost."
    )
    alert = OperatorAlert(ALERT_KEY, "high", "Stripe's webhooks are refused", detail, FIXES["wrong_secret"])
    for number in range(3):
        await incidents.open_alert(tx, alert, f"demo-{number}", at + number * 5 * MINUTE)
    [opened] = [found for found in await incidents.open_alerts(tx) if found.key == ALERT_KEY]
    ended = at + REFUSED_MINUTES * MINUTE
    await tx.execute(alert_queries.TOLD, id=opened.id, now=at + 10 * SECOND, channels="email")
    await tx.execute(alert_queries.END, id=opened.id, happened=opened.happened, now=ended)
    await tx.execute(alert_queries.END_TOLD, id=opened.id, now=ended)


async def _receive(tx: Tx, kind: str, subject: str, error: str | None, at: int) -> None:
    name = f"evt_Demo{at}"
    told = {
        "id": name, "object": "event", "type": kind, "livemode": False, "created": at // SECOND,
        "data": {"object": {"customer": subject}},
    }  # fmt: skip
    await inbox.receive(tx, SOURCE, name, kind, subject, msgspec.json.encode(told).decode(), at)
    claim = new_id("clm")
    taken = await inbox.claim(tx, at, MINUTE, claim)
    if error is None:
        await inbox.done(tx, [(event, claim) for event in taken], at + SECOND)
        return
    for event in taken:
        await inbox.park(tx, event, claim, attempts=1, error=error, failed_at=at)


async def _send(tx: Tx, house: House, present_ms: int) -> None:
    opened, begun = open_hooks(house.settings), present_ms - 7 * DAY
    added = await hooks.add_endpoint(
        tx, opened.vault, opened.reach, HOOK_URL, events=(HOOK_EVENT,), description="The product's own server",
        by_whom=ADMIN_EMAIL, now=begun,
    )  # fmt: skip
    endpoint = added.endpoint.id
    for days_ago, answered, error in DELIVERIES:
        at, event, claim = present_ms - round(days_ago * DAY), new_id("evt"), new_id("clm")
        body = body_of(HOOK_EVENT, {"customer": None, "subscription": f"sub_Demo{at}", "plan": "starter"}, at)
        await tx.execute(hook_queries.INSERT_EVENT, id=event, type=HOOK_EVENT, customer=None, payload=body, at=at)
        await tx.execute(
            hook_queries.INSERT_DELIVERY,
            endpoint=endpoint,
            event=event,
            status="waiting",
            now=at,
            done_at=None,
            error=None,
        )
        await tx.execute(hook_queries.CLAIM, endpoint=endpoint, event=event, claim=claim, until=at + MINUTE)
        await tx.execute(
            hook_queries.INSERT_ATTEMPT, id=new_id("hat"), endpoint=endpoint, event=event, at=at, took_ms=84,
            answered=answered, error=error, answer="",
        )  # fmt: skip
        outcome = {"endpoint": endpoint, "event": event, "claim": claim, "answered": answered, "now": at}
        if error is None:
            await tx.execute(hook_queries.DELIVERED, **outcome)
        else:
            await tx.execute(hook_queries.GIVE_UP, **outcome, error=error)
    await hooks.disable_endpoint(tx, endpoint, DISABLED, present_ms - 2 * DAY)
