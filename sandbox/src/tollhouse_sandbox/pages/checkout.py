"""The hosted pages of a payment: the Checkout page, and the bank's where a card asks for its owner."""

from tollhouse_sandbox.banks import Account
from tollhouse_sandbox.billing import authentication as banks
from tollhouse_sandbox.billing import checkout as sessions
from tollhouse_sandbox.billing import checkout_tax, taxes
from tollhouse_sandbox.cards import Card, Decline
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.http import Request, Response, redirect
from tollhouse_sandbox.pages import card_form
from tollhouse_sandbox.pages.render import page
from tollhouse_sandbox.world import World

COUNTRIES = sorted({*taxes.RATES, "US", "BR", "IN", "MX", "NZ", "SG"})
"""Where a payer may live: the countries whose tax is known, and some where none is collected."""


def checkout(world: World, request: Request, key: str) -> Response:
    """The payment page: shows what is bought, takes a card or an account, and sends the customer back."""
    session = world.store.get("checkout.session", key)
    if session is None or session["status"] != "open":
        return _closed(world, session)
    details = session["customer_details"] or {}
    if request.method != "POST":
        first = {**card_form.EMPTY, "method": session["payment_method_types"][0]}
        return _form(world, session, {**first, "email": details.get("email") or ""}, {})
    form = request.form()
    typed, means, field_errors = _means(world, session, form)
    typed["email"] = details.get("email") or form.get("email", "").strip()
    if form.get("answer") in ("apply", "remove") and _takes_codes(session):
        return _change_code(world, session, form, typed)
    if form.get("answer") == "tax":
        return _form(world, session, typed, checkout_tax.locate(world, session, form))
    errors = {}
    if typed["email"].count("@") != 1:
        errors["email"] = "Your email is incomplete." if not typed["email"] else "Your email is invalid."
    errors |= checkout_tax.locate(world, session, form) | field_errors
    if errors or means is None:
        return _form(world, session, typed, errors)
    name = typed["holder"] if isinstance(means, Account) else typed["name"]
    world.keep_private(session["id"], stays=form.get("answer") == "stay")
    return _follow(world, session, sessions.pay(world, session, means, typed["email"], name), typed)


def _means(
    world: World, session: Doc, form: dict[str, str]
) -> tuple[dict[str, str], Card | Account | None, dict[str, str]]:
    """What is typed, of the ways to pay that the session takes."""
    types = session["payment_method_types"]
    if "sepa_debit" in types and (form.get("method") == "sepa_debit" or "card" not in types):
        return card_form.read_account(form)
    return card_form.read(form, world.clock.now())


def authentication(world: World, request: Request, key: str) -> Response:
    """The bank's page of a card that asks for its owner."""
    session = world.store.get("checkout.session", key)
    if session is None or session["status"] != "open":
        return _closed(world, session)
    if request.method != "POST":
        amount = (session["amount_total"] or 0, session["currency"])
        return page(world, "authenticate.html", action=f"/checkout/{key}/authenticate", amount=amount)
    outcome = sessions.authenticate(world, session, success=request.form().get("answer") == "complete")
    known = world.private(session["id"])
    typed = {**card_form.EMPTY, "email": known.get("email", ""), "name": known.get("name", "")}
    return _follow(world, session, outcome, typed)


def intent_authentication(world: World, request: Request, key: str) -> Response:
    """The bank's page for a payment or a card begun through the API."""
    intent = banks.waiting(world, key)
    if intent is None:
        text = "There is nothing to confirm here, or it has been answered."
        return page(world, "notice.html", status=404, title="Nothing to confirm", text=text, link=None)
    if request.method != "POST":
        amount = (intent.get("amount", 0), intent.get("currency"))
        return page(world, "authenticate.html", action=f"/authenticate/{key}", amount=amount)
    return_url = intent["next_action"]["redirect_to_url"]["return_url"]
    decline = banks.conclude(world, intent, success=request.form().get("answer") == "complete")
    if return_url:
        return redirect(return_url)
    title = "Not confirmed" if decline else "Confirmed"
    return page(
        world, "notice.html", title=title, text=decline.message if decline else "You can close this page.", link=None
    )


