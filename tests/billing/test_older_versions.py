"""The API version is a setting, and events that were written in an older one lead to the same end (row U16)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.billing.world import World
from tollhouse.billing.stripe import SUPPORTED_API_VERSION, StripeGateway

OLD = "2023-10-16"


def as_of_2023(event: dict[str, Any]) -> dict[str, Any]:
    """The event as an endpoint of that version gets it: periods on the subscription, invoices that name it themselves."""
    about = dict(event["data"]["object"])
    if about["object"] == "invoice":
        parent = about.pop("parent") or {}
        about["subscription"] = (parent.get("subscription_details") or {}).get("subscription")
        about["paid"] = about["status"] == "paid"
        about["lines"] = {**about["lines"], "data": [_line_of_2023(line) for line in about["lines"]["data"]]}
    if about["object"] == "subscription":
        items = [dict(item) for item in about["items"]["data"]]
        about["current_period_start"] = items[0].pop("current_period_start")
        about["current_period_end"] = items[0].pop("current_period_end")
        about["items"] = {**about["items"], "data": items}
        about["plan"] = items[0].get("plan")
    return {**event, "api_version": OLD, "data": {**event["data"], "object": about}}


def _line_of_2023(line: dict[str, Any]) -> dict[str, Any]:
    old = {name: value for name, value in line.items() if name not in ("parent", "pricing")}
    priced = ((line.get("pricing") or {}).get("price_details")) or {}
    return {**old, "price": {"id": priced.get("price"), "product": priced.get("product"), "currency": line["currency"]}}


@pytest.mark.row("U16")
async def test_events_of_2023_lead_to_the_same_end(world: World) -> None:
    ends = []
    for email, shape in (("ada@example.com", dict), ("bea@example.com", as_of_2023)):
        customer = await world.customer(email)
        await world.buy(customer, "starter")
        events = [shape(event) for event in await world.new_events()]
        assert any(event["type"].startswith("customer.subscription.") for event in events)
        await world.receive(events)
        await world.work()
        assert set(await world.events_by_status()) == {"done"}
        state = await world.state(customer)
        ends.append((state.plan, state.standing, await world.credits(customer)))
    assert ends[0] == ends[1] == ("starter", "good", 1_000)


@pytest.mark.row("U16")
@pytest.mark.parametrize(
    ("pinned", "spoken"), [(None, SUPPORTED_API_VERSION), ("2025-03-31.basil", "2025-03-31.basil")]
)
async def test_every_call_says_the_version_that_is_pinned(world: World, pinned: str | None, spoken: str) -> None:
    gateway = StripeGateway("sk_test_billing", api_version=pinned, api_base=world.sandbox_url)
    try:
        answer = await gateway._answer("get", "/v1/account", {})
    finally:
        await gateway.close()
    assert answer.headers["Stripe-Version"] == spoken
