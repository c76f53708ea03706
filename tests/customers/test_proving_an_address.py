"""Who owns a customer: addresses are proven by e-mail, and nobody takes over a customer of the product's server."""

from __future__ import annotations

import pytest

from tests.customers.world import HOME, PASSWORD, World
from tollhouse.customers import actions
from tollhouse.customers.model import SignedUp, Verified
from tollhouse.identity import actions as identity
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.errors import InvalidRequest, NotAuthenticated, NotFound

ADA = "ada@example.com"


async def verify(world: World, token: str, signed_in: SignedUp | None = None) -> Verified:
    async with world.store.transaction() as tx:
        user = signed_in.user.id if signed_in else None
        return await actions.verify_email(tx, world.desk, world.catalog, token, world.now, signed_in=user)


async def owned(world: World, user: str) -> str | None:
    async with world.store.reading() as tx:
        return await actions.customer_of_user(tx, user)


@pytest.mark.row("A1")
async def test_the_grant_can_be_spent_once_the_address_is_verified(world: World) -> None:
    signed_up = await world.sign_up(ADA)
    assert signed_up.customer is not None
    assert [lot.locked for lot in (await world.state(signed_up.customer)).lots["credits"]] == [True]

    verified = await verify(world, await world.token("verify_email", ADA))

    assert verified.customer == signed_up.customer
    assert verified.user.verified_at == world.now
    assert [lot.locked for lot in (await world.state(signed_up.customer)).lots["credits"]] == [False]
    assert len(await world.mailed("welcome", ADA)) == 1


async def test_a_link_works_once(world: World) -> None:
    await world.sign_up(ADA)
    token = await world.token("verify_email", ADA)
    await verify(world, token)

    with pytest.raises(InvalidRequest) as refusal:
        await verify(world, token)
    assert refusal.value.code == "link_expired"
    assert len(await world.mailed("welcome", ADA)) == 1


async def test_a_link_expires_after_three_days(world: World) -> None:
    await world.sign_up(ADA)
    token = await world.token("verify_email", ADA)
    world.now += 3 * DAY
    with pytest.raises(InvalidRequest):
        await verify(world, token)


async def test_a_link_of_one_kind_is_none_of_the_other(world: World) -> None:
    await world.sign_up(ADA)
    token = await world.token("verify_email", ADA)
    with pytest.raises(InvalidRequest):
        await actions.reset_password(world.store, world.desk, world.catalog, token, PASSWORD, world.now)


async def test_a_verification_is_sent_again_on_request_and_never_once_verified(world: World) -> None:
    signed_up = await world.sign_up(ADA)
    async with world.store.transaction() as tx:
        await identity.resend_verification(tx, world.desk, signed_up.user, world.now, visitor=HOME)
    verified = await verify(world, await world.token("verify_email", ADA))
    async with world.store.transaction() as tx:
        await identity.resend_verification(tx, world.desk, verified.user, world.now, visitor=HOME)
    assert len(await world.mailed("verify_email", ADA)) == 2


@pytest.mark.row("X1")
async def test_an_unverified_sign_up_owns_nothing_of_a_customer_made_by_the_server(world: World) -> None:
    customer = await world.create(ADA, "42")

    signed_up = await world.sign_up(ADA)

    assert signed_up.customer is None
    assert await owned(world, signed_up.user.id) is None
    assert await world.count("customer") == 1
    async with world.store.reading() as tx:
        with pytest.raises(NotFound):
            await actions.resolve(tx, signed_up.user.id)
        assert (await actions.read_customer(tx, customer)).external_id == "42"


@pytest.mark.row("X1")
async def test_it_is_theirs_once_they_have_proven_the_address_while_signed_in(world: World) -> None:
    customer = await world.create(ADA, "42")
    signed_up = await world.sign_up(ADA)

    verified = await verify(world, await world.token("verify_email", ADA), signed_up)

    assert verified.customer == customer
    async with world.store.reading() as tx:
        assert await actions.resolve(tx, signed_up.user.id) == customer


@pytest.mark.row("X1")
async def test_a_click_of_the_addressee_never_confirms_a_strangers_password(world: World) -> None:
    """A stranger signs up with Ada's address and hopes that she clicks on the link of the e-mail."""
    customer = await world.create(ADA, "42")
    stranger = await world.sign_up(ADA, "the password of a stranger")
    bystander = await world.sign_up("bob@example.com")
    token = await world.token("verify_email", ADA)

    for browser in (None, bystander):
        with pytest.raises(NotAuthenticated) as refusal:
            await verify(world, token, browser)
        assert refusal.value.code == "sign_in_to_verify"
        assert await owned(world, stranger.user.id) is None

    # Ada asks for a password of her own: the customer is hers, and the stranger is out.
    await identity.request_password_reset(world.store, world.desk, ADA, world.now, visitor=HOME)
    reset = await world.token("reset_password", ADA)
    proven = await actions.reset_password(world.store, world.desk, world.catalog, reset, PASSWORD, world.now)
    assert proven.customer == customer
    assert await identity.current_session(world.store, world.desk, stranger.session.token, world.now) is None
    with pytest.raises(NotAuthenticated):
        await identity.sign_in(world.store, world.desk, ADA, "the password of a stranger", world.now, visitor=HOME)
    await identity.sign_in(world.store, world.desk, ADA, PASSWORD, world.now, visitor=HOME)


async def test_the_server_may_name_a_customer_of_the_pages_once_the_address_is_proven(world: World) -> None:
    signed_up = await world.sign_up(ADA)
    await verify(world, await world.token("verify_email", ADA))

    assert await world.create(ADA, "42") == signed_up.customer
    async with world.store.reading() as tx:
        assert await actions.resolve(tx, "42") == signed_up.customer
