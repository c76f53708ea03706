"""`tollhouse keys` and `tollhouse staff`: what an operator does from a terminal, also while `serve` runs."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyotp
import pytest

from tests.catalog.files import RIGHT, write
from tests.cli.running import CommandLine
from tests.customers.world import HOME, PASSWORD, SECRET
from tollhouse.catalog import load_catalog, publish
from tollhouse.customers import actions
from tollhouse.customers.keyring import KeyRing
from tollhouse.customers.model import SignUp
from tollhouse.identity import IdentityDesk, open_desk, second_factor
from tollhouse.identity import actions as identity
from tollhouse.identity.passwords import Passwords
from tollhouse.kernel.errors import NotAuthenticated
from tollhouse.store import open_store
from tollhouse.store.opening import AnyStore

T = TypeVar("T")
BOSS = "boss@example.com"


@pytest.fixture
def tollhouse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], schema_url: str
) -> CommandLine:
    """The command line of an installation whose database is ready."""
    command_line = CommandLine(tmp_path, monkeypatch, capsys)
    command_line.set(ENVIRONMENT="test", SESSION_SECRET=SECRET, DATABASE_URL=schema_url)
    write(tmp_path, RIGHT)
    return command_line


def on_store(url: str, work: Callable[[AnyStore], Awaitable[T]]) -> T:
    async def opened() -> T:
        store = await open_store(url)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(opened())


def desk_of() -> IdentityDesk:
    return open_desk(SECRET, "http://127.0.0.1:8787", "AI Gate", Passwords(memory_kib=8, passes=1, parallelism=1))


def sign_in(url: str, email: str, password: str) -> str:
    """The staff role of who signs in; 'refused' when the password is wrong."""

    async def work(store: AnyStore) -> str:
        desk, now = desk_of(), store.clock.now_ms()
        try:
            session = await identity.sign_in(store, desk, email, password, now, visitor=HOME)
        except NotAuthenticated:
            return "refused"
        current = await identity.current_session(store, desk, session.token, now)
        return "nobody" if current is None else str(current.user.staff_role)

    return on_store(url, work)


def sign_up(url: str, config: Path, email: str, password: str) -> str:
    """Somebody signs up on the pages; the session's token."""

    async def work(store: AnyStore) -> str:
        now = store.clock.now_ms()
        async with store.transaction() as tx:
            catalog = await publish(tx, load_catalog(config), now)
        done = await actions.sign_up(store, desk_of(), catalog, SignUp(email), password, now, visitor=HOME)
        return done.session.token

    return on_store(url, work)


def document(text: str) -> Any:
    return msgspec.json.decode(text)


def test_a_key_is_shown_once_and_then_only_its_end(tollhouse: CommandLine) -> None:
    made = tollhouse("keys", "create", "backend")
    assert (made.status, made.out[:6], len(made.out)) == (0, "th_sk_", 50)

    listed = tollhouse("keys", "list", "--json")
    (item,) = document(listed.out)["items"]
    assert (item["name"], item["last4"], item["revoked_at"]) == ("backend", made.out.strip()[-4:], None)
    assert made.out.strip() not in listed.out + tollhouse("keys", "list").out


def test_a_key_made_and_revoked_by_command_is_known_to_a_running_server(
    tollhouse: CommandLine, schema_url: str
) -> None:
    made = document(tollhouse("keys", "create", "--json").out)

    async def knows(store: AnyStore) -> bool:
        ring = KeyRing(store)
        await ring.refresh()
        return ring.knows(made["key"].encode())

    assert on_store(schema_url, knows)
    revoked = tollhouse("keys", "revoke", made["id"])
    assert (revoked.status, revoked.out) == (0, f"{made['id']} (server) is revoked\n")
    assert not on_store(schema_url, knows)


def test_revoking_an_unknown_key_fails_and_says_what_to_do(tollhouse: CommandLine) -> None:
    answer = tollhouse("keys", "revoke", "key_unknown")
    assert answer.status == 1
    assert "fix: " in answer.err


def test_without_a_schema_the_command_says_how_to_make_one(tollhouse: CommandLine, tmp_path: Path) -> None:
    tollhouse.set(DATABASE_URL=f"sqlite:///{tmp_path / 'empty.db'}")
    answer = tollhouse("keys", "create")
    assert answer.status == 1
    assert "tollhouse db upgrade" in answer.err


