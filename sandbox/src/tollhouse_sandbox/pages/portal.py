"""The customer portal: plan, card and invoices, as the session's configuration allows. Works without a script."""

import msgspec

from tollhouse_sandbox.billing import payment_methods, portal, schedules, setups
from tollhouse_sandbox.billing import portal_configurations as configurations
from tollhouse_sandbox.cards import NOT_AUTHENTICATED_SETUP
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.http import Request, Response, redirect
from tollhouse_sandbox.pages import card_form, portal_plans
from tollhouse_sandbox.pages.render import page
from tollhouse_sandbox.pages.visit import Visit
from tollhouse_sandbox.world import World

_DONE = {
    "card": "Your new card is used for every payment from now on.",
    "canceled": "Your subscription has been canceled.",
    "changed": "Your plan has been changed.",
    "kept": "Your plan stays as it is.",
    "resumed": "Your subscription goes on.",
    "scheduled": "Your plan will change when the present period ends.",
}


def answer(world: World, request: Request, secret: str, steps: list[str]) -> Response:
    """The page of that session's step; whatever its configuration does not allow is not there."""
    visit = _visit(world, secret)
    if visit is None:
        text = "Check the link: this page does not exist any more."
        return page(world, "notice.html", status=404, title="Page not found", text=text, link=None)
    match request.method, steps:
        case "GET" | "HEAD", []:
            return _home(visit, request)
        case "GET" | "HEAD", ["flow"]:
            return _flow(visit)
        case _, ["card"] if visit.allows("payment_method_update"):
            return _card(visit, request)
        case _, [step, key]:
            subscription = visit.subscription(key)
            if subscription:
                return portal_plans.answer(visit, request, step, subscription)
    return page(world, "notice.html", status=404, title="Not found", text="There is no such page here.", link=None)


def _visit(world: World, secret: str) -> Visit | None:
    known = world.store.get("private", secret) or {}
    session = world.store.get("billing_portal.session", known.get("portal_session", ""))
    customer = world.store.get("customer", session["customer"]) if session else None
    configuration = world.store.get(configurations.KIND, session["configuration"]) if session else None
    if session is None or customer is None or configuration is None:
        return None
    return Visit(world=world, session=session, customer=customer, features=configuration["features"], secret=secret)


class _Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as the first page shows it."""

    document: Doc
    name: str
    price: Doc
    quantity: int
    ends: int | None
    next_payment: tuple[int, int] | None
    later: Doc | None
    later_name: str
    changeable: bool
    open_invoice: Doc | None


def _home(visit: Visit, request: Request) -> Response:
    world = visit.world
    bills = world.store.where("invoice", "customer", visit.customer["id"])
    shown = [_shown(visit, subscription) for subscription in portal.living(world, visit.customer)]
    card_key = visit.customer["invoice_settings"]["default_payment_method"]
    own = shown[0].document["default_payment_method"] if shown else None
    return page(
        world,
        "portal.html",
        visit=visit,
        shown=shown,
        card=world.store.get("payment_method", own or card_key or ""),
        bills=[bill for bill in bills if bill["status"] != "draft"] if visit.allows("invoice_history") else None,
        done=_DONE.get(request.asked().get("done", "")),
    )


def _shown(visit: Visit, subscription: Doc) -> _Shown:
    world, item = visit.world, subscription["items"]["data"][0]
    later = schedules.next_price(world, subscription)
    latest = world.store.get("invoice", subscription["latest_invoice"] or "")
    return _Shown(
        document=subscription,
        name=visit.name_of(item["price"]),
        price=item["price"],
        quantity=item["quantity"],
        ends=subscription["cancel_at"],
        next_payment=portal.next_payment(world, subscription),
        later=later,
        later_name=visit.name_of(later) if later else "",
        changeable=bool(portal.offers(world, subscription, visit.features["subscription_update"])),
        open_invoice=latest if latest and latest["status"] == "open" else None,
    )


def _flow(visit: Visit) -> Response:
    """On to the one step for which the session was made."""
    flow = visit.session["flow"]
    match flow["type"] if flow else "":
        case "payment_method_update":
            return redirect(visit.at("card"))
        case "subscription_cancel":
            return redirect(visit.at("cancel", flow["subscription_cancel"]["subscription"]))
        case "subscription_update":
            return redirect(visit.at("update", flow["subscription_update"]["subscription"]))
        case "subscription_update_confirm":
            wanted = flow["subscription_update_confirm"]
            return redirect(visit.at("confirm", wanted["subscription"]) + f"?price={wanted['items'][0]['price']}")
        case _:
            return redirect(visit.at())


def _card(visit: Visit, request: Request) -> Response:
    """Takes a card, checks it with its issuer and its owner, and makes it the one that is charged."""
    world = visit.world
    if request.method != "POST":
        return _after_the_bank(visit, request)
    typed, card, errors = card_form.read(request.form(), world.clock.now())
    if card is None:
        return _card_page(visit, typed, errors)
    billing = {"email": visit.customer["email"], "name": typed["name"]}
    method = payment_methods.create(world, card, livemode=visit.customer["livemode"], billing=billing)
    intent = setups.create(world, livemode=visit.customer["livemode"], customer=visit.customer["id"])
    back = f"{world.base_url}{visit.at('card')}?confirmed={intent['id']}"
    decline = setups.confirm(world, intent, method, return_url=back)
    if decline:
        return _card_page(visit, typed, card_form.errors_of(decline))
    if intent["status"] == "requires_action":
        world.keep_private(intent["id"], for_every_payment=True)
        return redirect(intent["next_action"]["redirect_to_url"]["url"])
    portal.use_card(world, visit.customer, method)
    return visit.complete("card")


def _after_the_bank(visit: Visit, request: Request) -> Response:
    intent = visit.world.store.get("setup_intent", request.asked().get("confirmed", ""))
    if intent is None or intent["customer"] != visit.customer["id"]:
        return _card_page(visit, card_form.EMPTY, {})
    if intent["status"] == "succeeded":
        return visit.complete("card")
    return _card_page(visit, card_form.EMPTY, card_form.errors_of(NOT_AUTHENTICATED_SETUP))


def _card_page(visit: Visit, typed: dict[str, str], errors: dict[str, str]) -> Response:
    due = any(s["status"] in ("past_due", "unpaid") for s in portal.living(visit.world, visit.customer))
    status = 402 if errors else 200
    return page(visit.world, "portal_card.html", status=status, visit=visit, typed=typed, errors=errors, due=due)
