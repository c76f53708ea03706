"""Setup and payment intents: cards that are kept are used where they are waited for, payments are kept and told."""

from __future__ import annotations

import asyncio
from urllib.request import urlopen

import pytest

from tests.billing.steps import stripe_id_of
from tests.billing.world import FAILS_LATER, World
from tollhouse.billing import actions
from tollhouse.billing.payments import payments_of
from tollhouse.billing.subscribing import Subscribed, start_setup, subscribe
from tollhouse.kernel.errors import Conflict, InvalidRequest, TollhouseError, TooManyAttempts

VISA, ASKS = "pm_card_visa", "pm_card_threeDSecure2Required"
ASKS_AND_DECLINES = "4000008260003178"
PAYS_SOON = "AT321904300235473204"


async def payer(world: World, customer: str) -> actions.Payer:
    async with world.store.reading() as tx:
        return await actions.payer_of(tx, customer)


async def bring_card(world: World, customer: str, card: str = VISA) -> str:
    """The browser confirms a setup intent with this card; the intent's id."""
    started = await start_setup(world.till, await payer(world, customer))
    assert started.client_secret.startswith(started.setup_intent + "_secret_")
    assert "_secret_" not in repr(started)
    kept = await world.stripe("post", f"/v1/setup_intents/{started.setup_intent}/confirm", payment_method=card)
    if kept["status"] == "requires_action":
        await owner_agrees(world, started.setup_intent)
    return started.setup_intent


async def owner_agrees(world: World, intent: str) -> None:
    """The customer answers the bank's question on the sandbox's page."""
    await asyncio.to_thread(urlopen, f"{world.sandbox_url}/authenticate/{intent}", b"answer=complete")


async def default_card(world: World, customer: str) -> object:
    found = await world.stripe("get", f"/v1/customers/{await stripe_id_of(world, customer)}")
    return found["invoice_settings"]["default_payment_method"]


async def live_subscriptions(world: World, customer: str) -> list[str]:
    found = await world.stripe("get", "/v1/subscriptions", customer=await stripe_id_of(world, customer))
    return [each["status"] for each in found["data"]]


@pytest.mark.row("U4")
async def test_a_card_that_was_kept_becomes_the_default_where_there_is_none(world: World) -> None:
    ada = await world.customer()
    setup = await bring_card(world, ada)
    assert await default_card(world, ada) is None
    await world.catch_up()

    first = await default_card(world, ada)
    assert first == (await world.stripe("get", f"/v1/setup_intents/{setup}"))["payment_method"]
    await bring_card(world, ada)
    await world.catch_up()
    assert await default_card(world, ada) == first


