"""Staff pause, park, roll back and undo on a page, with the environment's name typed where it matters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.billing.drills import accounts_in
from tests.web.street import Person, Street, hidden_fields, opened
from tollhouse.billing import pausing, rollback
from tollhouse.billing.account import HANDLED_EVENTS, ROLLBACK_KEY
from tollhouse.billing.rolling_back import Roller
from tollhouse.billing.stripe import StripeAccount
from tollhouse.identity.actions import set_staff_role
from tollhouse.kernel import background
from tollhouse.store import Sql
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running

PATH = "/admin/maintenance"
KEY = "sk_test_pages"


class Desk:
    """A product with the sandbox as Stripe, its endpoint there, and Grace who works for it."""

    def __init__(self, street: Street, grace: Person, gateway: StripeAccount, endpoint: str) -> None:
        self.street, self.grace, self.gateway, self.endpoint = street, grace, gateway, endpoint

    async def page(self) -> str:
        answer = await self.grace.open(PATH)
        assert answer.status_code == 200
        return answer.text

    async def send(self, action: str = "", **fields: str) -> str:
        """Send one of the page's forms; where it leads."""
        answer = await self.grace.submit(PATH, f"{PATH}{action}", **fields)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"]).partition("?done=")[2]

    async def refused(self, action: str = "", **fields: str) -> tuple[int, str]:
        answer = await self.grace.submit(PATH, f"{PATH}{action}", **fields)
        return answer.status_code, answer.text

    async def refused_late(self, action: str, **fields: str) -> tuple[int, str]:
        """As `refused`, from a page that was loaded when the form was still on it."""
        token = hidden_fields(await self.page(), PATH)
        answer = await self.grace.client.post(f"{PATH}{action}", data=token | fields)
        return answer.status_code, answer.text

    async def enabled(self) -> tuple[bool, str | None]:
        (found,) = await self.gateway.endpoints()
        return found.enabled, found.metadata.get(ROLLBACK_KEY)


