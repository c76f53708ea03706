"""`tollhouse stripe validate`: is everything at Stripe, and between Stripe and this instance, as it has to be (row U2).

Each finding has a name of its own and its fix. Nothing is changed anywhere, at Stripe or here.
"""

from typing import Literal

import msgspec

from tollhouse.billing.account import AccountFacts
from tollhouse.billing.furnishing import portal_differences, portal_of, portal_prices, require_account, wanted_portal
from tollhouse.billing.ids_file import Ids
from tollhouse.billing.model import PriceFacts
from tollhouse.billing.prices import PriceMap
from tollhouse.billing.stripe import SUPPORTED_API_VERSION, TOLERANCE_SECONDS, StripeAccount
from tollhouse.billing.wanted import WantedPrice, slug, told, wanted_prices
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.errors import ConfigurationError, NotFound, TollhouseError
from tollhouse.settings import ConfigurationProblems, Settings

SETUP = "run `tollhouse stripe setup`"
KEYS = "Dashboard → Developers → API keys"


class Finding(msgspec.Struct, frozen=True):
    """One check. `code` names what is wrong, the same for ever; `ok` where nothing is."""

    check: str
    status: Literal["ok", "warning", "failed"]
    message: str
    code: str = "ok"
    fix: str | None = None
    setting: str | None = None


def ok(check: str, message: str) -> Finding:
    """As it has to be."""
    return Finding(check, "ok", message)


def failed(check: str, code: str, message: str, fix: str, setting: str | None = None) -> Finding:
    """Has to be mended."""
    return Finding(check, "failed", message, code, fix, setting)


def warning(check: str, code: str, message: str, fix: str, setting: str | None = None) -> Finding:
    """Works, and somebody should know."""
    return Finding(check, "warning", message, code, fix, setting)


def of_configuration(problems: ConfigurationProblems) -> list[Finding]:
    """What the settings alone say: a key of the wrong mode is told apart from every other mistake."""
    found = []
    for problem in problems.problems:
        place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
        message = f"{place}: {problem.key} is {problem.found}; allowed: {problem.allowed}"
        is_mode = problem.found in ("a test key", "a live key")
        code = "wrong_mode" if is_mode else "configuration_error"
        found.append(failed("mode" if is_mode else "settings", code, message, problem.fix, problem.key))
    return found


def no_key() -> Finding:
    """Nothing can be asked."""
    return failed("key", "key_missing", "STRIPE_SECRET_KEY is not set", f"set it ({KEYS})", "STRIPE_SECRET_KEY")


async def account_findings(
    gateway: StripeAccount, settings: Settings, known: Ids | None, now: int
) -> tuple[list[Finding], AccountFacts | None]:
    """The key, whose it is, its mode, the clocks, the version. No account: nothing else can be asked."""
    mode = "live" if gateway.live_mode else "test"
    try:
        account = await gateway.account()
    except ConfigurationError as error:
        code = error.code.removeprefix("stripe_")
        return [failed("key", code, error.detail, error.fix or KEYS, "STRIPE_SECRET_KEY")], None
    except TollhouseError as error:
        return [failed("key", error.code, error.detail, error.fix or "try again", "STRIPE_API_BASE")], None
    findings = [ok("key", "Stripe accepts it"), ok("mode", f"{mode} mode, as {settings.environment} has to have it")]
    try:
        require_account(account, settings, known)
        findings.append(_charges(account, live=gateway.live_mode))
    except ConfigurationError as error:
        findings.append(failed("account", "wrong_account", error.detail, error.fix or KEYS, "STRIPE_SECRET_KEY"))
        return findings, None
    return [*findings, _clock(account, now), _version(settings)], account


def _charges(account: AccountFacts, *, live: bool) -> Finding:
    who = f"{account.id} ({account.name})"
    if live and not account.charges_enabled:
        fix = "finish activating the account: Dashboard → Activate payments"
        return failed("account", "account_not_activated", f"{who} cannot take payments yet", fix)
    return ok("account", who)


def _clock(account: AccountFacts, now: int) -> Finding:
    if account.answered_at is None:
        return warning("clock", "clock_unknown", "Stripe did not say what time it has", "try again")
    off = (now - account.answered_at) // 1000
    if abs(off) > TOLERANCE_SECONDS:
        what = f"the database's clock is {abs(off)} s {'ahead of' if off > 0 else 'behind'} Stripe's"
        why = f"a webhook is refused when it was signed more than {TOLERANCE_SECONDS} s ago"
        return failed("clock", "clock_off", f"{what}; {why}", "set the clock of the database's host (NTP)")
    return ok("clock", f"within {abs(off)} s of Stripe's")


def _version(settings: Settings) -> Finding:
    pinned = settings.stripe.api_version
    if pinned is not None and pinned != SUPPORTED_API_VERSION:
        message = f"{pinned} is pinned; this release was tested with {SUPPORTED_API_VERSION}"
        fix = "take STRIPE_API_VERSION away, unless there is a reason for it"
        return warning("api_version", "other_api_version", message, fix, "STRIPE_API_VERSION")
    return ok("api_version", SUPPORTED_API_VERSION)


Found = list[tuple[WantedPrice, PriceFacts | None]]