@pytest.mark.row("U4")
async def test_a_card_that_was_kept_lets_a_past_due_subscription_go_on_and_pays_once(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter", FAILS_LATER)
    await world.catch_up()
    if (await world.state(ada)).plan != "starter":
        pytest.fail("the first payment was expected to go through")
    await world.pass_days(32)
    await world.catch_up()
    assert (await world.state(ada)).standing == "past_due"

    await bring_card(world, ada)
    events = await world.new_events()
    await world.receive(events)
    await world.work()
    await world.catch_up()

    assert (await world.state(ada)).standing == "good"
    assert await live_subscriptions(world, ada) == ["active"]
    async with world.store.transaction() as tx:
        for event in events:
            await actions.replay(tx, event["id"], world.store.clock.now_ms())
    await world.work()
    await world.catch_up()
    async with world.store.reading() as tx:
        invoices = await actions.invoices_of(tx, ada)
        assert [invoice.status for invoice in invoices] == ["paid", "paid"]
        assert [one.status for one in await payments_of(tx, ada)] == ["succeeded", "succeeded"]
    await world.pass_days(31)
    await world.catch_up()
    assert (await world.state(ada)).standing == "good", "the next period is paid with the new card too"


@pytest.mark.row("U4")
async def test_a_payment_without_an_invoice_is_kept_and_its_failure_told_once(world: World) -> None:
    ada = await world.customer()
    await bring_card(world, ada)
    stripe_id = await stripe_id_of(world, ada)
    asked = {"amount": 700, "currency": "usd", "customer": stripe_id, "confirm": True}
    with pytest.raises(Exception, match="declined"):
        await world.stripe("post", "/v1/payment_intents", payment_method="pm_card_chargeDeclined", **asked)
    events = await world.new_events()
    for _ in range(2):
        await world.receive(events)
        await world.work()
        async with world.store.transaction() as tx:
            for event in events:
                await actions.replay(tx, event["id"], world.store.clock.now_ms())
    await world.work()

    async with world.store.reading() as tx:
        kept = await payments_of(tx, ada)
    assert [(one.status, one.amount.amount_minor, one.invoice) for one in kept] == [
        ("requires_payment_method", 700, None)
    ]
    assert kept[0].failure_code == "generic_decline"
    told = await world.facts("payment.failed")
    assert [(each["payment"], each["amount_minor"], each["declined"]) for each in told] == [(kept[0].id, 700, True)]

    await world.stripe("post", f"/v1/payment_intents/{kept[0].id}/confirm", payment_method=VISA)
    await world.receive([*await world.new_events(), *events])
    await world.work()
    async with world.store.reading() as tx:
        kept = await payments_of(tx, ada)
    assert [(one.status, one.failure) for one in kept] == [("succeeded", None)]
    assert len(await world.facts("payment.failed")) == 1


async def test_a_failed_invoice_is_told_once_though_its_intent_tells_it_too(world: World) -> None:
    ada = await world.customer()
    await world.buy(ada, "starter", FAILS_LATER)
    await world.pass_days(32)
    await world.catch_up()
    assert len(await world.facts("payment.failed")) == 1
    async with world.store.reading() as tx:
        failed = [one for one in await payments_of(tx, ada) if one.failure]
    assert len(failed) == 1
    assert failed[0].invoice


@pytest.mark.row("U4")
async def test_a_front_end_of_ones_own_subscribes_with_a_setup_intent(world: World) -> None:
    ada = await world.customer()
    setup = await bring_card(world, ada)
    answer = await subscribe(world.till, await payer(world, ada), "starter", None, setup)

    assert (answer.status, answer.client_secret) == ("active", None)
    assert (await world.state(ada)).plan == "starter", "the answer `active` is true at once"
    again = await subscribe(world.till, await payer(world, ada), "starter", None, setup)
    assert again == answer
    await world.catch_up()
    assert await world.credits(ada) == 1_000
    assert await live_subscriptions(world, ada) == ["active"]
    with pytest.raises(Conflict, match="has a subscription already"):
        await subscribe(world.till, await payer(world, ada), "pro", None, setup)


@pytest.mark.row("U4")
async def test_a_bank_that_asks_is_answered_with_what_the_front_end_must_do(world: World) -> None:
    ada = await world.customer()
    setup = await bring_card(world, ada, ASKS)
    answer = await subscribe(world.till, await payer(world, ada), "starter", None, setup)

    assert answer.status == "requires_action"
    assert answer.client_secret is not None
    assert (await world.state(ada)).plan == "free"
    await world.catch_up()  # the card's own event does not disturb the payment that waits for its owner
    assert await subscribe(world.till, await payer(world, ada), "starter", None, setup) == answer

    await owner_agrees(world, answer.client_secret.partition("_secret_")[0])
    await world.catch_up()
    assert (await world.state(ada)).plan == "starter"
    assert await world.credits(ada) == 1_000
    assert (await subscribe(world.till, await payer(world, ada), "starter", None, setup)).status == "active"


async def test_another_card_takes_the_place_of_one_whose_owner_never_answered(world: World) -> None:
    ada = await world.customer()
    asked = await subscribe(world.till, await payer(world, ada), "starter", None, await bring_card(world, ada, ASKS))
    answer = await subscribe(world.till, await payer(world, ada), "starter", None, await bring_card(world, ada))

    assert asked.status == "requires_action"
    assert answer.status == "active"
    await world.catch_up()
    assert await live_subscriptions(world, ada) == ["active"]
    assert await world.credits(ada) == 1_000


async def test_a_card_that_is_declined_after_all_leaves_nothing_behind(world: World) -> None:
    ada = await world.customer()
    details = {"number": ASKS_AND_DECLINES, "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    card = await world.stripe("post", "/v1/payment_methods", type="card", card=details)
    setup = await bring_card(world, ada, card["id"])
    asked = await subscribe(world.till, await payer(world, ada), "starter", None, setup)
    assert asked.client_secret is not None
    await owner_agrees(world, asked.client_secret.partition("_secret_")[0])

    for _ in range(2):
        with pytest.raises(InvalidRequest) as refused:
            await subscribe(world.till, await payer(world, ada), "starter", None, setup)
        assert refused.value.code == "card_declined"
    await world.catch_up()
    assert await live_subscriptions(world, ada) == []
    assert (await world.state(ada)).plan == "free"
    answer = await subscribe(world.till, await payer(world, ada), "starter", None, await bring_card(world, ada))
    assert answer.status == "active"
    await world.catch_up()
    assert await live_subscriptions(world, ada) == ["active"]


async def test_no_page_is_opened_while_a_first_payment_is_under_way(world: World) -> None:
    ada = await world.customer()
    who = await payer(world, ada)
    account = {
        "type": "sepa_debit",
        "sepa_debit": {"iban": PAYS_SOON},
        "billing_details": {"name": "Ada", "email": "ada@example.com"},
    }
    made = await world.stripe("post", "/v1/payment_methods", **account)
    await bring_card(world, ada)  # makes the customer at Stripe
    owner = await stripe_id_of(world, ada)
    await world.stripe("post", f"/v1/payment_methods/{made['id']}/attach", customer=owner)
    price = await world.gateway.price_of_key(world.catalog.plans["starter"].prices[0].lookup_key)
    assert price is not None
    items = [{"price": price.id}]
    begun = await world.stripe(
        "post", "/v1/subscriptions", customer=owner, items=items, default_payment_method=made["id"]
    )
    assert begun["status"] == "incomplete"

    with pytest.raises(Conflict) as refused:
        await actions.start_checkout(world.till, who, "starter")
    assert refused.value.code == "payment_processing"

    await world.pass_days(1)
    await world.catch_up()
    assert (await live_subscriptions(world, ada), (await world.state(ada)).plan) == (["active"], "starter")


async def test_an_open_checkout_page_is_closed_by_subscribing(world: World) -> None:
    ada = await world.customer()
    page = await actions.start_checkout(world.till, await payer(world, ada), "starter")
    await subscribe(world.till, await payer(world, ada), "starter", None, await bring_card(world, ada))

    await world.submit(page, "4242424242424242")
    await world.catch_up()
    assert await live_subscriptions(world, ada) == ["active"]


async def test_two_clicks_at_once_subscribe_once(world: World) -> None:
    ada = await world.customer()
    cards = [await bring_card(world, ada) for _ in range(2)]
    who = await payer(world, ada)

    async def click(card: str) -> Subscribed | TollhouseError:
        try:
            return await subscribe(world.till, who, "starter", None, card)
        except TollhouseError as error:
            return error

    answers = await asyncio.gather(*[click(card) for card in [*cards, *cards]])
    assert any(isinstance(answer, Subscribed) and answer.status == "active" for answer in answers)
    refused = {answer.code for answer in answers if isinstance(answer, TollhouseError)}
    assert refused <= {"subscribing", "already_subscribed"}
    await world.catch_up()
    assert await live_subscriptions(world, ada) == ["active"]
    assert await world.credits(ada) == 1_000


async def test_what_cannot_be_subscribed_with_is_refused_with_its_fix(world: World) -> None:
    ada, bob = await world.customer(), await world.customer("bob@example.com")
    setup = await bring_card(world, ada)
    unfinished = await start_setup(world.till, await payer(world, ada))
    await start_setup(world.till, await payer(world, bob))
    for name in (setup, "seti_nothing", "pi_1", "seti_\x00", "seti_" + "x" * 300):
        with pytest.raises(InvalidRequest, match="is no setup intent of this customer"):
            await subscribe(world.till, await payer(world, bob), "starter", None, name)
    with pytest.raises(Conflict, match="has not succeeded") as refused:
        await subscribe(world.till, await payer(world, ada), "starter", None, unfinished.setup_intent)
    assert refused.value.code == "setup_not_finished"
    with pytest.raises(InvalidRequest, match="no plan"):
        await subscribe(world.till, await payer(world, ada), "nothing", None, setup)
    assert await live_subscriptions(world, ada) == []


async def test_bringing_cards_is_limited_like_paying(world: World) -> None:
    ada = await world.customer()
    who = await payer(world, ada)
    till = actions.Till(world.store, world.catalog, world.gateway, "http://127.0.0.1", 2, 900_000)
    for _ in range(2):
        await start_setup(till, who)
    with pytest.raises(TooManyAttempts):
        await start_setup(till, who)
