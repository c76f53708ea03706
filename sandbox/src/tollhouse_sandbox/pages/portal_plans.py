"""The portal's pages about one subscription: another plan, its end, and taking either back."""

from tollhouse_sandbox.billing import changes, portal, schedules
from tollhouse_sandbox.billing.portal_configurations import CANCELLATION_REASONS
from tollhouse_sandbox.cards import Decline
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.http import Request, Response, redirect
from tollhouse_sandbox.pages.render import page
from tollhouse_sandbox.pages.visit import Visit

_REASONS = {
    "too_expensive": "It is too expensive",
    "missing_features": "Some features are missing",
    "switched_service": "I am switching to another service",
    "unused": "I do not use it enough",
    "customer_service": "Customer service was not good",
    "too_complex": "It is too hard to use",
    "low_quality": "The quality was not good",
    "other": "Another reason",
}


def answer(visit: Visit, request: Request, step: str, subscription: Doc) -> Response:
    """The step's page, or what its form sets off."""
    post = request.method == "POST"
    if subscription["cancel_at"] is not None and step != "resume":
        return redirect(visit.at())
    match step:
        case "update" if visit.allows("subscription_update") and not post:
            return _choose(visit, subscription)
        case "confirm" if visit.allows("subscription_update"):
            return _confirm(visit, request, subscription)
        case "cancel" if visit.allows("subscription_cancel"):
            return _cancel(visit, request, subscription)
        case "resume" if post:
            portal.resume(visit.world, subscription)
            return visit.complete("resumed")
        case "keep" if post:
            schedules.release(visit.world, subscription)
            return visit.complete("kept")
    return redirect(visit.at())


def _choose(visit: Visit, subscription: Doc) -> Response:
    offers = portal.offers(visit.world, subscription, visit.features["subscription_update"])
    item = subscription["items"]["data"][0]
    return page(visit.world, "portal_update.html", visit=visit, subscription=subscription, item=item, offers=offers)


def _confirm(visit: Visit, request: Request, subscription: Doc) -> Response:
    allowed = visit.features["subscription_update"]
    wanted = (request.form() if request.method == "POST" else request.asked()).get("price")
    offers = portal.offers(visit.world, subscription, allowed)
    price = next((price for price in offers if price["id"] == wanted), None)
    if price is None:
        return redirect(visit.at("update", subscription["id"]))
    waits = _waits(subscription, price, allowed)
    if request.method == "POST":
        decline = portal.change_plan(visit.world, subscription, price, allowed)
        if decline is None:
            return visit.complete("scheduled" if waits else "changed")
        return _confirm_page(visit, subscription, price, waits, decline)
    return _confirm_page(visit, subscription, price, waits, None)


def _waits(subscription: Doc, price: Doc, allowed: Doc) -> bool:
    present = subscription["items"]["data"][0]["price"]
    return subscription["status"] != "trialing" and portal.waits_for_the_period(allowed, present, price)


def _confirm_page(visit: Visit, subscription: Doc, price: Doc, waits: bool, decline: Decline | None) -> Response:
    world, proration = visit.world, visit.features["subscription_update"]["proration_behavior"]
    at_once = not waits and subscription["status"] != "trialing"
    lines = changes.preview(world, subscription, price, proration=proration) if at_once else []
    return page(
        world,
        "portal_confirm.html",
        status=402 if decline else 200,
        visit=visit,
        subscription=subscription,
        item=subscription["items"]["data"][0],
        price=price,
        waits=waits,
        lines=lines,
        due=portal.due_now(world, subscription, lines) if lines else 0,
        credit=-int(visit.customer["balance"]),
        decline=decline,
    )


def _cancel(visit: Visit, request: Request, subscription: Doc) -> Response:
    allowed = visit.features["subscription_cancel"]
    asked = allowed["cancellation_reason"]
    reasons = [(key, _REASONS[key]) for key in asked["options"]] if asked["enabled"] else []
    if request.method == "POST":
        feedback = request.form().get("feedback")
        known = feedback if feedback in CANCELLATION_REASONS else None
        portal.cancel(visit.world, subscription, allowed, known)
        return visit.complete("canceled")
    item = subscription["items"]["data"][0]
    return page(
        visit.world,
        "portal_cancel.html",
        visit=visit,
        subscription=subscription,
        item=item,
        at_once=allowed["mode"] == "immediately",
        reasons=reasons,
    )
