"""Stripe rolled back and the roll-back undone: the drill by commands on a served instance, and each rule by itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.billing.drills import ADDRESS, Drill, accounts_in, drilling
from tests.billing.shop import Shop
from tests.sandbox.outside import Browser
from tests.support.serving import make_secret_key
from tollhouse.billing import maintenance, rollback
from tollhouse.billing.account import ROLLBACK_KEY
from tollhouse.billing.rollback import FORWARD, Options, Rollback
from tollhouse.kernel.clock import HOUR, MINUTE
from tollhouse.kernel.errors import Conflict, TollhouseError, Unavailable


@pytest.fixture
async def drill(schema_url: str, tmp_path: Path) -> AsyncIterator[Drill]:
    async with drilling(schema_url, tmp_path / "backups") as drill:
        yield drill


# --- the drill ---


def steps_of(document: Any) -> dict[str, Any]:
    return {step["step"]: step for step in document["steps"]}


@pytest.mark.row("U10", "U11")
@pytest.mark.timeout(180)
def test_the_whole_drill_by_commands(served: Shop, tmp_path: Path) -> None:
    shop, client = served, served.client
    key = make_secret_key(shop.database_url)
    ours = next(iter(client.v1.webhook_endpoints.list().data))
    others = client.v1.webhook_endpoints.create({"url": "https://other.example.com/hook", "enabled_events": ["*"]})
    http = httpx.Client(base_url=shop.server.url, headers={"authorization": f"Bearer {key}"}, timeout=30)
    deadline = time.monotonic() + 20
    while http.get("/v1/catalog").status_code == 401 and time.monotonic() < deadline:
        time.sleep(0.1)  # the running server has not heard of the new key yet
    http.post("/v1/customers", json={"email": "ada@example.com", "external_id": "ada"}).raise_for_status()
    page = http.post("/billing/checkout", json={"plan": "starter", "user_id": "ada"}).json()["url"]

    planned = shop.command("stripe", "rollback", "--plan")
    assert planned.status == 2
    assert [line.split("\t")[0] for line in planned.out.splitlines()] == ["endpoints", "maintenance", "backup"]
    assert client.v1.webhook_endpoints.retrieve(ours.id).status == "enabled"
    refused = shop.command("stripe", "rollback")
    assert (refused.status, "--yes" in refused.err) == (1, True), "nobody can be asked here"

    ran = shop.command("stripe", "rollback", "--yes", "--json")
    assert ran.status == 0, ran.err
    done = json.loads(ran.out)
    assert done["state"] == "rolled_back"
    assert list(steps_of(done)) == ["endpoints", "maintenance", "backup"]
    disabled = client.v1.webhook_endpoints.retrieve(ours.id)
    assert (disabled.status, disabled.metadata[ROLLBACK_KEY]) == ("disabled", done["id"])
    assert client.v1.webhook_endpoints.retrieve(others.id).status == "enabled"
    answer = http.post("/billing/checkout", json={"plan": "starter", "user_id": "ada"})
    assert (answer.status_code, answer.json()["code"]) == (503, "maintenance")
    assert 3_000 < int(answer.headers["retry-after"]) <= 3_600
    assert accounts_in(Path(steps_of(done)["backup"]["file"])) == 1

    # Whoever sets up Stripe meanwhile changes nothing of it, and whoever checks is told.
    again = shop.setup()
    assert (again["changes"], again["webhook_endpoint"]["outcome"]) == (0, "found")
    assert done["id"] in again["webhook_endpoint"]["detail"]
    assert (shop.plan().status, shop.plan().out) == (0, "nothing to do\n")
    assert client.v1.webhook_endpoints.retrieve(ours.id).status == "disabled"
    assert "stripe rollback --undo" in shop.command("stripe", "validate").out
    assert json.loads(shop.command("stripe", "rollback", "--yes", "--json").out) == done
    assert shop.command("stripe", "rollback", "--plan").out == "nothing to do\n"

    # Somebody pays on a page that was open: Stripe can tell nobody.
    typed = {"email": "ada@example.com", "number": "4242424242424242", "expiry": "12 / 40", "cvc": "123", "name": "Ada"}
    Browser(shop.sandbox.url).open(page, typed)
    assert http.get("/v1/customers/ada").json()["plan"] == "free"

    assert shop.command("stripe", "rollback", "--undo", "--plan").status == 2
    undone = shop.command("stripe", "rollback", "--undo", "--yes")
    assert undone.status == 0, undone.err + undone.out
    assert f"{ours.id} enabled again" in undone.out
    assert undone.out.splitlines()[-1] == "complete"
    enabled = client.v1.webhook_endpoints.retrieve(ours.id)
    assert (enabled.status, ROLLBACK_KEY in enabled.metadata) == ("enabled", False)
    assert http.get("/v1/customers/ada").json()["plan"] == "starter"
    http.post("/v1/customers", json={"email": "grace@example.com", "external_id": "grace"}).raise_for_status()
    assert http.post("/billing/checkout", json={"plan": "starter", "user_id": "grace"}).status_code == 200
    assert shop.setup()["changes"] == 0
    assert "not rolled back" in shop.command("stripe", "rollback", "--undo", "--yes").err


# --- each step ---


@pytest.mark.row("U10")
async def test_only_what_calls_this_instance_and_is_enabled_is_disabled_and_only_that_comes_back(drill: Drill) -> None:
    ours, slash = await drill.endpoint(ADDRESS), await drill.endpoint(ADDRESS + "/")
    off, others = await drill.endpoint(ADDRESS + "?", enabled=False), await drill.endpoint("https://x.example.com/hook")
    before = await drill.endpoints()
    done = await drill.roll_back(maintenance=False, backup=False)
    assert set(done.steps) == {"endpoints"}
    there = await drill.endpoints()
    assert {name for name, (enabled, _) in there.items() if not enabled} == {ours, slash, off}
    assert there[ours][1] == {"kept": "yes", ROLLBACK_KEY: done.id}
    assert (there[others], there[off]) == (before[others], before[off])
    await drill.undo()
    assert await drill.endpoints() == before


@pytest.mark.row("U10")
async def test_what_others_do_with_an_endpoint_meanwhile_stays(drill: Drill) -> None:
    gone, by_hand = await drill.endpoint(ADDRESS), await drill.endpoint(ADDRESS + "/")
    await drill.roll_back(maintenance=False, backup=False)
    await drill.world.stripe("delete", f"/v1/webhook_endpoints/{gone}")
    await drill.gateway.update_endpoint(by_hand, {"metadata": {ROLLBACK_KEY: ""}})  # it is somebody else's now
    undone = await drill.undo()
    found = {each.id: each.found for each in undone.steps["endpoints"].record.endpoints}
    assert found == {gone: "gone", by_hand: "left"}
    assert (await drill.endpoints())[by_hand][0] is False


@pytest.mark.row("U10")
@pytest.mark.parametrize("left_out", FORWARD[:3])
async def test_each_step_can_be_left_out(drill: Drill, left_out: str) -> None:
    ours = await drill.endpoint(ADDRESS)
    done = await drill.roll_back(**{left_out: False})
    assert set(done.steps) == set(FORWARD[:3]) - {left_out}
    assert (await drill.endpoints())[ours][0] is (left_out == "endpoints")
    assert await drill.on() is (left_out != "maintenance")
    assert drill.folder.exists() is (left_out != "backup")
    assert (await drill.undo()).state == "undone"
    assert (await drill.endpoints())[ours] == (True, {"kept": "yes"})
    assert not await drill.on()


async def test_it_lasts_as_long_as_asked_and_ends_its_own_maintenance_only(drill: Drill) -> None:
    store = drill.world.store
    done = await drill.roll_back(backup=False, lasts_ms=30 * MINUTE)
    async with store.transaction() as tx:
        now = store.clock.now_ms()
        on = await maintenance.current(tx, now)
        assert on is not None
        assert (on.rollback, on.ends_at - on.started_at) == (done.id, 30 * MINUTE)
        theirs = await maintenance.switch_on(tx, by_whom="alan", reason="more", lasts_ms=HOUR, now=now)
    await drill.undo()
    async with store.reading() as tx:
        assert await maintenance.current(tx, store.clock.now_ms()) == theirs


@pytest.mark.row("U10")
async def test_each_user_is_told_once_in_their_language(drill: Drill, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollhouse.billing.rolling_back.AT_ONCE", 3)
    await drill.users(7)
    await drill.roll_back(backup=False, tell_users=True)
    mails = await drill.world.facts("mail.requested")
    assert sorted((mail["to"], mail["locale"]) for mail in mails) == [
        (f"u{n}@example.com", "fr" if n % 2 else "en") for n in range(7)
    ]
    assert {mail["template"] for mail in mails} == {"maintenance"}
    assert all(mail["values"]["until"].endswith(" UTC") for mail in mails)
    await drill.roll_back(tell_users=True)
    await drill.undo()
    assert len(await drill.world.facts("mail.requested")) == 7


async def test_nobody_is_written_to_unless_asked(drill: Drill) -> None:
    await drill.users(2)
    await drill.roll_back()
    assert await drill.world.facts("mail.requested") == []


@pytest.mark.row("U10")
async def test_events_missed_meanwhile_are_fetched_and_applied(drill: Drill) -> None:
    world = drill.world
    await drill.endpoint(ADDRESS)
    customer = await world.customer()
    await drill.roll_back(backup=False, maintenance=False)
    await world.buy(customer, "starter")
    undone = await drill.undo()
    events = undone.steps["events"]
    assert events.record.proof is not None
    assert events.record.proof.complete
    assert events.fetched == events.record.proof.listed > 0
    assert (await world.state(customer)).plan == "starter"
    assert await world.credits(customer) == 1_000


# --- errors, and two at once ---


async def test_what_fails_is_kept_with_the_rollback_and_run_again(drill: Drill) -> None:
    ours = await drill.endpoint(ADDRESS)
    drill.folder.write_text("a file where the folder should be")
    with pytest.raises(Unavailable) as failed:
        await drill.roll_back()
    assert failed.value.code == "not_writable"
    assert failed.value.fix is not None
    assert "--backup-to" in failed.value.fix
    async with drill.world.store.reading() as tx:
        found = await rollback.open_rollback(tx)
    assert found is not None
    assert (found.state, found.error and "cannot be written" in found.error) == ("rolling_back", True)
    assert (await drill.endpoints())[ours][0] is False
    assert [step for step, _ in await drill.roller.plan(Options())] == ["backup"]
    done = await drill.roll_back(
        backup=False
    )  # as the error advises: the options of the last run count for what is left
    assert (done.id, done.state, done.error, await drill.on()) == (found.id, "rolled_back", None, True)


async def test_an_unfinished_one_is_undone_too_and_then_cannot_go_on(drill: Drill) -> None:
    ours = await drill.endpoint(ADDRESS)
    roller = drill.roller
    asked = drill.gateway.update_endpoint

    async def meanwhile(endpoint: str, changes: Any) -> Any:
        """While Stripe is asked to disable it, somebody undoes the roll-back."""
        drill.gateway.update_endpoint = asked  # type: ignore[method-assign]
        await drill.undo()
        return await asked(endpoint, changes)

    drill.gateway.update_endpoint = meanwhile  # type: ignore[method-assign, assignment]
    with pytest.raises(Conflict) as refused:
        await roller.roll_back(Options(), by_whom="grace")
    assert refused.value.code == "undoing"
    assert (await drill.endpoints())[ours] == (True, {"kept": "yes"})
    assert not await drill.on()


async def test_two_at_once_are_one(drill: Drill) -> None:
    ours = await drill.endpoint(ADDRESS)
    await drill.users(20)
    first, second = await asyncio.gather(drill.roll_back(tell_users=True), drill.roll_back(tell_users=True))
    assert first.id == second.id
    assert len(await drill.world.facts("mail.requested")) == 20
    results = await asyncio.gather(drill.undo(), drill.undo(), return_exceptions=True)
    assert all(isinstance(result, Rollback | TollhouseError) for result in results), results
    assert (await drill.endpoints())[ours] == (True, {"kept": "yes"})
    async with drill.world.store.reading() as tx:
        assert [one.state for one in await rollback.rollbacks(tx)] == ["undone"]


async def test_undoing_none_is_told_and_another_may_follow(drill: Drill) -> None:
    with pytest.raises(Conflict) as refused:
        await drill.undo()
    assert refused.value.code == "not_rolled_back"
    first = await drill.roll_back(backup=False)
    await drill.undo()
    second = await drill.roll_back(backup=False)
    assert second.id != first.id
    assert await drill.on()
