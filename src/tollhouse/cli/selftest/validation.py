"""The five validation tests of the AURION runbook (row A18), by HTTP alone, for any catalogue.

Each answers what it saw, or raises Failed with what is wrong and the fix. They build on each other: one customer signs
up, uses, is stopped at zero, pays, and is told of by webhooks.
"""

import asyncio
import secrets
import time
from decimal import Decimal

import msgspec

from tollhouse.cli.selftest.pages import Browser
from tollhouse.cli.selftest.probe import Customer, Decision, Meter, Offers, Probe
from tollhouse.kernel.errors import TollhouseError

MOST_LAUNCHES = 2_000
LONGEST_PAUSE_SECONDS = 65.0
EXHAUSTED = ("credits_exhausted", "quota_exhausted", "count_exhausted")


class Failed(TollhouseError):
    """A validation test did not pass."""

    default_code = "validation_failed"


class Spending(msgspec.Struct, frozen=True):
    """What the tests spend: the meter, the action that costs on it, the tool behind it, and an action priced by us."""

    meter: str
    action: str
    cost: Decimal
    tool: str | None = None
    priced: str | None = None


class Visit(msgspec.Struct):
    """What the tests know of their customer so far."""

    name: str
    email: str
    browser: Browser | None
    customer: str = ""


def new_visit(browser: Browser | None) -> Visit:
    """A customer that nobody has had before, recognisable to whoever cleans up."""
    name = f"selftest-{secrets.token_hex(6)}"
    return Visit(name, f"{name}@example.com", browser)


def spending_of(offers: Offers) -> Spending:
    """What a customer of the free plan can spend until nothing is left: a tool first, credits before a quota.

    Raises Failed for a catalogue without anything of the kind.
    """
    free = offers.free
    tools = {tool.action: name for name, tool in offers.tools.items()}
    for kind in ("credits", "quota"):
        for meter in (name for name, offer in offers.meters.items() if offer.kind == kind):
            granted = free.credits.get(meter, free.limits.get(meter)) if kind == "credits" else free.limits.get(meter)
            if not granted:
                continue
            able = [n for n in sorted(offers.actions, key=lambda n: n not in tools) if _can(offers, n, meter, granted)]
            if able:
                priced = next((n for n, offer in offers.actions.items() if meter in offer.priced_by), None)
                return Spending(meter, able[0], offers.actions[able[0]].cost[meter], tools.get(able[0]), priced)
    raise Failed(
        "the free plan has nothing that an action could use up", fix="give the free plan credits or a quota to spend"
    )


def _can(offers: Offers, action: str, meter: str, granted: Decimal) -> bool:
    """Whether the free plan allows this action at least once, as far as its limits tell."""
    cost = offers.actions[action].cost
    if not 0 < cost.get(meter, Decimal(0)) <= granted:
        return False
    return all(name in offers.free.limits or name in offers.free.credits for name in cost)


async def sign_up(probe: Probe, offers: Offers, visit: Visit) -> str:
    """Test 1: a new customer has the free plan and its whole grant, nothing used, at once."""
    where, again = "by the API", None
    if visit.browser is not None and not offers.free.verified_only:
        await visit.browser.sign_up(visit.email, secrets.token_urlsafe(18))
        where, made = "on the page", await probe.customer(await visit.browser.customer())
    else:
        body = {"email": visit.email, "name": "Validation test"}
        made = (await probe.call("POST", "/v1/customers", body)).ok(Customer)
        again = (await probe.call("POST", "/v1/customers", body)).ok(Customer)
    visit.customer = made.id
    if made.plan != offers.free_plan:
        raise Failed(f"the new customer is on plan {made.plan}, not {offers.free_plan}", fix="check the free plan")
    for name, granted in offers.free.credits.items():
        seen = made.meters.get(name)
        if seen is None or seen.total != granted or seen.used != 0:
            raise Failed(
                f"{name}: total {_of(seen, 'total')}, used {_of(seen, 'used')} instead of total {granted}, used 0",
                fix="run `tollhouse verify`, and compare the plan's credits with its newest version",
            )
    if again is not None and (again.id != made.id or again.meters != made.meters):
        raise Failed("asking twice made another customer or another grant", fix="report this: it cannot happen")
    spending = spending_of(offers)
    meter = made.meters[spending.meter]
    return f"{where}: plan {made.plan}, {spending.meter}: total {meter.total}, used {meter.used}"


