"""Alerts as staff read them: what is wrong now and what was, with its definition, when it was told and by which channel."""

from __future__ import annotations

import pytest

from tests.web.street import Person, Street
from tollhouse.alerts.incidents import look, newest_alerts, open_alert, write
from tollhouse.alerts.telling import Readers, tell
from tollhouse.billing.counting import Tally
from tollhouse.kernel.clock import DAY, HOUR, MINUTE
from tollhouse.kernel.facts import OperatorAlert

READERS = Readers("staff@aurion.app", "en", "test", "https://aurion.app/admin", True)


async def happen(aurion: Street) -> None:
    """A failure of two days ago that is over, one of now, and payments of which every second one fails."""
    store = aurion.house.store
    now = store.clock.now_ms()
    async with store.transaction() as tx:
        await open_alert(
            tx,
            OperatorAlert("payments_failing", "high", "Customers cannot pay", "The page.", "Mend."),
            "f1",
            now - 2 * DAY,
        )
        await tell(tx, READERS, HOUR, now - 2 * DAY + MINUTE)
        then = now - 2 * DAY + 2 * HOUR
        await write(tx, await look(tx, None, then), then)
        await open_alert(
            tx,
            OperatorAlert("second_subscription:sub_1", "high", "Two subscriptions", "She pays twice.", "Cancel one."),
            "f2",
            now,
        )
        tally = Tally()
        tally.add("payment_succeeded", now)
        tally.add("payment_failed", now)
        await tally.write(tx)


@pytest.mark.row("U6", "U7")
async def test_staff_read_what_is_wrong_and_what_was(aurion: Street, grace: Person) -> None:
    quiet = (await grace.open("/admin/alerts")).text
    assert "Nothing is wrong" in quiet
    assert "Payments are healthy" in quiet
    assert "Nobody is told" in quiet  # no address is set in this environment

    await happen(aurion)
    page = (await grace.open("/admin/alerts")).text
    first, _, past = page.partition('id="past"')
    assert "Two subscriptions" in first
    assert "A customer pays for two subscriptions at once." in first
    assert "Not yet" in first
    assert "Customers cannot pay" in past
    assert "It ends an hour after the last one." in past
    assert "by e-mail, by webhook" in past
    assert "Payments are critical" in page
    assert "50 %" in page
    assert "1 of 2" in page
    assert "critical above 25 %" in page


@pytest.mark.row("U7")
async def test_machines_read_the_same(aurion: Street, ada: Person) -> None:
    await happen(aurion)
    key = aurion.house.settings.admin_api_key
    assert key is not None
    async with aurion.somebody() as machine:
        answer = await machine.client.get("/v1/admin/alerts", headers={"authorization": f"Bearer {key.reveal()}"})
    told = answer.json()
    assert [(one["kind"], one["told_by"], one["ended_at"]) for one in told["open"]] == [
        ("second_subscription", [], None)
    ]
    assert [(one["kind"], one["told_by"], bool(one["ended_at"])) for one in told["past"]] == [
        ("payments_failing", ["email", "webhook"], True)
    ]
    assert (await ada.client.get("/v1/admin/alerts")).status_code == 403


async def test_an_alert_of_no_known_kind_has_a_definition_too(aurion: Street, grace: Person) -> None:
    async with aurion.house.store.transaction() as tx:
        await open_alert(
            tx,
            OperatorAlert("moon:full", "low", "Full moon", "It shines.", "Wait."),
            "f",
            aurion.house.store.clock.now_ms(),
        )
        assert len(await newest_alerts(tx)) == 1
    assert "Something needs a person." in (await grace.open("/admin/alerts")).text