def _follow(world: World, session: Doc, outcome: sessions.Outcome, typed: dict[str, str]) -> Response:
    if outcome.state == "complete":
        return _stayed(world, session) if world.private(session["id"]).get("stays") else redirect(_way_back(session))
    if outcome.state == "authenticate":
        return redirect(f"/checkout/{session['id']}/authenticate")
    decline = outcome.decline or Decline("card_declined", "Your card was declined.")
    return _form(world, session, typed, card_form.errors_of(decline))


def _way_back(session: Doc) -> str:
    """The shop's page for who has paid."""
    return str(session["success_url"]).replace("{CHECKOUT_SESSION_ID}", session["id"])


def _stayed(world: World, session: Doc) -> Response:
    """For who pays and closes the tab: no page of the shop's is opened, so that only webhooks tell it."""
    paid = world.store.get("checkout.session", session["id"]) or session
    title = {"paid": "Paid", "unpaid": "Your bank has been asked"}.get(paid["payment_status"], "All done")
    text = "The shop was not told by your browser. It hears of this by webhook alone. You can close this page."
    return page(world, "notice.html", title=title, text=text, link=None)


def _takes_codes(session: Doc) -> bool:
    return bool(session["allow_promotion_codes"]) and session["mode"] != "setup"


def _change_code(world: World, session: Doc, form: dict[str, str], typed: dict[str, str]) -> Response:
    """Takes the promotion code, or takes it back."""
    if form["answer"] == "remove":
        sessions.set_offer(world, session, None)
        return redirect(f"/checkout/{session['id']}")
    refused = sessions.redeem_code(world, session, form.get("promotion_code", "").strip())
    return _form(world, session, typed, {}, refused) if refused else redirect(f"/checkout/{session['id']}")


def _form(
    world: World, session: Doc, typed: dict[str, str], errors: dict[str, str], refused: str | None = None
) -> Response:
    known = world.private(session["id"])
    lines = known["line_items"]
    recurring = lines[0]["price"]["recurring"] if lines and session["mode"] == "subscription" else None
    offer = known.get("offer")
    lasting = offer is None or offer["coupon"]["duration"] == "forever"
    renewal = sum(line["amount_total" if lasting else "amount_subtotal"] for line in lines)
    promotion = world.store.get("promotion_code", offer["promotion_code"] or "") if offer else None
    address = known.get("address") or {}
    trial_days = (known.get("subscription_data") or {}).get("trial_period_days")
    return page(
        world,
        "checkout.html",
        status=402 if errors else 400 if refused else 200,
        session=session,
        lines=lines,
        recurring=recurring,
        renewal=renewal,
        asks_address=checkout_tax.asks_address(session),
        asks_tax_id=checkout_tax.asks_tax_id(session),
        countries=COUNTRIES,
        place=(address.get("country") or "", address.get("postal_code") or ""),
        tax_id=(known.get("tax_id") or ("", ""))[1],
        tax=(session["total_details"] or {}).get("amount_tax", 0),
        included=sum(line["amount_tax"] for line in lines) - sum(_added(line) for line in lines),
        discount=sum(line["amount_discount"] for line in lines),
        offer=offer,
        code=promotion["code"] if promotion else None,
        refused=refused,
        trial_days=trial_days,
        typed=typed,
        errors=errors,
        fixed_email=bool((session["customer_details"] or {}).get("email")),
    )


def _added(line: Doc) -> int:
    """What tax adds to the line's amount."""
    added: int = line["amount_total"] - (line["amount_subtotal"] - line["amount_discount"])
    return added


def _closed(world: World, session: Doc | None) -> Response:
    if session is None:
        text = "Check the link: this payment page does not exist."
        return page(world, "notice.html", status=404, title="Page not found", text=text, link=None)
    if session["status"] == "complete":
        text = "You have paid. Nothing more is to be done here."
        if session["payment_status"] == "unpaid":
            text = "Your bank has been asked for the payment, which takes some days. Nothing more is to be done here."
        return page(world, "notice.html", title="Payment complete", text=text, link=(_way_back(session), "Continue"))
    link = (session["cancel_url"], "Back") if session["cancel_url"] else None
    text = "The time to pay on this page is over, and nothing was charged. Go back and start again."
    return page(world, "notice.html", status=410, title="This page has expired", text=text, link=link)
