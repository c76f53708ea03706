"""Stripe's events as staff look for them: on the page, as JSON and on the command line, at a hundred thousand rows too."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.admin.test_staff_pages import status_of
from tests.web.street import ORIGIN, Person, Street, hidden_fields
from tollhouse.billing import events as events_room
from tollhouse.billing.counting import Kind, Tally
from tollhouse.billing.events import count_events, find_events, read_filter, replay_all
from tollhouse.kernel.clock import DAY, MINUTE, rfc3339
from tollhouse.kernel.errors import InvalidRequest, NotFound
from tollhouse.store import Sql, Tx, inbox

CARD = "4242" * 4
INSERT = Sql(
    "insert into inbox (source, id, type, subject, payload, received_at, status, attempts, due_at, error)"
    " values ('stripe', :id, :type, :subject, :payload, :at, :status, 0, :at, :error)"
)


async def kept(aurion: Street, number: int, status: str = "parked", **changes: object) -> str:
    """One event, received `number` minutes ago."""
    name = f"evt_{number:04}"
    at = aurion.house.store.clock.now_ms() - number * MINUTE
    row = {
        "id": name, "type": "invoice.paid", "subject": "cus_stripe1", "payload": json.dumps({"id": name, "card": {"number": CARD}}),
        "at": at, "status": status, "error": "no plan maps to price_9" if status == "parked" else None, **changes,
    }  # fmt: skip
    async with aurion.house.store.transaction() as tx:
        await tx.execute_many(INSERT, [row])  # type: ignore[list-item]
    return name


async def found(aurion: Street, **given: str) -> list[str]:
    store = aurion.house.store
    async with store.reading() as tx:
        return [event.id for event in await find_events(tx, read_filter(given, store.clock.now_ms()))]


@pytest.fixture
async def events(aurion: Street) -> None:
    """Five of several kinds."""
    await kept(aurion, 1)
    await kept(aurion, 2, type="customer.subscription.updated", subject="cus_stripe2")
    await kept(aurion, 3, "done")
    await kept(aurion, 4, "pending")
    await kept(aurion, 2 * 24 * 60, type="invoice.payment_failed", error="Stripe said 100% no")


@pytest.mark.usefixtures("events")
async def test_events_are_found_by_each_filter_and_by_several(aurion: Street) -> None:
    old = "evt_2880"
    assert await found(aurion, status="all") == ["evt_0001", "evt_0002", "evt_0003", "evt_0004", old]
    assert await found(aurion, status="parked") == ["evt_0001", "evt_0002", old]
    assert await found(aurion, status="parked", type="invoice.paid") == ["evt_0001"]
    assert await found(aurion, status="parked", type="invoice.*") == ["evt_0001", old]
    assert await found(aurion, customer="cus_stripe2") == ["evt_0002"]
    assert await found(aurion, search="evt_0003") == ["evt_0003"]
    assert await found(aurion, search="SUBSCRIPTION") == ["evt_0002"]
    assert await found(aurion, search="100%") == [old]
    assert await found(aurion, search="price_9", type="customer.*") == ["evt_0002"]
    day = aurion.house.store.clock.now_ms() // DAY * DAY
    assert old not in await found(aurion, since=_day(day - DAY))
    assert await found(aurion, until=_day(day - DAY), status="all") == [old]


def _day(at_ms: int) -> str:
    return rfc3339(at_ms)[:10]


@pytest.mark.parametrize(
    ("given", "fix"),
    [({"status": "gone"}, "parked, pending"), ({"since": "yesterday"}, "2026-11-28"), ({"type": "x" * 300}, "shorten"), ({"search": "a\0b"}, "shorten")],
)  # fmt: skip
def test_what_cannot_be_looked_for_is_told_with_its_fix(given: dict[str, str], fix: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_filter(given)
    assert fix in str(refused.value.fix)


async def test_a_customer_is_named_by_any_of_its_ids_and_a_stranger_by_stripes(aurion: Street, ada: Person) -> None:
    customer = await aurion.customer("ada@example.com")
    await kept(aurion, 1)
    async with aurion.house.store.transaction() as tx:
        await tx.execute(
            Sql(
                "insert into stripe_customer (id, customer, linked_at, sync_seq) values ('cus_stripe1', :customer, 1, 0)"
            ),
            customer=customer,
        )
    assert await found(aurion, customer=customer) == ["evt_0001"]
    assert await found(aurion, customer="cus_unknownstranger") == []
    with pytest.raises(NotFound):
        await found(aurion, customer="nobody-of-ours")


FILL = Sql(
    "insert into inbox (source, id, type, subject, payload, received_at, status, attempts, due_at)"
    " with recursive series(n) as (select 0 union all select n + 1 from series where n < 99999)"
    " select 'stripe', 'evt_' || cast(1000000 + n as text), 'invoice.paid', 'cus_' || cast(n % 5000 as text), '{}', cast(:now as bigint) - n,"
    " case when n % 1000 = 0 then 'parked' else 'done' end, 0, :now from series"
)


async def test_every_page_of_a_hundred_thousand_is_read_by_an_index(aurion: Street) -> None:
    store = aurion.house.store
    now = store.clock.now_ms()
    async with store.transaction() as tx:
        await tx.execute(FILL, now=now)
    if store.dialect == "postgresql":
        async with store.transaction() as tx:
            await tx.execute(Sql("analyze inbox"))
    async with store.reading() as tx:
        assert await count_events(tx, read_filter({"status": "parked"})) == 100
        seen: list[str] = []
        place = ""
        for _ in range(3):  # keyset: no row twice, none left out
            page = await find_events(tx, read_filter({"status": "done"}), before=place, most=50)
            seen += [event.id for event in page]
            place = page[-1].place
        assert seen == [f"evt_{1_000_000 + n}" for n in range(1, 151)]
        deep = await find_events(tx, read_filter({"status": "all"}), before=f"{now - 90_000}.evt_1090000", most=2)
        assert [event.id for event in deep] == ["evt_1090001", "evt_1090002"]
        for status, index in (
            ("parked", "ix_inbox_parked"),
            ("all", "ix_inbox_received_at"),
            ("done", "ix_inbox_received_at"),
        ):
            assert index in await plan_of(tx, status, now)
    assert await replay_all(store, read_filter({"status": "parked"})) == 100


async def test_a_replay_of_many_takes_a_few_hundred_at_a_time(aurion: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_room, "REPLAYED_AT_ONCE", 3)
    for number in range(8):
        await kept(aurion, number, "done")
    sizes: list[int] = []
    replay = inbox.replay_all

    async def counted(tx: Tx, source: str, ids: list[str], now: int) -> int:
        sizes.append(len(ids))
        if len(sizes) == 2:
            raise RuntimeError("killed")
        return await replay(tx, source, ids, now)

    monkeypatch.setattr(inbox, "replay_all", counted)
    every = read_filter({"status": "done"})
    with pytest.raises(RuntimeError, match="killed"):
        await replay_all(aurion.house.store, every)
    assert len(await found(aurion, status="pending")) == 3
    assert await replay_all(aurion.house.store, every) == 5  # it goes on where it was killed
    assert sizes == [3, 3, 3, 2]


async def test_a_search_in_texts_looks_at_thirty_days_unless_told_otherwise(aurion: Street, grace: Person) -> None:
    old = await kept(aurion, 31 * 24 * 60, error="Stripe said no")
    older = await kept(aurion, 32 * 24 * 60, "done", error="Stripe said no")
    assert await found(aurion, status="parked", search="said no") == [old]
    assert await found(aurion, search="said no") == []
    assert await found(aurion, search="said no", since="2000-01-01") == [old, older]
    assert await found(aurion, search=older) == [older]  # an id is found however old
    page = (await grace.open("/admin/webhooks?status=all&search=said+no")).text
    assert "The last 30 days were searched" in page
    async with aurion.house.store.reading() as tx:
        if tx.dialect == "sqlite":  # PostgreSQL chooses by its statistics, and here are few rows
            assert "ix_inbox_received_at" not in await plan_of(tx, "all", 0, "event")


async def plan_of(tx: Tx, status: str, now: int, by: str = "") -> str:
    """How the database would read a page in the middle."""
    sql = events_room._LIST["" if status == "all" else status, by]
    begin = "explain " if tx.dialect == "postgresql" else "explain query plan "
    values = {
        "source": "stripe", "since": 0, "until": 1 << 60, "type": "", "type_like": "!!", "subject": "", "search": "",
        "search_like": "%%", "before": now - 50_000, "before_id": "evt_1050000", "most": 50,
    }  # fmt: skip
    rows = await tx.fetch(Sql(begin + sql.text), **{name: values[name] for name in sql.parameters})  # type: ignore[arg-type]
    return "\n".join(str(row["QUERY PLAN" if tx.dialect == "postgresql" else "detail"]) for row in rows)


@pytest.mark.usefixtures("events")
async def test_staff_look_for_events_and_replay_all_that_match(aurion: Street, grace: Person) -> None:
    page = (await grace.open("/admin/webhooks?type=invoice.*")).text
    assert [name in page for name in ("evt_0001", "evt_0002", "evt_2880")] == [True, False, True]
    assert "2 events" in page
    bad = await grace.open("/admin/webhooks?since=yesterday")
    assert (bad.status_code, "This cannot be looked for" in bad.text) == (200, True)

    sure = await grace.open("/admin/webhooks/replay?status=parked&type=invoice.*")
    assert "2 events" in sure.text
    fields = hidden_fields(sure.text, "/admin/webhooks/replay")
    assert (await grace.client.post("/admin/webhooks/replay", data={**fields, "csrf": "forged"})).status_code == 403
    assert await status_of(aurion, "evt_0001") == "parked"
    done = await grace.client.post("/admin/webhooks/replay", data=fields)
    assert done.headers["location"] == "/admin/webhooks?status=pending&done=2"
    states = [await status_of(aurion, name) for name in ("evt_0001", "evt_0002", "evt_2880")]
    assert states == ["pending", "parked", "pending"]


@pytest.mark.row("U14")
@pytest.mark.usefixtures("events")
async def test_the_payload_on_the_page_holds_no_card(grace: Person) -> None:
    page = (await grace.open("/admin/webhooks/evt_0001")).text
    assert "evt_0001" in page
    assert CARD not in page


@pytest.fixture
def machine(aurion: Street) -> httpx.AsyncClient:
    key = aurion.house.settings.admin_api_key
    assert key is not None
    transport = httpx.ASGITransport(app=aurion.app, raise_app_exceptions=False, client=("203.0.113.9", 5000))
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"authorization": f"Bearer {key.reveal()}"})


@pytest.mark.usefixtures("events")
async def test_machines_get_the_same_as_json(machine: httpx.AsyncClient, ada: Person, aurion: Street) -> None:
    first = (await machine.get("/v1/admin/webhooks", params={"status": "parked", "limit": 2})).json()
    assert [event["id"] for event in first["items"]] == ["evt_0001", "evt_0002"]
    second = (await machine.get("/v1/admin/webhooks", params={"status": "parked", "before": first["next"]})).json()
    assert ([event["id"] for event in second["items"]], second["next"]) == (["evt_2880"], None)

    shown = (await machine.get("/v1/admin/webhooks/evt_0001")).json()
    assert (shown["event"]["status"], shown["payload"]["id"], CARD in json.dumps(shown)) == (
        "parked",
        "evt_0001",
        False,
    )
    assert (await machine.get("/v1/admin/webhooks/evt_none")).status_code == 404
    assert (await machine.post("/v1/admin/webhooks/evt_0001/replay")).json() == {"replayed": 1}
    assert await status_of(aurion, "evt_2880") == "pending", "it is about the same customer"
    again = await machine.post("/v1/admin/webhooks/replay", json={"type": "customer.*"})
    assert again.json() == {"replayed": 1}
    assert [await status_of(aurion, name) for name in ("evt_0001", "evt_0002", "evt_2880")] == [
        "pending",
        "pending",
        "pending",
    ]
    wrong = await machine.get("/v1/admin/webhooks", params={"status": "gone"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "unknown_status")

    for headers in ({}, {"authorization": "Bearer th_sk_wrong"}):
        machine.headers.pop("authorization", None)
        assert (await machine.get("/v1/admin/webhooks", headers=headers)).status_code == 401
    assert (await ada.client.get("/v1/admin/webhooks")).status_code == 403


async def test_the_page_says_so_while_new_events_are_refused(grace: Person, aurion: Street) -> None:
    async def count(kind: Kind, seconds: int) -> None:
        tally = Tally()
        tally.add(kind, aurion.house.store.clock.now_ms() + seconds * 1000)
        async with aurion.house.store.transaction() as tx:
            await tally.write(tx)

    assert "New events are refused" not in (await grace.open("/admin/webhooks")).text
    await count("signature_refused", -20)
    assert "New events are refused" in (await grace.open("/admin/webhooks")).text
    await count("signature_verified", -10)
    assert "New events are refused" not in (await grace.open("/admin/webhooks")).text
