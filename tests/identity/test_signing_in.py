"""A7 (e-mail part): signing in, sessions that end, a throttle, and no hint about who has an account."""

from __future__ import annotations

import asyncio

import pytest

from tests.customers.world import HOME, PASSWORD, World
from tollhouse.customers.actions import reset_password
from tollhouse.identity import actions
from tollhouse.identity.model import NewSession, Session, Visitor
from tollhouse.identity.passwords import Passwords, Verdict
from tollhouse.kernel.clock import DAY, MINUTE, SECOND
from tollhouse.kernel.errors import InvalidRequest, NotAuthenticated, TooManyAttempts
from tollhouse.store import Sql

ADA = "ada@example.com"
AWAY = Visitor("2001:db8:1:2::1")


async def sign_in(world: World, email: str = ADA, password: str = PASSWORD, visitor: Visitor = HOME) -> NewSession:
    return await actions.sign_in(world.store, world.desk, email, password, world.now, visitor=visitor)


async def session_of(world: World, token: str) -> Session | None:
    return await actions.current_session(world.store, world.desk, token, world.now)


@pytest.mark.row("A7")
async def test_the_right_password_opens_a_session_however_the_address_is_written(world: World) -> None:
    signed_up = await world.sign_up(ADA)

    session = await session_of(world, (await sign_in(world, "  ADA@Example.com ")).token)

    assert session is not None
    assert session.user.id == signed_up.user.id


@pytest.mark.row("A7")
async def test_a_wrong_password_and_an_unknown_address_are_told_the_same(world: World) -> None:
    await world.sign_up(ADA)
    told = set()
    for email, password in (
        (ADA, "wrong password"),
        ("bob@example.com", PASSWORD),
        ("no address", PASSWORD),
        (ADA, "x" * 300),
    ):
        with pytest.raises(NotAuthenticated) as refusal:
            await sign_in(world, email, password)
        told.add((refusal.value.code, refusal.value.detail))
    assert len(told) == 1


