"""What is wrong and what was, on a page, with the figures of /health/payments and what each means."""

from litestar import Response, get

from tollhouse.admin.site import TheOffice, receive_staff
from tollhouse.alerts.views import kind_of, read_alerts
from tollhouse.alerts.words import title_in
from tollhouse.billing.health import read_health
from tollhouse.pages.texts import N_
from tollhouse.pages.visiting import AnyRequest

DEFINITIONS = {
    "payments_health": N_(
        "More than the threshold of payments or webhooks failed within the window. It ends when the rates are below it."
    ),
    "payments_failing": N_(
        "A page on which somebody wanted to pay could not be opened. It ends an hour after the last one."
    ),
    "payment_declined": N_(
        "A card or a bank did not pay; nothing of ours is broken. It ends an hour after the last one."
    ),
    "inbox_parked": N_("An event of Stripe’s could not be applied and waits for staff. It ends when it is handled."),
    "webhook_signature": N_(
        "Stripe’s webhooks came, and their signature was refused. It ends with the next one that is verified."
    ),
    "unmapped_price": N_("Somebody bought at a price that no plan names. It ends when one does."),
    "second_subscription": N_("A customer pays for two subscriptions at once. It ends when one of them does."),
    "pack_not_granted": N_("A pack was paid, and its credits could not be granted. It ends a day after the last try."),
    "other": N_("Something needs a person. It ends a day after it happened last."),
}


@get("/admin/alerts")
async def alerts_page(office: TheOffice, request: AnyRequest) -> Response[str]:
    """The open ones first, and how payments do now."""
    visit = await receive_staff(office, request)
    settings = office.house.settings
    watched = settings.stripe.monitoring_enabled
    async with office.house.store.reading() as tx:
        now_open, past = await read_alerts(tx)
        health = await read_health(tx, settings.monitoring, office.now()) if watched else None
    channels = [("email", settings.stripe.alert_email), ("webhook", settings.monitoring.webhook_url)]
    values = {
        "open": now_open, "past": past, "health": health, "limits": settings.monitoring, "definitions": DEFINITIONS,
        "kind_of": kind_of, "title_in": title_in, "channels": [name for name, address in channels if address],
    }  # fmt: skip
    return office.pages.render("alerts.html", visit.shell, values, cookies=visit.cookies)


HANDLERS = (alerts_page,)
