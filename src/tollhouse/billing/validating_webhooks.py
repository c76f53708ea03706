"""The webhook's part of `tollhouse stripe validate`: the endpoint, its address, its secret, what did not arrive (U2).

Stripe never shows a secret again. So it is known by the fingerprint that setup left on the endpoint; by what the running
instance says of the events that reached it; and by a signed event of our own, which it must accept.
"""

import secrets
from typing import Literal

import aiohttp
import msgspec

from tollhouse.billing.account import PROBE_TYPE, WEBHOOK_PATH, EndpointFacts, fingerprint
from tollhouse.billing.furnishing import endpoints_of, unreachable
from tollhouse.billing.stripe import EVENTS_PAGE, SUPPORTED_API_VERSION, StripeAccount, read_event, sign
from tollhouse.billing.syncing import SOURCE
from tollhouse.billing.validating import SETUP, Finding, failed, ok, warning
from tollhouse.kernel.clock import HOUR
from tollhouse.settings import Settings
from tollhouse.store import Store, inbox

TIMEOUT_SECONDS = 10.0
REVEAL = "Dashboard → Developers → Webhooks → the endpoint → Signing secret"
LOOKED_BACK_MS = 72 * HOUR  # Stripe tries for three days
ROTATE = "set STRIPE_WEBHOOK_SECRET to this endpoint's own secret and start again"


async def webhook_findings(gateway: StripeAccount, settings: Settings, store: Store, now: int) -> list[Finding]:
    """Endpoint, address, secret and deliveries, in this order."""
    address = await _address(settings)
    if unreachable(settings):
        message = f"{settings.url} is a local address, which Stripe cannot call"
        fix = "use `tollhouse stripe listen` here; on a public address run `tollhouse stripe setup`"
        findings = [warning("endpoint", "endpoint_local", message, fix, "TOLLHOUSE_URL"), address]
        return [*findings, await _self_delivery(settings, now)] if address.status == "ok" else findings
    found = endpoints_of(await gateway.endpoints(), settings)
    findings = [*_endpoint(found, settings), address, _secret(found, settings)]
    if address.status == "ok":
        findings.append(await _self_delivery(settings, now))
    return [*findings, await _deliveries(gateway, found, store, now)]


def _endpoint(found: list[EndpointFacts], settings: Settings) -> list[Finding]:
    url = settings.url.rstrip("/") + WEBHOOK_PATH
    enabled = [endpoint for endpoint in found if endpoint.enabled]
    if not found:
        return [failed("endpoint", "endpoint_missing", f"no endpoint at Stripe calls {url}", SETUP, "TOLLHOUSE_URL")]
    if not enabled and (by := found[0].rolled_back) is not None:
        message, fix = f"{found[0].id} was disabled by the roll-back {by}", "run `tollhouse stripe rollback --undo`"
        return [failed("endpoint", "endpoint_disabled", message, fix)]
    if not enabled:
        fix = f"{SETUP}, which enables it again; if it was disabled on purpose, undo that first"
        return [failed("endpoint", "endpoint_disabled", f"{found[0].id} is disabled", fix)]
    if len(enabled) > 1:
        names = ", ".join(endpoint.id for endpoint in enabled)
        fix = "keep the one whose secret you have, and delete the others (Dashboard → Developers → Webhooks)"
        message = f"{len(enabled)} endpoints call this instance ({names}): every event comes twice"
        return [failed("endpoint", "endpoint_twice", message, fix)]
    endpoint = enabled[0]
    findings = [ok("endpoint", f"{endpoint.id}, {endpoint.url}")]
    if lacking := endpoint.lacks():
        message = f"{endpoint.id} does not ask for {', '.join(lacking)}"
        findings.append(failed("endpoint_events", "endpoint_events", message, SETUP))
    else:
        findings.append(ok("endpoint_events", "all that are handled"))
    return [*findings, _endpoint_version(endpoint, settings.stripe.api_version or SUPPORTED_API_VERSION)]


def _endpoint_version(endpoint: EndpointFacts, wanted: str) -> Finding:
    if endpoint.api_version == wanted:
        return ok("endpoint_version", wanted)
    has = endpoint.api_version or "the account's default version"
    fix = "Stripe cannot change it: delete the endpoint, run `tollhouse stripe setup`, set the new secret, then run"
    fix += " `tollhouse stripe reconcile`; events are understood meanwhile"
    return failed("endpoint_version", "endpoint_version", f"{endpoint.id} sends {has}, and {wanted} is pinned", fix)


async def _address(settings: Settings) -> Finding:
    """GET has to be answered with 405: that is the webhook's own answer, and nobody else's."""
    url = settings.url.rstrip("/") + WEBHOOK_PATH
    try:
        async with _client() as http, http.get(url, allow_redirects=False) as answer:
            status, where = answer.status, answer.headers.get("location", "")
    except (aiohttp.ClientError, TimeoutError) as error:
        fix = "start it with `tollhouse serve`; if it runs, correct TOLLHOUSE_URL, DNS, TLS or the proxy in front"
        message = f"{url} does not answer: {str(error) or type(error).__name__}"
        return failed("webhook_url", "webhook_url_unreachable", message, fix, "TOLLHOUSE_URL")
    if status == 405:
        return ok("webhook_url", f"{url} answers")
    if status == 404:
        fix = f"let the proxy pass {WEBHOOK_PATH} on to Tollhouse, or correct TOLLHOUSE_URL"
        return failed(
            "webhook_url", "webhook_url_404", f"{url} answers 404: Tollhouse is not there", fix, "TOLLHOUSE_URL"
        )
    if status in (301, 302, 303, 307, 308):
        message = f"{url} answers {status} to {where}: Stripe does not follow redirects"
        fix = "write the address that it leads to as TOLLHOUSE_URL, and run `tollhouse stripe setup`"
        return failed("webhook_url", "webhook_url_redirects", message, fix, "TOLLHOUSE_URL")
    fix = "look at what stands in front of Tollhouse, and at its log"
    message = f"{url} answers {status} to GET, and Tollhouse answers 405"
    return failed("webhook_url", "webhook_url_answers", message, fix, "TOLLHOUSE_URL")