class CountedPasswords(Passwords):
    """Counts how often argon2 was asked to check something."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8, passes=1, parallelism=1)
        self.checked: list[str] = []

    def _verify(self, stored: str | None, password: str) -> Verdict:
        hasher = self._hasher

        class Counting:
            def verify(self, against: str, given: bytes) -> bool:
                counted.checked.append(against.split("$")[3])  # the parameters of the hash
                return hasher.verify(against, given)

            def hash(self, given: bytes) -> str:
                return hasher.hash(given)

            def check_needs_rehash(self, stored: str) -> bool:
                return hasher.check_needs_rehash(stored)

        counted = self
        self._hasher = Counting()  # type: ignore[assignment]
        try:
            return super()._verify(stored, password)
        finally:
            self._hasher = hasher


@pytest.mark.row("A7")
async def test_an_unknown_address_costs_one_argon2_check_like_a_known_one(world: World) -> None:
    """Time is told by argon2 alone: both ways check one hash with the same parameters."""
    await world.sign_up(ADA)
    passwords = CountedPasswords()
    known = await passwords.hash(PASSWORD)
    await passwords.verify(known, "wrong password")
    await passwords.verify(None, "wrong password")
    assert len(passwords.checked) == 2
    assert passwords.checked[0] == passwords.checked[1]
    assert not (await passwords.verify(None, PASSWORD)).matches


async def test_only_digests_of_tokens_are_kept(world: World) -> None:
    signed_up = await world.sign_up(ADA)
    async with world.store.reading() as tx:
        (session,) = await tx.fetch(Sql("select digest from session"))
        (token,) = await tx.fetch(Sql("select digest from email_token"))
    assert len(session["digest"]) == len(token["digest"]) == 32
    assert signed_up.session.token not in repr(signed_up)


async def test_another_secret_signs_everybody_out(world: World) -> None:
    signed_up = await world.sign_up(ADA)
    from_now_on = World(world.store, world.desk, world.catalog, world.now)
    from_now_on.desk = type(world.desk)(
        world.desk.passwords, type(world.desk.seal)("another secret of more than 32 bytes"), "", "", world.desk.per_email,
        world.desk.per_address,
    )  # fmt: skip
    assert await session_of(world, signed_up.session.token) is not None
    assert await session_of(from_now_on, signed_up.session.token) is None


async def test_a_session_ends_after_seven_days_without_use(world: World) -> None:
    token = (await world.sign_up(ADA)).session.token
    world.now += 6 * DAY
    assert await session_of(world, token) is not None
    world.now += 6 * DAY
    assert await session_of(world, token) is not None
    world.now += 7 * DAY
    assert await session_of(world, token) is None


async def test_a_session_ends_after_thirty_days_however_much_it_is_used(world: World) -> None:
    token = (await world.sign_up(ADA)).session.token
    for _ in range(29):
        world.now += DAY
        assert await session_of(world, token) is not None
    world.now += DAY
    assert await session_of(world, token) is None


async def test_use_is_written_at_most_every_ten_minutes(world: World) -> None:
    signed_up = await world.sign_up(ADA)
    seen = []
    for _ in range(4):
        await session_of(world, signed_up.session.token)
        async with world.store.reading() as tx:
            (view,) = await actions.list_sessions(tx, signed_up.user.id, world.now)
        seen.append(view.seen_at)
        world.now += 9 * MINUTE
    assert [later - seen[0] for later in seen] == [0, 0, 18 * MINUTE, 18 * MINUTE]


async def test_signing_out_ends_this_session_and_no_other(world: World) -> None:
    first = (await world.sign_up(ADA)).session
    second = await sign_in(world)
    async with world.store.transaction() as tx:
        await actions.sign_out(tx, world.desk, first.token, world.now)
    assert await session_of(world, first.token) is None
    assert await session_of(world, second.token) is not None


async def test_a_user_can_end_their_own_sessions_only(world: World) -> None:
    ada, bob = await world.sign_up(ADA), await world.sign_up("bob@example.com")
    async with world.store.transaction() as tx:
        assert not await actions.revoke_session(tx, ada.user.id, bob.session.id, world.now)
        assert await actions.revoke_session(tx, ada.user.id, ada.session.id, world.now)
    assert await session_of(world, ada.session.token) is None
    assert await session_of(world, bob.session.token) is not None


@pytest.mark.row("A10")
async def test_after_five_wrong_passwords_pauses_grow(world: World) -> None:
    await world.sign_up(ADA)
    pauses = []
    for attempt in range(8):
        with pytest.raises(NotAuthenticated):
            await sign_in(world, password="wrong password", visitor=Visitor(f"203.0.113.{attempt}"))
        with_pause = None
        try:
            await sign_in(world, visitor=Visitor("198.51.100.1")) if attempt >= 4 else None
        except TooManyAttempts as refusal:
            with_pause = refusal.fields["retry_after"]
            world.now += int(str(with_pause)) * SECOND
        pauses.append(with_pause)
    assert pauses == [None, None, None, None, 2, 4, 8, 16]

    await sign_in(world)
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            await sign_in(world, password="wrong password")


@pytest.mark.row("A10")
async def test_a_hundred_guesses_at_once_are_five_guesses(world: World) -> None:
    await world.sign_up(ADA)
    outcomes = await asyncio.gather(
        *(sign_in(world, password=f"guess number {n}", visitor=Visitor(f"203.0.113.{n}")) for n in range(100)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, NotAuthenticated) for outcome in outcomes) == 5
    assert sum(isinstance(outcome, TooManyAttempts) for outcome in outcomes) == 95


@pytest.mark.row("A10")
async def test_one_network_may_not_try_many_addresses(world: World) -> None:
    refused = 0
    for number in range(30):
        try:
            await sign_in(world, f"user{number}@example.com", visitor=Visitor(f"2001:db8:1:2::{number:x}"))
        except TooManyAttempts:
            refused += 1
        except NotAuthenticated:
            continue
    assert refused == 10
    with pytest.raises(NotAuthenticated):
        await sign_in(world, visitor=Visitor("2001:db8:1:3::1"))


@pytest.mark.row("A7")
async def test_a_new_password_ends_every_session_and_every_other_link(world: World) -> None:
    signed_up = await world.sign_up(ADA)
    for _ in range(2):
        await actions.request_password_reset(world.store, world.desk, ADA, world.now, visitor=HOME)
    older, newer = (url.partition("token=")[2] for url in await world.mailed("reset_password", ADA))
    await reset_password(world.store, world.desk, world.catalog, newer, "another good password", world.now)

    assert await session_of(world, signed_up.session.token) is None
    for used in (older, newer):
        with pytest.raises(InvalidRequest) as refusal:
            await reset_password(world.store, world.desk, world.catalog, used, "a third good password", world.now)
        assert refusal.value.code == "link_expired"
    with pytest.raises(NotAuthenticated):
        await sign_in(world)
    await sign_in(world, password="another good password")


async def test_a_reset_for_nobody_sends_nothing_and_says_nothing(world: World) -> None:
    await actions.request_password_reset(world.store, world.desk, "bob@example.com", world.now, visitor=HOME)
    assert await world.count("outbox") == 0


async def test_changing_the_password_keeps_this_session_and_ends_the_others(world: World) -> None:
    first = (await world.sign_up(ADA)).session
    second = await sign_in(world)
    session = await session_of(world, second.token)
    assert session is not None

    with pytest.raises(NotAuthenticated):
        await actions.change_password(
            world.store, world.desk, session, "wrong password", "another good password", world.now, visitor=HOME
        )
    assert await session_of(world, first.token) is not None
    await actions.change_password(
        world.store, world.desk, session, PASSWORD, "another good password", world.now, visitor=HOME
    )

    assert await session_of(world, first.token) is None
    assert await session_of(world, second.token) is not None
    await sign_in(world, password="another good password")


async def test_a_hash_of_older_parameters_is_made_anew_at_the_next_sign_in(world: World) -> None:
    await world.sign_up(ADA)
    world.desk = type(world.desk)(
        Passwords(memory_kib=16, passes=2, parallelism=1), world.desk.seal, world.desk.url, "", world.desk.per_email,
        world.desk.per_address,
    )  # fmt: skip
    await sign_in(world)
    async with world.store.reading() as tx:
        (row,) = await tx.fetch(Sql("select password_hash from users"))
    assert "m=16,t=2,p=1" in row["password_hash"]
    await sign_in(world)


async def test_a_password_changed_while_the_old_one_is_checked_opens_nothing(world: World) -> None:
    signed_up = await world.sign_up(ADA)

    class Slow(Passwords):
        """Somebody sets a new password while the old one is being checked."""

        async def verify(self, stored: str | None, password: str) -> Verdict:
            verdict = await super().verify(stored, password)
            async with world.store.transaction() as tx:
                await actions.set_password(tx, signed_up.user.id, await self.hash("x"), world.now)
            return verdict

    world.desk = type(world.desk)(
        Slow(memory_kib=8, passes=1, parallelism=1),
        world.desk.seal,
        "",
        "",
        world.desk.per_email,
        world.desk.per_address,
    )
    with pytest.raises(NotAuthenticated):
        await sign_in(world)