async def consume(probe: Probe, offers: Offers, visit: Visit) -> str:
    """Test 2: one use debits its cost at once, once per key, and stands in the book."""
    spending = spending_of(offers)
    before = (await probe.customer(visit.customer)).meters[spending.meter]
    key = f"{visit.name}-first"
    began = time.monotonic()
    first = await use(probe, spending, visit, key)
    took_ms = (time.monotonic() - began) * 1000
    if not first.allowed or first.id is None:
        raise Failed(
            f"{spending.action} was refused: {_why(first)}", fix="compare the action's cost with the free plan"
        )
    replay = await use(probe, spending, visit, key)
    after = (await probe.customer(visit.customer)).meters[spending.meter]
    await _give_back(probe, first)
    if after.used - before.used != spending.cost or replay.id != first.id or not replay.replayed:
        raise Failed(
            f"used went from {before.used} to {after.used} for a cost of {spending.cost}, sent twice with one key",
            fix="run `tollhouse verify`",
        )
    logged = [entry for entry in await probe.entries(visit.customer) if entry.kind == "admission"]
    if not any(e.action == spending.action and e.deltas.get(spending.meter) == -spending.cost for e in logged):
        raise Failed(f"the book has no {spending.action} with -{spending.cost}", fix="run `tollhouse verify`")
    return (
        f"{spending.action} took {spending.cost} {spending.meter}: used {after.used}, in the book, in {took_ms:.0f} ms"
    )


async def block(probe: Probe, offers: Offers, visit: Visit) -> str:
    """Test 3: at zero the next use is refused, nothing is taken, and the answer says which limit it was."""
    spending = spending_of(offers)
    await _spend_rest(probe, spending, visit)
    before = (await probe.customer(visit.customer)).meters[spending.meter]
    refused = await use(probe, spending, visit, f"{visit.name}-blocked")
    after = (await probe.customer(visit.customer)).meters[spending.meter]
    if refused.allowed:
        raise Failed(
            f"{spending.action} was allowed with {before.remaining} left", fix="take this instance out of service"
        )
    code = refused.reason.code if refused.reason else None
    if code not in EXHAUSTED:
        raise Failed(f"the refusal says {code}", fix="look at the customer's limits: another one came first")
    if after.used != before.used or (after.remaining or 0) < 0:
        raise Failed(f"a refusal changed used from {before.used} to {after.used}", fix="run `tollhouse verify`")
    if visit.browser is not None and visit.browser.signed_in and spending.tool is not None:
        open_still = await visit.browser.tool_is_closed(spending.tool)
        if open_still is not None:
            raise Failed(open_still, fix="serve the pages of this version, unchanged by a cache")
    return f"{spending.action} refused with {after.remaining} {spending.meter} left: {code}"


async def use(probe: Probe, spending: Spending, visit: Visit, key: str) -> Decision:
    """One use of what is spent: a tool's launch through the runbook's own endpoint, else an admission."""
    if spending.tool is not None:
        body = {"tool": spending.tool, "user_id": visit.customer, "key": key}
        reply = await probe.call("POST", "/api/validate-tool-access", body)
        return reply.of(Decision) if reply.status in (403, 429) else reply.ok(Decision)
    body = {"customer": visit.customer, "action": spending.action, "key": key}
    return (await probe.call("POST", "/v1/admit", body)).ok(Decision)


async def _spend_rest(probe: Probe, spending: Spending, visit: Visit) -> None:
    """Uses up what is left: in one priced action where the catalogue has one, else use by use."""
    left = (await probe.customer(visit.customer)).meters[spending.meter].remaining
    if spending.priced is not None and left:
        body = {
            "customer": visit.customer, "action": spending.priced, "key": f"{visit.name}-rest",
            "amount": {spending.meter: left},
        }  # fmt: skip
        if (await probe.call("POST", "/v1/admit", body)).ok(Decision).allowed:
            return
    for number in range(MOST_LAUNCHES):
        answer = await use(probe, spending, visit, f"{visit.name}-{number}")
        if answer.allowed:
            await _give_back(probe, answer)
        elif answer.reason is not None and answer.reason.code in EXHAUSTED:
            return
        else:
            await _wait_for_rate(answer)
    raise Failed(f"{spending.meter} is not used up after {MOST_LAUNCHES} uses", fix="test with a smaller free plan")


async def _give_back(probe: Probe, answer: Decision) -> None:
    """Ends the session where the admission holds a slot."""
    if answer.lease is not None:
        await probe.call("POST", f"/v1/admissions/{answer.id}/end")


async def _wait_for_rate(answer: Decision) -> None:
    reason = answer.reason
    if reason is None or reason.code != "rate_limited" or (reason.retry_after or 0) > LONGEST_PAUSE_SECONDS:
        raise Failed(f"it was refused before everything was used: {_why(answer)}", fix="look at the free plan's limits")
    await asyncio.sleep(reason.retry_after or 1.0)


def _why(answer: Decision) -> str:
    return answer.reason.code if answer.reason else "no reason given"


def _of(meter: Meter | None, field: str) -> object:
    return "missing" if meter is None else getattr(meter, field)