def _secret(found: list[EndpointFacts], settings: Settings) -> Finding:
    """Whether one of our secrets is this endpoint's, as far as setup marked it."""
    ours = {fingerprint(secret.reveal()) for secret in settings.stripe.webhook_secrets}
    if not ours:
        fix = f"set it to the endpoint's signing secret ({REVEAL})"
        message = "STRIPE_WEBHOOK_SECRET is not set: every webhook is refused"
        return failed("webhook_secret", "webhook_secret_missing", message, fix, "STRIPE_WEBHOOK_SECRET")
    marked = [endpoint for endpoint in found if endpoint.marks()]
    for endpoint in marked:
        if not endpoint.marks() & ours:
            message = f"STRIPE_WEBHOOK_SECRET is not the secret of {endpoint.id}, but another endpoint's or mode's"
            fix = f"{ROTATE} ({REVEAL})"
            return failed("webhook_secret", "webhook_secret_wrong", message, fix, "STRIPE_WEBHOOK_SECRET")
    if not marked:
        return ok("webhook_secret", "set; the endpoint was not made by setup, so only deliveries tell whether it fits")
    return ok("webhook_secret", f"that of {', '.join(endpoint.id for endpoint in marked)}")


class _Health(msgspec.Struct, frozen=True):
    checks: dict[str, str] = {}


async def _self_delivery(settings: Settings, now: int) -> Finding:
    """The running instance verifies with the secrets that are set here, and says how Stripe's own events fared."""
    known = [secret.reveal() for secret in settings.stripe.webhook_secrets]
    url = settings.url.rstrip("/")
    try:
        async with _client() as http:
            statuses = [await _probe(http, url + WEBHOOK_PATH, secret, now) for secret in known]
            async with http.get(f"{url}/health") as answer:
                health = await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        message = f"{url} stopped answering: {str(error) or type(error).__name__}"
        return failed("delivery", "webhook_url_unreachable", message, "try again", "TOLLHOUSE_URL")
    if 400 in statuses:
        message = "the running instance refuses an event that was signed with STRIPE_WEBHOOK_SECRET: it has another one"
        fix = "set the same secret for the process that serves, and start it again"
        return failed("delivery", "instance_secret_differs", message, fix, "STRIPE_WEBHOOK_SECRET")
    if strange := [status for status in statuses if status != 200]:
        message = f"the running instance answers {strange[0]} to a signed event"
        return failed("delivery", "delivery_refused", message, "look at its log")
    try:
        said = msgspec.json.decode(health, type=_Health).checks.get("webhook_signature", "ok")
    except msgspec.DecodeError:
        said = "ok"
    if said != "ok":
        return _refused(said)
    return ok(
        "delivery",
        f"{len(statuses)} signed event(s) accepted" if known else "not tried: there is no secret to sign with",
    )


def _refused(said: str) -> Finding:
    """What the instance says of the last event that Stripe sent it."""
    code: Literal["clock_off", "webhook_secret_wrong"] = "clock_off" if "ago" in said else "webhook_secret_wrong"
    what, _, fix = said.partition("; fix: ")
    return failed("delivery", code, f"the running instance refused the last event: {what}", fix or ROTATE)


async def _probe(http: aiohttp.ClientSession, url: str, secret: str, now: int) -> int:
    document = {
        "id": f"evt_probe_{secrets.token_hex(8)}", "object": "event", "type": PROBE_TYPE, "created": now // 1000,
        "livemode": False, "data": {"object": {"object": "probe", "id": "probe"}},
    }  # fmt: skip
    payload = msgspec.json.encode(document).decode()
    headers = {"stripe-signature": sign(payload, secret, now // 1000), "content-type": "application/json"}
    async with http.post(url, data=payload, headers=headers, allow_redirects=False) as answer:
        return answer.status


async def _deliveries(gateway: StripeAccount, found: list[EndpointFacts], store: Store, now: int) -> Finding:
    """Events of the last three days that have not been delivered, and not been applied by a replay or a comparison."""
    if not any(endpoint.enabled for endpoint in found):
        return warning("deliveries", "deliveries_unknown", "there is no endpoint to deliver to", SETUP)
    since = (now - LOOKED_BACK_MS) // 1000
    undelivered = [read_event(payload).id for payload in await gateway.events(since=since, delivery_success=False)]
    async with store.reading() as tx:
        kept = await inbox.statuses(tx, SOURCE, undelivered)
    waiting = [id for id in undelivered if kept.get(id) != "done"]
    since_then = len(undelivered) - len(waiting)
    told = f"; {since_then} refused at first and applied since" if since_then else ""
    if waiting:
        many = f"{len(waiting)} or more" if len(undelivered) >= EVENTS_PAGE else str(len(waiting))
        message = f"{many} event(s) of the last three days have not been taken in{told}"
        fix = "mend what is named above; Stripe sends them again for three days, `tollhouse stripe reconcile` makes up for the rest"
        return warning("deliveries", "deliveries_failing", message, fix)
    return ok("deliveries", "every event of the last three days has been taken in" + told)


def _client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))
