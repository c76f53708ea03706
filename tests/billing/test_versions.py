"""Events of Stripe's older API versions are understood, and the version that we speak is a setting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe

from tests.billing.events_of_versions import CHARGE, CUSTOMER, SUBSCRIPTION, VERSIONS, event_of, objects_of
from tests.billing.steps import stripe_id_of, subscription_id_of
from tests.billing.world import FAILS_LATER, World
from tests.sandbox.outside import Receiver
from tests.support.databases import new_sqlite
from tests.support.product import configuration_of
from tollhouse import presets
from tollhouse.billing import actions
from tollhouse.billing.stripe import SUPPORTED_API_VERSION, StripeGateway, read_event
from tollhouse.billing.stripe import intents as stripe_intents
from tollhouse.bootstrap import open_house

TYPES = sorted(objects_of(VERSIONS[0]))
PAIRS = [(old, VERSIONS[-1]) for old in VERSIONS[:-1]] + [(VERSIONS[0], VERSIONS[0]), (VERSIONS[-1], VERSIONS[1])]
"""Each old version is heard beside today's, and spoken: with itself, and with today's events."""
ABOUT_A_SUBSCRIPTION = ("checkout.", "customer.subscription.", "invoice.")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


@pytest.mark.row("U16")
@pytest.mark.parametrize("type", TYPES)
def test_an_event_says_the_same_to_us_in_every_version(type: str) -> None:
    read = {version: _read(version, type) for version in VERSIONS}
    assert len(set(read.values())) == 1
    about = read[VERSIONS[0]]
    assert about[0] == (CUSTOMER if type != "charge.dispute.closed" else "object:du_1MtJUT2eZvKYlo2C")
    assert about[1] == objects_of(VERSIONS[0])[type]["id"]
    assert about[2] == (SUBSCRIPTION if type.startswith(ABOUT_A_SUBSCRIPTION) else None)
    assert about[3] == (CHARGE if type == "charge.dispute.closed" else about[3])


def _read(version: str, type: str) -> tuple[str, str | None, str | None, str | None]:
    event = read_event(json.dumps(event_of(version, type, objects_of(version)[type])).encode())
    # An old invoice names its charge too, which nobody needs: its customer is known.
    charge = event.charge if type == "charge.dispute.closed" else None
    return event.subject, event.object_id, event.subscription, charge


@pytest.mark.row("U16")
@pytest.mark.parametrize(("heard", "spoken"), PAIRS)
async def test_a_whole_life_is_the_same_in_whichever_versions_it_is_told(
    world: World, receiver: Receiver, heard: str, spoken: str
) -> None:
    """`heard`: the version of the endpoint, in which events come; `spoken`: the setting, in which we ask Stripe."""
    await world.stripe(
        "post", "/v1/webhook_endpoints", url=receiver.url, enabled_events=["*"], api_version=heard
    )  # fmt: skip
    world.gateway = StripeGateway("sk_test_billing", api_version=spoken, api_base=world.sandbox_url)
    try:
        await _live(world, receiver)
    finally:
        await world.gateway.close()
    assert {json.loads(each.payload)["api_version"] for each in receiver.heard} == {heard}


async def _live(world: World, receiver: Receiver) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter", FAILS_LATER)
    await _arrive(world, receiver)
    assert ((await world.state(ada)).plan, await world.credits(ada)) == ("starter", 1_000)
    subscription = await subscription_id_of(world, ada)

    await world.pass_days(32)
    await _arrive(world, receiver)
    assert (await world.state(ada)).standing == "past_due"

    opened = await stripe_intents.open_setup(world.gateway, await stripe_id_of(world, ada), ada)
    await world.stripe("post", f"/v1/setup_intents/{opened.id}/confirm", payment_method="pm_card_visa")
    await _arrive(world, receiver)
    await _arrive(world, receiver)
    assert (await world.state(ada)).standing == "good"
    async with world.store.reading() as tx:
        invoices = await actions.invoices_of(tx, ada)
        found = await actions.subscription_of(tx, ada)
    assert [invoice.status for invoice in invoices] == ["paid", "paid"]
    assert found is not None
    assert found.period_start < world.store.clock.now_ms() < found.period_end

    charges = (await world.stripe("get", "/v1/charges", customer=await stripe_id_of(world, ada)))["data"]
    paid = next(charge for charge in charges if charge["paid"])
    await world.stripe("post", "/v1/refunds", charge=paid["id"])
    refunded = await world.gateway.refunded(await stripe_id_of(world, ada))
    assert refunded == {invoices[0].id: 900}
    await world.stripe("delete", f"/v1/subscriptions/{subscription}")
    await _arrive(world, receiver)
    assert (await world.state(ada)).plan == "free"
    assert await world.events_by_status() == {"done": len(receiver.heard)}


async def _arrive(world: World, receiver: Receiver) -> None:
    """What the endpoint has heard comes in, what came before once more, and is handled."""
    assert (await world.control("deliveries/settle", timeout_ms=10_000))["settled"]
    await world.receive([json.loads(each.payload) for each in receiver.heard])
    await asyncio.sleep(0)
    await world.work()


@pytest.mark.row("U16")
async def test_the_version_is_a_setting_and_the_sdks_own_by_default(tmp_path: Path) -> None:
    aurion = (Path(presets.__file__).parent / "aurion.toml").read_text()
    for given, spoken in (({}, SUPPORTED_API_VERSION), ({"STRIPE_API_VERSION": "2023-10-16"}, "2023-10-16")):
        environ = {"STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_WEBHOOK_SECRET": "whsec_" + "x" * 32} | given
        async with open_house(configuration_of(new_sqlite(tmp_path), aurion, **environ)) as house:
            assert house.stripe is not None
            assert house.stripe.api_version == spoken


def test_the_version_that_is_spoken_is_the_sdks_own() -> None:
    assert stripe.api_version == SUPPORTED_API_VERSION