def test_staff_is_made_with_a_password_from_stdin(
    tollhouse: CommandLine, schema_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    added = tollhouse("staff", "add", "Boss@Example.com", "--password-stdin", "--json")
    assert (added.status, document(added.out)["created"]) == (0, True)
    assert sign_in(schema_url, BOSS, PASSWORD) == "admin"
    assert [item["email"] for item in document(tollhouse("staff", "list", "--json").out)["items"]] == [BOSS]

    assert tollhouse("staff", "remove", BOSS).status == 0
    assert sign_in(schema_url, BOSS, PASSWORD) == "None"
    assert document(tollhouse("staff", "list", "--json").out)["items"] == []


@pytest.mark.row("A1")
def test_staff_made_by_command_has_a_customer_like_every_user(tollhouse: CommandLine, schema_url: str) -> None:
    added = document(tollhouse("staff", "add", BOSS, "--link", "--json").out)

    async def customer(store: AnyStore) -> str | None:
        async with store.reading() as tx:
            return await actions.customer_of_user(tx, added["id"])

    assert on_store(schema_url, customer)


def test_staff_is_made_with_a_link_that_sets_the_password(tollhouse: CommandLine, schema_url: str) -> None:
    link = tollhouse("staff", "add", BOSS, "--link").out.strip()
    assert link.startswith("http://127.0.0.1:8787/reset?token=")

    async def choose(store: AnyStore) -> None:
        token = link.partition("token=")[2]
        catalog = load_catalog(tollhouse.directory / "tollhouse.toml")
        await actions.reset_password(store, desk_of(), catalog, token, PASSWORD, store.clock.now_ms())

    on_store(schema_url, choose)
    assert sign_in(schema_url, BOSS, PASSWORD) == "admin"


def test_a_new_user_without_a_way_to_sign_in_is_not_made(tollhouse: CommandLine) -> None:
    answer = tollhouse("staff", "add", BOSS)
    assert answer.status == 1
    assert "--link" in answer.err
    assert document(tollhouse("staff", "list", "--json").out)["items"] == []


def test_who_squats_on_an_address_does_not_become_staff(tollhouse: CommandLine, schema_url: str) -> None:
    """Somebody has signed up with the boss's address and never proven it."""
    sign_up(schema_url, tollhouse.directory / "tollhouse.toml", BOSS, "the password of a stranger")

    refused = tollhouse("staff", "add", BOSS)
    assert refused.status == 1
    assert "--link" in refused.err
    assert sign_in(schema_url, BOSS, "the password of a stranger") == "None"

    assert tollhouse("staff", "add", BOSS, "--link").status == 0
    assert sign_in(schema_url, BOSS, "the password of a stranger") == "refused"


def test_a_weak_password_is_refused(tollhouse: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert tollhouse("staff", "add", BOSS, "--password-stdin").status == 1


def test_a_lost_second_factor_is_taken_away_and_every_session_ends(tollhouse: CommandLine, schema_url: str) -> None:
    sign_up(schema_url, tollhouse.directory / "tollhouse.toml", BOSS, PASSWORD)

    async def enrol(store: AnyStore) -> str:
        desk, now = desk_of(), store.clock.now_ms()
        session = await identity.sign_in(store, desk, BOSS, PASSWORD, now, visitor=HOME)
        current = await identity.current_session(store, desk, session.token, now)
        assert current is not None
        async with store.transaction() as tx:
            await second_factor.begin_factor(tx, desk, current.user, now)
            secret = (await second_factor.factor_of(tx, desk, current.user)).secret
        assert secret is not None
        await second_factor.confirm_factor(store, desk, current, pyotp.TOTP(secret).at(now // 1000), now, now)
        return session.token

    async def lives(store: AnyStore) -> bool:
        return await identity.current_session(store, desk_of(), token, store.clock.now_ms()) is not None

    token = on_store(schema_url, enrol)
    assert sign_in(schema_url, BOSS, PASSWORD) == "refused"
    reset = document(tollhouse("staff", "totp", "reset", BOSS, "--json").out)
    assert (reset["email"], reset["reset"]) == (BOSS, True)
    assert on_store(schema_url, lives) is False
    assert sign_in(schema_url, BOSS, PASSWORD) == "None"
    assert "had no second factor" in tollhouse("staff", "totp", "reset", BOSS).out
    nobody = tollhouse("staff", "totp", "reset", "nobody@example.com")
    assert (nobody.status, "nobody has signed up" in nobody.err) == (1, True)