@pytest.fixture
async def desk(schema_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.chdir(tmp_path)
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(running(Config(port=0, smtp_port=None)))
        street = await stack.enter_async_context(
            opened(schema_url, "aurion", tmp_path, STRIPE_SECRET_KEY=KEY, STRIPE_API_BASE=sandbox.url)
        )
        grace = await stack.enter_async_context(street.somebody())
        await grace.sign_up("grace@example.com")
        async with street.house.store.transaction() as tx:
            await set_staff_role(tx, "grace@example.com", "admin", street.house.store.clock.now_ms())
        gateway = StripeAccount(KEY, api_base=sandbox.url)
        stack.push_async_callback(gateway.close)
        made = await gateway.create_endpoint(f"{street.house.settings.url}/webhooks/stripe", HANDLED_EVENTS, {}, "a")
        yield Desk(street, grace, gateway, made.id)


@pytest.mark.row("U11")
async def test_maintenance_is_switched_on_and_off_and_stands_in_the_history(desk: Desk) -> None:
    assert "No maintenance yet" in await desk.page()
    assert await desk.send(**{"for": "2h", "reason": "moving the database"}) == "on"
    page = await desk.page()
    assert "moving the database" in page
    assert "by grace@example.com" in page
    assert "Sell again now" in page
    assert await desk.send("/off") == "off"
    page = await desk.page()
    assert "Pause new subscriptions" in page
    assert "moving the database" in page, "it stands in the history"
    for wrong in ({"for": "2y", "reason": "why"}, {"for": "1h", "reason": " "}):
        status, page = await desk.refused(**wrong)
        assert (status, "That was not done" in page) == (422, True)


@pytest.mark.row("U10")
async def test_events_are_parked_and_resumed_with_their_proof(desk: Desk) -> None:
    assert await desk.send("/pause", **{"pause-reason": "a closer look"}) == "paused"
    store = desk.street.house.store
    async with store.reading() as tx:
        assert await pausing.is_paused(tx)
    page = await desk.page()
    assert "a closer look" in page
    assert "stored and not applied" in page
    assert await desk.send("/resume") == "resumed"
    page = await desk.page()
    assert "Applied as they come" in page
    assert "Listed by Stripe" in page
    assert "Complete" in page


@pytest.mark.row("U10")
async def test_stripe_is_rolled_back_and_undone_once_the_environment_is_named(desk: Desk) -> None:
    choices = {"endpoints": "on", "pausing": "on", "backup": "on", "rollback-for": "1h"}
    for typed in ("", "production", "Test"):
        status, page = await desk.refused("/rollback", typed=typed, **choices)
        assert (status, "type test" in page) == (409, True)
    assert await desk.enabled() == (True, None)
    assert await desk.send("/rollback", typed="test", **choices) == "rolled_back"
    page = await desk.page()
    assert desk.endpoint in page
    assert "Rolled back" in page
    assert "Sell again now" in page
    async with desk.street.house.store.reading() as tx:
        found = await rollback.open_rollback(tx)
    assert found is not None
    assert found.by_whom == "grace@example.com"
    assert await desk.enabled() == (False, found.id)
    assert accounts_in(Path(found.steps["backup"].record.file)) == 1

    status, page = await desk.refused("/undo", typed="yes")
    assert (status, await desk.enabled()) == (409, (False, found.id))
    assert await desk.send("/undo", typed="test") == "undone"
    assert await desk.enabled() == (True, None)
    page = await desk.page()
    assert "Not rolled back" in page
    assert "Roll-backs so far" in page
    assert "Missed events fetched" in page


@pytest.mark.row("U10")
async def test_one_that_stopped_says_why_and_goes_on(desk: Desk) -> None:
    folder = Path.cwd() / "backups"
    folder.write_text("in the way")
    choices = {"endpoints": "on", "backup": "on", "rollback-for": "1h"}
    status, page = await desk.refused("/rollback", typed="test", **choices)
    assert (status, "cannot be written" in page) == (503, True)
    page = await desk.page()
    assert "It stopped before it was done" in page
    assert "Go on with it" in page
    folder.unlink()
    assert await desk.send("/rollback", typed="test", **choices) == "rolled_back"
    assert "It stopped before" not in await desk.page()


@pytest.mark.row("U10")
async def test_while_one_is_under_way_it_is_not_undone_nor_the_other_way_round(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "PATIENCE_SECONDS", 0.2)
    go_on, backing_up, enabling = asyncio.Event(), Roller._back_up, Roller._enable

    async def back_up(roller: Roller, found: rollback.Rollback) -> str:
        await go_on.wait()
        return await backing_up(roller, found)

    async def enable(roller: Roller, found: rollback.Rollback) -> str:
        await go_on.wait()
        return await enabling(roller, found)

    async def ended() -> str:
        go_on.set()
        for _ in range(500):
            if not (await desk.street.house.operations.state()).busy:
                break
            await asyncio.sleep(0.02)
        go_on.clear()
        return await desk.page()

    monkeypatch.setattr(Roller, "_back_up", back_up)
    monkeypatch.setattr(Roller, "_enable", enable)
    choices = {"endpoints": "on", "backup": "on", "rollback-for": "1h"}
    assert await desk.send("/rollback", typed="test", **choices) == "goes_on"
    page = await desk.page()
    assert "It is being worked on" in page
    assert 'action="/admin/maintenance/undo"' not in page
    status, page = await desk.refused_late("/undo", typed="test")
    assert (status, "wait until it has ended" in page) == (409, True)
    assert 'action="/admin/maintenance/undo"' in await ended()
    assert (await desk.enabled())[0] is False

    assert await desk.send("/undo", typed="test") == "goes_on"
    status, page = await desk.refused_late("/rollback", typed="test", **choices)
    assert (status, "wait until it has ended" in page) == (409, True)
    assert "Not rolled back" in await ended()
    assert await desk.enabled() == (True, None)


async def test_the_page_is_for_staff_and_its_forms_for_nobody_elses_page(desk: Desk) -> None:
    async with desk.street.somebody() as ada:
        await ada.sign_up()
        assert (await ada.open(PATH)).status_code == 403
        for action in ("", "/off", "/pause", "/resume", "/rollback", "/undo"):
            assert (await ada.client.post(PATH + action, data={"typed": "test"})).status_code == 403
    for action in ("", "/off", "/pause", "/resume", "/rollback", "/undo"):
        assert (await desk.grace.client.post(PATH + action, data={"typed": "test"})).status_code == 403
    async with desk.street.house.store.reading() as tx:
        for table in ("maintenance", "stripe_pause", "stripe_rollback"):
            assert await tx.fetch(Sql(f"select id from {table}")) == []