async def price_findings(gateway: StripeAccount, catalog: Catalog) -> tuple[list[Finding], Found]:
    """Every price of the catalogue, by the id that is named or by its lookup key; and the product of each."""
    findings, found = [], []
    products: dict[str, WantedPrice] = {}
    for wanted in wanted_prices(catalog):
        name = f"price {wanted.owner} {wanted.every or 'once'} {wanted.currency}"
        facts = await _price(gateway, wanted)
        finding = _price_finding(name, wanted, facts)
        if finding.code == "price_differs" and wanted.fixed is not None:
            finding = await _pinned(gateway, wanted, finding)
        findings.append(finding)
        found.append((wanted, facts))
        if facts is not None and not wanted.retired:
            products.setdefault(facts.product, wanted)
    for product, wanted in products.items():
        findings.append(await _product_finding(gateway, product, wanted))
    return findings, found


async def _price(gateway: StripeAccount, wanted: WantedPrice) -> PriceFacts | None:
    if wanted.fixed is None:
        return await gateway.price_of_key(wanted.lookup_key)
    try:
        return await gateway.price(wanted.fixed)
    except NotFound:
        return None


def _price_finding(name: str, wanted: WantedPrice, facts: PriceFacts | None) -> Finding:
    setting = wanted.variable if wanted.fixed is not None else wanted.setting
    if facts is None:
        if wanted.fixed is not None:
            fix = "copy the id of a price of this account and mode, or unset it and run `tollhouse stripe setup`"
            return failed(name, "price_missing", f"Stripe has no price {wanted.fixed}", fix, setting)
        message = f"Stripe has no active price with the lookup key {wanted.lookup_key}"
        return failed(name, "price_missing", message, SETUP, setting)
    if not wanted.agrees(facts):
        fix = f'{SETUP}, which makes a new price; or write amount = {facts.amount_minor} and currency = "{facts.currency}" in the catalogue'
        message = f"{facts.id} is {told(facts)} at Stripe, and {wanted.told()} in the catalogue"
        return failed(name, "price_differs", message, fix, setting)
    if not facts.active and not wanted.retired:
        fix = "unarchive it in the Dashboard, or unset the id and run `tollhouse stripe setup`"
        return failed(name, "price_archived", f"{facts.id} is archived", fix, setting)
    return ok(name, f"{facts.id}, {told(facts)}")


async def _pinned(gateway: StripeAccount, wanted: WantedPrice, finding: Finding) -> Finding:
    """An id that was exported before the amount changed: setup has made the new price, and the id still names the old one."""
    keyed = await gateway.price_of_key(wanted.lookup_key)
    if keyed is None or not wanted.agrees(keyed):
        return finding
    fix = f"set {wanted.variable} to {keyed.id} (or run `tollhouse stripe setup --export …` again)"
    return msgspec.structs.replace(finding, fix=fix)


async def _product_finding(gateway: StripeAccount, product_id: str, wanted: WantedPrice) -> Finding:
    name = f"product {wanted.owner}"
    product = await gateway.product(product_id)
    if product is None:
        return failed(name, "product_missing", f"Stripe has no product {product_id}", SETUP)
    if not product.active:
        return failed(name, "product_archived", f"{product_id} is archived: nobody can buy it", SETUP)
    return ok(name, f"{product_id}, {product.name}")


async def unmapped_findings(gateway: StripeAccount, mapped: PriceMap, found: Found) -> list[Finding]:
    """Products that are sold at Stripe and that no plan or pack maps to (row A21)."""
    ours = {facts.id for _, facts in found if facts is not None}
    known = {facts.product for _, facts in found if facts is not None}
    findings = []
    looked = 0
    async for product in gateway.active_products():
        looked += 1
        if product.id in known:
            continue
        recurring = [price for price in await gateway.prices_of(product.id) if price.every]
        unmapped = [price for price in recurring if price.id not in ours and mapped.find(price) is None]
        if not unmapped:
            continue
        fix = f'name it in a plan: stripe_products = ["{product.id}"], or archive it at Stripe'
        message = f"no plan maps to {product.id} ({product.name})"
        sold = [price.id for price in unmapped if await gateway.is_subscribed(price.id)]
        if sold:
            message += f", and {sold[0]} of it is subscribed to: its events are parked"
            findings.append(failed("unmapped", "product_unmapped", message, fix))
        else:
            findings.append(warning("unmapped", "product_unmapped", message + "; nobody is subscribed to it", fix))
    return findings or [ok("unmapped", f"every recurring product of {looked} maps to a plan")]


async def portal_findings(gateway: StripeAccount, catalog: Catalog, found: Found) -> list[Finding]:
    """The customer portal offers what the catalogue sells."""
    present = portal_of(await gateway.portals(), slug(catalog))
    if present is None:
        message = "no configuration of ours: customers see the account's default portal"
        return [failed("portal", "portal_missing", message, SETUP)]
    lacking = portal_differences(present, wanted_portal(catalog, portal_prices(found)))
    if lacking:
        return [failed("portal", "portal_differs", f"{present.id} differs in {', '.join(lacking)}", SETUP)]
    return [ok("portal", present.id)]
