"""What a Checkout session costs with tax, and the address and tax id that are typed on its page."""

from tollhouse_sandbox.billing import tax_ids, taxes
from tollhouse_sandbox.billing.payment_methods import NO_ADDRESS
from tollhouse_sandbox.documents import Doc, snapshot
from tollhouse_sandbox.world import World

NO_LOCATION = (
    "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid address to the Customer"
    " or set either `customer_update[address]` to 'auto' or `customer_update[shipping]` to 'auto' to save the address"
    " entered in Checkout to the Customer."
)
NO_NAME = (
    "Tax ID collection requires updating business name on the customer. To enable tax ID collection for an existing"
    " customer, please set `customer_update[name]` to `auto`."
)


def refusal(given: Doc, customer: Doc | None) -> tuple[str, str] | None:
    """Why such a session cannot be opened for a customer that exists: Stripe's words and the parameter."""
    update = given.get("customer_update") or {}
    if customer is None:
        return ("`customer_update` can only be used with `customer`.", "customer_update") if update else None
    taxed = (given.get("automatic_tax") or {}).get("enabled")
    if taxed and update.get("address") != "auto" and not (customer["address"] or {}).get("country"):
        return NO_LOCATION, "automatic_tax"
    if (given.get("tax_id_collection") or {}).get("enabled") and update.get("name") != "auto":
        return NO_NAME, "tax_id_collection"
    return None


def asks_address(session: Doc) -> bool:
    """Whether the page has a form for it."""
    return session["billing_address_collection"] == "required" or bool(session["automatic_tax"]["enabled"])


def asks_tax_id(session: Doc) -> bool:
    """Whether the page takes a tax id."""
    return bool((session.get("tax_id_collection") or {}).get("enabled"))


def locate(world: World, session: Doc, typed: dict[str, str]) -> dict[str, str]:
    """Takes the address and the tax id from the page; answers the errors by field. The tax is worked out anew."""
    errors: dict[str, str] = {}
    known = world.private(session["id"])
    if asks_address(session):
        country, postal_code = typed.get("country", ""), typed.get("postal_code", "").strip()
        if len(country) != 2 or not country.isascii() or not country.isupper():
            errors["country"] = "Choose your country."
        elif not postal_code:
            errors["postal-code"] = "Your postal code is incomplete."
        else:
            known["address"] = {**NO_ADDRESS, "country": country, "postal_code": postal_code}
    value = typed.get("tax_id", "").replace(" ", "").upper() if asks_tax_id(session) else ""
    kind = tax_ids.kind_of(value) if value else None
    if value and kind is None:
        errors["tax-id"] = "Your tax ID is invalid."
    known["tax_id"] = [kind, value] if kind else None
    if not errors:
        world.keep_private(session["id"], **{name: known.get(name) for name in ("address", "tax_id")})
        recount(world, session)
    return errors


def recount(world: World, session: Doc) -> None:
    """The session's sums from its lines, their discounts and their tax."""
    known = world.private(session["id"])
    lines = known["line_items"]
    payer = _payer(world, session)
    taxed = bool(session["automatic_tax"]["enabled"]) and not known.get("free")
    if session["automatic_tax"]["enabled"]:
        facts = taxes.settings(payer)
        session["automatic_tax"] = {name: facts[name] for name in session["automatic_tax"]}
    for line in lines:
        net = line["amount_subtotal"] - line["amount_discount"]
        found = []
        if taxed and payer.country:
            found = [taxes.on(world, payer, net, taxes.behaviour_of(line["price"], line["currency"]))]
        line.update(amount_tax=sum(tax["amount"] for tax in found), amount_total=net + taxes.added(found))
    world.keep_private(session["id"], line_items=lines)
    if not known.get("free") and session["total_details"]:
        total = sum(line["amount_total"] for line in lines)
        session["amount_total"] = total
        session["total_details"].update(
            amount_discount=sum(line["amount_discount"] for line in lines),
            amount_tax=sum(line["amount_tax"] for line in lines),
        )
        session["payment_status"] = "unpaid" if total else "no_payment_required"
    intent = world.store.get("payment_intent", known.get("intent", ""))
    if intent:
        intent["amount"] = session["amount_total"]
        world.store.put("payment_intent", intent)
    world.store.put("checkout.session", session)


def keep(world: World, session: Doc, customer: Doc | None) -> None:
    """Writes what was typed on the customer, as far as the session may."""
    known = world.private(session["id"])
    update = known.get("customer_update") or {}
    if customer is None:
        return
    before = snapshot(customer)
    own = session["customer"] is None
    if known.get("address") and (own or update.get("address") == "auto"):
        customer["address"] = known["address"]
    if known.get("name") and update.get("name") == "auto":
        customer["name"] = known["name"]
    world.emit_change("customer.updated", customer, before)
    if known.get("tax_id"):
        tax_ids.create(world, customer, *known["tax_id"])


def address_of(world: World, session: Doc) -> Doc | None:
    """The address that was typed on the page."""
    found: Doc | None = world.private(session["id"]).get("address")
    return found


def _payer(world: World, session: Doc) -> taxes.Payer:
    known = world.private(session["id"])
    payer = taxes.payer_of(world, world.store.get("customer", session["customer"] or ""))
    country = (known.get("address") or {}).get("country") or payer.country
    typed = known.get("tax_id")
    return taxes.Payer(country, payer.exempt, payer.business or bool(typed and typed[0] == "eu_vat"))
