"""Tax by setting: asked for at Checkout, kept apart from what was paid for credits, given back with the payment."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from tests.billing.steps import move_to, spend, stripe_id_of
from tests.billing.world import CATALOG, PAYS, World, opened
from tollhouse.billing import actions
from tollhouse.billing.stripe.taxation import taxation
from tollhouse.catalog.model import Pack, PackPrice, Terms
from tollhouse.store import Sql

TAXED = Terms(automatic_tax=True, tax_ids=True)
PACKS = {
    "small": Pack("small", "500 credits", "credits", 500_000, (PackPrice(700, "usd", "tollhouse_pack_small_once_usd"),))
}
PAID = Sql("select paid_minor, currency from lot where customer = :customer and paid_minor is not null order by id")


@pytest.fixture
async def world(request: pytest.FixtureRequest, schema_url: str) -> AsyncIterator[World]:
    terms: Terms = getattr(request, "param", TAXED)
    async with opened(schema_url, replace(CATALOG, packs=PACKS, terms=terms)) as world:
        yield world


async def buy(world: World, customer: str, plan: str, interval: str | None = None, **typed: str) -> str:
    async with world.store.reading() as tx:
        payer = await actions.payer_of(tx, customer)
    page = await actions.start_checkout(world.till, payer, plan, interval)
    back = await world.submit(page, PAYS, **typed)
    await world.catch_up()
    return back


async def sums(world: World, customer: str) -> list[tuple[int, int, int, str]]:
    """(net, tax, paid, currency) of each invoice, the oldest first."""
    async with world.store.reading() as tx:
        found = await actions.invoices_of(tx, customer)
    return [
        (each.net.amount_minor, each.tax.amount_minor, each.paid.amount_minor, each.paid.currency)
        for each in reversed(found)
    ]


async def paid_for_lots(world: World, customer: str) -> list[tuple[int, str]]:
    async with world.store.reading() as tx:
        return [(row["paid_minor"], row["currency"]) for row in await tx.fetch(PAID, customer=customer)]


@pytest.mark.row("X7")
async def test_an_exclusive_price_costs_the_tax_more_and_its_lot_was_paid_without_it(world: World) -> None:
    ada = await world.customer()
    assert "success" in await buy(world, ada, "starter", country="FR", postal_code="75001")
    assert await sums(world, ada) == [(900, 180, 1_080, "usd")]
    assert await paid_for_lots(world, ada) == [(900, "usd")]


@pytest.mark.row("X7")
async def test_an_inclusive_price_costs_the_same_and_its_lots_were_paid_without_the_tax(world: World) -> None:
    ada = await world.customer()
    await buy(world, ada, "premium", "year", country="DE", postal_code="10115")
    assert await sums(world, ada) == [(2_521, 479, 3_000, "eur")]
    for _ in range(12):
        await world.pass_days(31)
        await world.catch_up()
    first_year = (await paid_for_lots(world, ada))[:12]
    assert sum(amount for amount, _ in first_year) == 2_521


@pytest.mark.row("X7")
async def test_a_business_of_the_union_names_its_vat_id_and_pays_no_tax(world: World) -> None:
    ada = await world.customer()
    await buy(world, ada, "starter", country="DE", postal_code="10115", tax_id="DE 123456789")
    assert await sums(world, ada) == [(900, 0, 900, "usd")]
    stripe_id = await stripe_id_of(world, ada)
    [kept] = (await world.stripe("get", f"/v1/customers/{stripe_id}/tax_ids"))["data"]
    assert (kept["type"], kept["value"], kept["country"]) == ("eu_vat", "DE123456789", "DE")
    customer = await world.stripe("get", f"/v1/customers/{stripe_id}")
    assert (customer["address"]["country"], customer["address"]["postal_code"], customer["name"]) == (
        "DE", "10115", "Ada",
    )  # fmt: skip


async def test_renewals_and_prorations_are_taxed_like_the_purchase(world: World) -> None:
    ada = await world.customer()
    await buy(world, ada, "starter", country="FR", postal_code="75001")
    await world.pass_days(32)
    await world.catch_up()
    assert (await sums(world, ada))[1] == (900, 180, 1_080, "usd")
    await move_to(world, ada, "pro")
    await world.catch_up()
    net, tax, paid, _ = (await sums(world, ada))[2]
    assert 0 < net < 9_000
    assert abs(tax * 5 - net) <= 5  # each line is rounded by itself
    assert paid == net + tax


@pytest.mark.parametrize("world", [replace(TAXED, on_refund="take_back")], indirect=True)
async def test_a_refund_of_half_of_what_was_paid_with_tax_takes_half_of_the_credits(world: World) -> None:
    ada = await world.customer()
    await buy(world, ada, "starter", country="FR", postal_code="75001")
    await spend(world, ada, 100)
    stripe_id = await stripe_id_of(world, ada)
    [charge] = (await world.stripe("get", "/v1/charges", customer=stripe_id))["data"]
    assert charge["amount"] == 1_080
    await world.stripe("post", "/v1/refunds", charge=charge["id"], amount=540)
    await world.catch_up()
    assert await world.credits(ada) == 400


@pytest.mark.row("X7")
async def test_a_pack_is_taxed_and_its_lot_was_paid_without_the_tax(world: World) -> None:
    ada = await world.customer()
    async with world.store.reading() as tx:
        payer = await actions.payer_of(tx, ada)
    page = await actions.start_pack_checkout(world.till, payer, "small")
    await world.submit(page, PAYS, country="FR", postal_code="75001")
    await world.catch_up()
    assert await world.credits(ada) == 600
    assert await paid_for_lots(world, ada) == [(700, "usd")]
    [charge] = (await world.stripe("get", "/v1/charges", customer=await stripe_id_of(world, ada)))["data"]
    assert charge["amount"] == 840


async def test_the_page_says_what_is_missing_and_charges_nothing(world: World) -> None:
    ada = await world.customer()
    page = await buy(world, ada, "starter")
    assert "Choose your country." in page
    page = await buy(world, ada, "starter", country="FR", postal_code="75001", tax_id="nonsense")
    assert "Your tax ID is invalid." in page
    assert (await world.state(ada)).plan == "free"


@pytest.mark.parametrize("world", [Terms(billing_address="required")], indirect=True)
async def test_an_address_is_asked_for_without_any_tax_where_the_file_says_so(world: World) -> None:
    ada = await world.customer()
    assert "Choose your country." in await buy(world, ada, "starter")
    await buy(world, ada, "starter", country="FR", postal_code="75001")
    assert await sums(world, ada) == [(900, 0, 900, "usd")]
    customer = await world.stripe("get", f"/v1/customers/{await stripe_id_of(world, ada)}")
    assert customer["address"]["postal_code"] == "75001"


def test_nothing_is_told_where_nothing_is_set() -> None:
    assert taxation(Terms()) == {}
