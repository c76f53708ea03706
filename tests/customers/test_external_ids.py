"""X2: the product's own ids. Create or get in one call, the sign-up grant once, whoever calls at the same moment."""

from __future__ import annotations

import asyncio

import pytest

from tests.customers.world import World
from tollhouse.customers import actions
from tollhouse.customers.directory import Directory
from tollhouse.customers.model import NewCustomer
from tollhouse.kernel.errors import Conflict, InvalidRequest, NotFound
from tollhouse.kernel.ids import new_id

ADA = "ada@example.com"


@pytest.mark.row("X2")
async def test_the_same_external_id_is_the_same_customer_with_one_grant(world: World) -> None:
    first = await world.create(ADA, "42")
    again = await world.create(ADA, "42")

    assert again == first
    state = await world.state(first)
    assert [(lot.amount, lot.locked) for lot in state.lots["credits"]] == [(100_000, False)]
    assert await world.count("customer") == await world.count("account") == await world.count("project") == 1


@pytest.mark.row("X2")
async def test_twenty_calls_at_once_make_one_customer(world: World) -> None:
    made = await asyncio.gather(*(world.create(ADA, "42") for _ in range(20)))

    assert len(set(made)) == 1
    assert await world.count("lot") == await world.count("customer") == 1


@pytest.mark.row("X2")
async def test_one_address_under_two_external_ids_is_refused_even_at_once(world: World) -> None:
    outcomes = await asyncio.gather(
        *(world.create(ADA, external_id) for external_id in ("42", "43")), return_exceptions=True
    )
    assert [error.code for error in outcomes if isinstance(error, Conflict)] == ["email_taken"]

    kept = next(external_id for external_id, got in zip(("42", "43"), outcomes, strict=True) if isinstance(got, str))
    other = "43" if kept == "42" else "42"
    async with world.store.reading() as tx:
        with pytest.raises(NotFound):
            await actions.resolve(tx, other)
    assert await world.count("customer_name") == 2


@pytest.mark.row("X2")
async def test_a_known_external_id_with_anothers_address_is_refused(world: World) -> None:
    await world.create(ADA, "42")
    await world.create("bob@example.com", "43")
    with pytest.raises(Conflict) as refusal:
        await world.create("bob@example.com", "42")
    assert refusal.value.code == "email_taken"


@pytest.mark.row("X2")
async def test_an_address_without_external_id_finds_its_customer(world: World) -> None:
    made = await world.create(ADA, "42")
    assert await world.create(" ADA@Example.COM ") == made


async def test_an_address_that_nobody_has_proven_is_not_given_an_external_id(world: World) -> None:
    await world.sign_up(ADA)
    with pytest.raises(Conflict) as refusal:
        await world.create(ADA, "42")
    assert refusal.value.code == "email_taken"
    assert await world.count("customer_name") == 1


@pytest.mark.row("X2")
async def test_a_stranger_who_signed_up_with_somebodys_address_is_not_taken_for_them(world: World) -> None:
    mallory = await world.sign_up(ADA)
    with pytest.raises(Conflict) as refusal:
        await world.create(ADA)
    assert refusal.value.code == "email_taken"
    assert "wait until the address is verified" in str(refusal.value.fix)

    async with world.store.transaction() as tx:
        await actions.address_proven(tx, world.desk, world.catalog, mallory.user, world.now)
    assert await world.create(ADA) == mallory.customer


@pytest.mark.parametrize("external_id", ["", "x" * 201, "cus_42", "usr_42", "a\x00b", "a\nb", " 42", "\ud800"])
async def test_an_external_id_that_could_be_mistaken_is_refused(world: World, external_id: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await world.create(ADA, external_id)
    assert refusal.value.code == "invalid_external_id"


async def test_a_customer_is_found_by_each_of_its_names(world: World) -> None:
    made = await world.create(ADA, "42")
    bob = await world.sign_up("bob@example.com")
    async with world.store.reading() as tx:
        assert await actions.resolve(tx, made) == made
        assert await actions.resolve(tx, "42") == made
        assert await actions.resolve(tx, bob.user.id) == bob.customer
        for nobody in ("43", new_id("cus"), new_id("usr"), "cus_", "", "a\x00b", "x" * 300, ADA):
            with pytest.raises(NotFound) as missing:
                await actions.resolve(tx, nobody)
            assert missing.value.code == "customer_not_found"


@pytest.mark.row("X2")
async def test_the_directory_asks_once_for_all_it_does_not_know(world: World) -> None:
    made = await world.create(ADA, "42")
    tricky = await world.create("eve@example.com", "a\"b\\c'd é")
    bob = await world.sign_up("bob@example.com")
    assert bob.customer is not None
    waiting = await world.sign_up(ADA)
    directory = Directory(world.store)

    references = ["42", made, bob.user.id, "a\"b\\c'd é", "43", waiting.user.id, "a\x00b"]
    found = await directory.lookup(references)

    assert found == {"42": made, made: made, bob.user.id: bob.customer, "a\"b\\c'd é": tricky}
    assert [directory.known(reference) for reference in ("42", bob.user.id, "43")] == [made, bob.customer, None]
    assert await directory.find("42") == made
    with pytest.raises(NotFound):
        await directory.find("43")
    later = await world.create("carol@example.com", "43")
    assert await directory.find("43") == later


async def test_the_directory_is_bounded(world: World) -> None:
    for number in range(5):
        await world.create(f"user{number}@example.com", str(number))
    directory = Directory(world.store, most=3)
    assert len(await directory.lookup(map(str, range(5)))) == 5
    assert len(directory) == 3


@pytest.mark.parametrize("field", ["name", "city", "locale"])
async def test_text_that_cannot_be_stored_is_refused(world: World, field: str) -> None:
    new = NewCustomer(ADA, "42", **{field: "a\x00b"})
    with pytest.raises(InvalidRequest):
        async with world.store.transaction() as tx:
            await actions.create_or_get(tx, world.catalog, new, world.now)
    assert await world.count("customer_name") == 0
