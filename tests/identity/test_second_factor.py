"""A one-time code beside the password: good once, for a minute and a half, tried a few times; and recovery codes in its place."""

from __future__ import annotations

import asyncio

import pyotp
import pytest

from tests.customers.world import HOME, PASSWORD, World
from tests.identity.test_signing_in import ADA, session_of, sign_in
from tollhouse.identity import actions, second_factor
from tollhouse.identity.model import NewSession, Session
from tollhouse.identity.seal import Seal
from tollhouse.identity.second_factor import LONGEST_PAUSE_MS, PENDING_MS, STEP_MS, CodeNeeded
from tollhouse.kernel.errors import ConfigurationError, Conflict, NotAuthenticated, TooManyAttempts
from tollhouse.store import Sql

AT = 1_800_000_000_000 // STEP_MS * STEP_MS


def code_at(secret: str, at: int) -> str:
    return pyotp.TOTP(secret).at(at // 1000)


async def begun(world: World) -> tuple[Session, str]:
    """Ada is signed in and has scanned her secret."""
    await world.sign_up(ADA)
    session = await session_of(world, (await sign_in(world)).token)
    assert session is not None
    async with world.store.transaction() as tx:
        await second_factor.begin_factor(tx, world.desk, session.user, AT)
        secret = (await second_factor.factor_of(tx, world.desk, session.user)).secret
    assert secret is not None
    return session, secret


async def enrolled(world: World) -> tuple[Session, str, list[str]]:
    """From now on she is asked for a code. Her secret and her recovery codes."""
    session, secret = await begun(world)
    codes = await second_factor.confirm_factor(
        world.store, world.desk, session, code_at(secret, AT - 4 * STEP_MS), AT - 4 * STEP_MS, world.now
    )
    return session, secret, codes


async def pending(world: World) -> str:
    with pytest.raises(CodeNeeded) as needed:
        await sign_in(world)
    return needed.value.pending


async def enter(world: World, code: str, at: int = AT, proof: str | None = None) -> NewSession:
    proof = proof or await pending(world)
    return await actions.sign_in_with_code(world.store, world.desk, proof, code, world.now, at, visitor=HOME)


async def test_nothing_is_asked_for_before_the_first_code_was_typed(world: World) -> None:
    session, secret = await begun(world)
    await sign_in(world)
    with pytest.raises(NotAuthenticated, match="wrong"):
        await second_factor.confirm_factor(world.store, world.desk, session, "000000", AT, world.now)
    await sign_in(world)
    await second_factor.confirm_factor(world.store, world.desk, session, code_at(secret, AT), AT, world.now)
    await pending(world)


async def test_it_ends_the_other_sessions_and_keeps_this_one(world: World) -> None:
    session, secret = await begun(world)
    other = await sign_in(world)
    await second_factor.confirm_factor(world.store, world.desk, session, code_at(secret, AT), AT, world.now)
    assert await session_of(world, other.token) is None
    entered = await session_of(world, (await enter(world, code_at(secret, AT + STEP_MS), AT + STEP_MS)).token)
    assert entered is not None
    assert entered.second_factor


@pytest.mark.parametrize("late", [-1, 0, 1])
async def test_a_code_is_good_in_its_half_minute_and_the_ones_beside_it(world: World, late: int) -> None:
    _, secret, _ = await enrolled(world)
    code = code_at(secret, AT)
    assert await session_of(world, (await enter(world, f"{code[:3]} {code[3:]}", AT + late * STEP_MS)).token)


@pytest.mark.parametrize("late", [-2, 2])
async def test_and_in_no_other(world: World, late: int) -> None:
    _, secret, _ = await enrolled(world)
    with pytest.raises(NotAuthenticated):
        await enter(world, code_at(secret, AT), AT + late * STEP_MS)


async def test_a_code_is_good_once_also_for_two_at_once(world: World) -> None:
    _, secret, _ = await enrolled(world)
    proof = await pending(world)
    code = code_at(secret, AT)
    came = await asyncio.gather(*(enter(world, code, AT, proof) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(one, NewSession) for one in came) == 1
    assert sum(isinstance(one, NotAuthenticated) for one in came) == 3
    with pytest.raises(NotAuthenticated):  # nor an older one after it
        await enter(world, code_at(secret, AT - STEP_MS), AT)
    assert (await enter(world, code_at(secret, AT + STEP_MS), AT + STEP_MS)).token


async def test_the_code_that_turned_it_on_lets_nobody_in(world: World) -> None:
    session, secret = await begun(world)
    code = code_at(secret, AT)
    await second_factor.confirm_factor(world.store, world.desk, session, code, AT, world.now)
    with pytest.raises(NotAuthenticated):
        await enter(world, code, AT)


async def test_attempts_are_limited_in_the_database(world: World) -> None:
    _, secret, codes = await enrolled(world)
    proof = await pending(world)
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            await enter(world, "000000", AT, proof)
    for right in (code_at(secret, AT), codes[0]):
        with pytest.raises(TooManyAttempts) as limited:
            await enter(world, right, AT, proof)
    assert limited.value.fields["retry_after"] == 30
    for _ in range(12):
        async with world.store.transaction() as tx:
            await tx.execute(Sql("update second_factor set blocked_until = 0"))
        with pytest.raises(NotAuthenticated):
            await enter(world, "000000", AT, proof)
    with pytest.raises(TooManyAttempts) as limited:
        await enter(world, code_at(secret, AT), AT, proof)
    assert limited.value.fields["retry_after"] == LONGEST_PAUSE_MS // 1000
    later = AT + LONGEST_PAUSE_MS
    assert (await enter(world, code_at(secret, later), later, proof)).token
    with pytest.raises(NotAuthenticated):  # the right one forgets the failures
        await enter(world, "000000", later, proof)


async def test_ten_recovery_codes_let_in_once_each_and_are_kept_as_digests(world: World) -> None:
    session, _, codes = await enrolled(world)
    assert len(set(codes)) == 10
    assert await session_of(world, (await enter(world, f" {codes[3].upper()} ")).token)
    with pytest.raises(NotAuthenticated):
        await enter(world, codes[3])
    async with world.store.transaction() as tx:
        assert (await second_factor.factor_of(tx, world.desk, session.user)).codes_left == 9
        rows = await tx.fetch(Sql("select digest from recovery_code"))
        [factor] = await tx.fetch(Sql("select sealed from second_factor"))
    kept = b"".join(bytes(row["digest"]) for row in rows) + bytes(factor["sealed"])
    assert not any(code.replace("-", "").encode() in kept for code in codes)

    fresh = await second_factor.change_factor(world.store, world.desk, session.user, codes[0], AT, off=False)
    assert not set(fresh) & set(codes)
    with pytest.raises(NotAuthenticated):
        await enter(world, codes[1])
    assert (await enter(world, fresh[0])).token


async def test_the_secret_is_sealed_for_its_user_and_by_the_installations_secret(world: World) -> None:
    session, secret, _ = await enrolled(world)
    async with world.store.transaction() as tx:
        [row] = await tx.fetch(Sql("select sealed from second_factor"))
    sealed = bytes(row["sealed"])
    assert secret.encode() not in sealed
    seal = world.desk.seal
    assert seal.unlock("second-factor", session.user.id, sealed) == secret
    assert seal.unlock("second-factor", "usr_other", sealed) is None
    assert seal.unlock("other", session.user.id, sealed) is None
    assert Seal("another secret of thirty-two bytes").unlock("second-factor", session.user.id, sealed) is None
    assert seal.unlock("second-factor", session.user.id, b"") is None
    async with world.store.transaction() as tx:
        await tx.execute(Sql("update second_factor set sealed = :sealed"), sealed=b"x" * 60)
    with pytest.raises(ConfigurationError, match="another SESSION_SECRET"):
        await enter(world, code_at(secret, AT))


@pytest.mark.parametrize("proof", ["", "x", "usr_1.9999999999999.x.y", "\udcff"])
async def test_only_the_password_leads_to_the_code(world: World, proof: str) -> None:
    _, secret, _ = await enrolled(world)
    with pytest.raises(NotAuthenticated) as refused:
        await actions.sign_in_with_code(
            world.store, world.desk, proof or "nothing", code_at(secret, AT), world.now, AT, visitor=HOME
        )
    assert refused.value.code == "code_expired"


async def test_the_proof_of_the_password_ends_with_time_and_with_the_password(world: World) -> None:
    session, _, codes = await enrolled(world)
    proof = await pending(world)
    world.now += PENDING_MS + 1
    with pytest.raises(NotAuthenticated) as refused:
        await enter(world, codes[0], AT, proof)
    assert refused.value.code == "code_expired"
    proof = await pending(world)
    async with world.store.transaction() as tx:
        await actions.set_password(
            tx, session.user.id, await world.desk.passwords.hash("another good password"), world.now
        )
    with pytest.raises(NotAuthenticated) as refused:
        await enter(world, codes[0], AT, proof)
    assert refused.value.code == "code_expired"


async def test_it_is_turned_off_by_a_code_only(world: World) -> None:
    session, secret, _ = await enrolled(world)
    with pytest.raises(NotAuthenticated):
        await second_factor.change_factor(world.store, world.desk, session.user, "000000", AT, off=True)
    await pending(world)
    async with world.store.transaction() as tx:
        with pytest.raises(Conflict):
            await second_factor.begin_factor(tx, world.desk, session.user, AT)
    await second_factor.change_factor(world.store, world.desk, session.user, code_at(secret, AT), AT, off=True)
    await sign_in(world)
    async with world.store.reading() as tx:
        assert await tx.fetch(Sql("select 1 as one from recovery_code")) == []


async def test_who_is_no_longer_staff_has_none(world: World) -> None:
    await enrolled(world)
    async with world.store.transaction() as tx:
        await actions.set_staff_role(tx, ADA, None, world.now)
    await sign_in(world)


async def test_the_present_password_is_asked_for_and_tried_a_few_times(world: World) -> None:
    session, _ = await begun(world)
    await actions.check_password(world.store, world.desk, session.user, PASSWORD, world.now, visitor=HOME)
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            await actions.check_password(world.store, world.desk, session.user, "wrong", world.now, visitor=HOME)
    with pytest.raises(TooManyAttempts):
        await actions.check_password(world.store, world.desk, session.user, PASSWORD, world.now, visitor=HOME)
