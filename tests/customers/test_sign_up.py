"""A1: a user has a customer, an account, a plan and the sign-up grant, or does not exist."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from tests.customers.world import CATALOG, FREE, HOME, PASSWORD, World
from tollhouse.customers import actions, projects
from tollhouse.customers.model import SignUp
from tollhouse.identity import actions as identity
from tollhouse.kernel.errors import Conflict, InvalidRequest, TooManyAttempts
from tollhouse.store import Row, Sql, Tx, Value

TABLES = ("users", "customer", "customer_name", "member", "account", "entry", "lot", "project", "session", "outbox")


class Pulled(Exception):
    """The plug was pulled."""


class PluggedTx:
    """A transaction whose plug is pulled before its n-th statement."""

    def __init__(self, tx: Tx, statements: int) -> None:
        self._tx = tx
        self.dialect = tx.dialect
        self._left = statements

    def _count(self) -> None:
        if self._left == 0:
            raise Pulled
        self._left -= 1

    async def fetch(self, sql: Sql, **parameters: Value) -> list[Row]:
        self._count()
        return await self._tx.fetch(sql, **parameters)

    async def fetch_one(self, sql: Sql, **parameters: Value) -> Row | None:
        self._count()
        return await self._tx.fetch_one(sql, **parameters)

    async def execute(self, sql: Sql, **parameters: Value) -> int:
        self._count()
        return await self._tx.execute(sql, **parameters)

    async def execute_many(self, sql: Sql, rows: Sequence[Mapping[str, Value]]) -> None:
        self._count()
        await self._tx.execute_many(sql, rows)

    async def fetch_many(self, sql: Sql, rows: Sequence[Mapping[str, Value]]) -> list[Row]:
        self._count()
        return await self._tx.fetch_many(sql, rows)


@asynccontextmanager
async def plugged(world: World, statements: int) -> AsyncIterator[PluggedTx]:
    async with world.store.transaction() as tx:
        yield PluggedTx(tx, statements)


@pytest.mark.row("A1")
async def test_sign_up_gives_a_customer_the_free_plan_100_credits_and_a_project(world: World) -> None:
    signed_up = await world.sign_up("Ada@Example.com")

    assert signed_up.user.email == "ada@example.com"
    assert signed_up.customer is not None
    state = await world.state(signed_up.customer)
    assert (state.plan, state.standing, state.counts) == ("free", "good", {"projects": 1})
    assert [(lot.amount, lot.used, lot.locked) for lot in state.lots["credits"]] == [(100_000, 0, True)]
    async with world.store.reading() as tx:
        listed = await projects.list_projects(tx, signed_up.customer)
    assert [(project.name, project.key.startswith("th_pk_")) for project in listed] == [("Default", True)]
    session = await identity.current_session(world.store, world.desk, signed_up.session.token, world.now)
    assert session is not None
    assert session.user == signed_up.user


@pytest.mark.row("A1")
async def test_a_sign_up_that_fails_at_any_step_leaves_nothing(world: World) -> None:
    form = actions.checked_sign_up(SignUp("ada@example.com", "Ada"), CATALOG)
    for statements in range(100):
        try:
            async with plugged(world, statements) as tx:
                await actions.sign_up_in(tx, world.desk, CATALOG, form, "hash", world.now, visitor=HOME)
        except Pulled:
            assert [await world.count(table) for table in TABLES] == [0] * len(TABLES), f"after {statements} statements"
        else:
            break
    assert statements > 10
    assert [await world.count(table) for table in ("users", "customer", "member", "account", "session")] == [1] * 5


@pytest.mark.row("A1")
async def test_two_sign_ups_with_one_address_at_once_make_one_user(world: World) -> None:
    outcomes = await asyncio.gather(
        *(world.sign_up(email) for email in ("ada@example.com", "ADA@example.com")), return_exceptions=True
    )

    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict)]
    assert [error.code for error in refused] == ["email_taken"]
    assert [await world.count(table) for table in ("users", "customer", "member", "account", "project")] == [1] * 5


async def test_a_free_plan_without_projects_gives_none(world: World) -> None:
    world.catalog = msgspec.structs.replace(
        CATALOG, plans={**CATALOG.plans, "free": msgspec.structs.replace(FREE, limits={"requests": 30})}
    )

    signed_up = await world.sign_up("ada@example.com")

    assert signed_up.customer is not None
    assert await world.count("project") == 0
    assert (await world.state(signed_up.customer)).counts == {}


@pytest.mark.parametrize(
    "email",
    ["", "ada", "ada@", "@example.com", "ada@localhost", "ada@@example.com", "a da@example.com", "ada@exam\x00ple.com",
     "ada\n@example.com", f"{'a' * 65}@example.com", f"ada@{'a' * 250}.com", "ada@-a.com", "ada@example..com", "àda@example.com",
     "ada@127.0.0.1", ".ada@example.com", "ada\ud800@example.com"],
)  # fmt: skip
async def test_what_is_no_address_is_refused(world: World, email: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await world.sign_up(email)
    assert refusal.value.code == "invalid_email"
    assert await world.count("users") == 0


@pytest.mark.parametrize("password", ["short", "x" * 201, "ada@example.com", "ADA@example.com", "a null \x00 in it"])
async def test_a_weak_password_is_refused(world: World, password: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await world.sign_up("ada@example.com", password)
    assert refusal.value.code == "weak_password"
    assert await world.count("users") == 0


@pytest.mark.parametrize("name", ["Ada\x00", "Ada\nLovelace", "x" * 201])
async def test_a_name_that_cannot_be_shown_is_refused(world: World, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await world.sign_up("ada@example.com", PASSWORD, name)
    assert await world.count("users") == 0


async def test_sign_ups_from_one_address_have_to_wait_after_twenty(world: World) -> None:
    for number in range(20):
        await world.sign_up(f"user{number}@example.com")
    with pytest.raises(TooManyAttempts) as refusal:
        await world.sign_up("user20@example.com")
    assert refusal.value.fields["retry_after"] == 2
