"""Staff see one customer's payments beside Stripe's own record, on a page and as JSON, and repair it from both."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.billing.world import World
from tests.customers.world import SECRET
from tests.web.street import ORIGIN, Person, Street, opened
from tollhouse.billing.reconciling import Reconciler, run_due
from tollhouse.billing.setup import ensure_prices
from tollhouse.identity.actions import set_staff_role
from tollhouse.store import Sql
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running

STAFF = {"Authorization": f"Bearer {SECRET[::-1]}"}


class Town:
    """The product with the sandbox as Stripe; Ada has paid for a plan there, and no event of it has arrived."""

    def __init__(self, street: Street, world: World, ada: str, grace: Person, machine: httpx.AsyncClient) -> None:
        self.street, self.world, self.ada, self.grace, self.machine = street, world, ada, grace, machine
        self.path = f"/admin/customers/{ada}/stripe"
        self.call = f"/v1/admin/customers/{ada}"


@pytest.fixture
async def town(schema_url: str, tmp_path: Path) -> AsyncIterator[Town]:
    async with (
        running(Config(port=0, smtp_port=None)) as sandbox,
        opened(
            schema_url,
            "aurion",
            tmp_path,
            STRIPE_SECRET_KEY="sk_test_pages",
            ADMIN_API_KEY=SECRET[::-1],
            STRIPE_API_BASE=sandbox.url,
        ) as street,  # fmt: skip
        street.somebody() as ada,
        street.somebody() as grace,
        httpx.AsyncClient(transport=httpx.ASGITransport(street.app), base_url=ORIGIN, headers=STAFF) as machine,
    ):
        house = street.house
        assert house.stripe is not None
        await ada.sign_up()
        await grace.sign_up("grace@example.com")
        async with house.store.transaction() as tx:
            await set_staff_role(tx, "grace@example.com", "admin", house.store.clock.now_ms())
        await ensure_prices(house.store, house.stripe, house.catalog)
        world = World(house.store, house.stripe, sandbox.url, house.catalog)
        customer = await street.customer("ada@example.com")
        await world.buy(customer, "starter")
        yield Town(street, world, customer, grace, machine)


@pytest.mark.row("U9")
async def test_staff_see_both_on_a_page_and_repair_from_it(town: Town) -> None:
    assert town.path in (await town.grace.open(f"/admin/customers/{town.ada}")).text
    page = (await town.grace.open(town.path)).text
    assert "Nothing was bought yet" in page
    assert "At Stripe now" in page
    assert "answered in" in page
    assert "starter (version 1)" in page
    assert "Differs" in page

    sent = await town.grace.submit(town.path, "/admin/reconciliation", mode="repair", customer=town.ada)
    assert sent.status_code == 303
    run = await run_due(town.street.house.store)
    assert run is not None
    await Reconciler(town.street.house.store, town.street.house.catalog, town.world.gateway).step(run)
    page = (await town.grace.open(town.path)).text
    assert "Our books and Stripe’s record agree" in page
    assert "Nothing was bought yet" not in page
    assert "Differs" not in page


@pytest.mark.row("U9")
async def test_machines_read_the_same_and_repair_it_at_once(town: Town) -> None:
    seen = (await town.machine.get(f"{town.call}/stripe")).json()
    assert seen["ours"]["subscription"] is None
    assert seen["stripe"]["subscriptions"][0]["status"] == "active"
    assert seen["stripe"]["subscriptions"][0]["differs"] is True
    assert {"field": "plan", "ours": "free (version 1)", "stripes": "starter (version 1)"} in seen["stripe"][
        "differences"
    ]

    done = await town.machine.post(f"{town.call}/reconcile", json={"why": "she asked"})
    assert done.status_code == 200
    answer = done.json()
    assert (answer["customer"], answer["by_whom"], answer["why"]) == (town.ada, "ADMIN_API_KEY", "she asked")
    assert {"field": "plan", "ours": "free (version 1)", "stripes": "starter (version 1)", "repaired": True} in answer[
        "differences"
    ]
    assert answer["finished_at"] is not None
    again = (await town.machine.post(f"{town.call}/reconcile", json={})).json()
    assert again["differences"] == []
    seen = (await town.machine.get(f"{town.call}/stripe")).json()
    assert seen["ours"]["subscription"]["status"] == "active"
    assert seen["stripe"]["differences"] == []


async def test_a_run_that_a_worker_has_taken_is_told_as_going_on(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Reconciler._claim

    async def taken_first(self: Reconciler, run: object) -> None:
        async with town.street.house.store.transaction() as tx:
            await tx.execute(Sql("update reconciliation set lease_until = 4102444800000, holder = 'hol_other'"))
        await claim(self, run)  # type: ignore[arg-type]

    monkeypatch.setattr(Reconciler, "_claim", taken_first)
    answer = await town.machine.post(f"{town.call}/reconcile", json={})
    assert (answer.status_code, answer.json()["finished_at"]) == (202, None)


@pytest.mark.row("U9")
async def test_while_stripe_fails_the_page_says_why_and_what_helps(town: Town) -> None:
    await town.world.control("faults", api_errors=[{"status": 500, "count": 20, "path": "/v1/subscriptions"}])
    page = await town.grace.open(town.path)
    assert page.status_code == 200
    assert "Stripe’s record could not be read" in page.text
    assert "Fix:" in page.text
    seen = (await town.machine.get(f"{town.call}/stripe")).json()
    assert (seen["stripe"], seen["silence"]["code"]) == (None, "stripe_unavailable")


async def test_only_staff_and_what_is_asked_must_exist(town: Town) -> None:
    async with town.street.somebody() as stranger:
        assert (await stranger.open(town.path)).status_code == 303
        assert (await stranger.open(f"{town.call}/stripe")).status_code == 401
        assert (await stranger.client.post(f"{town.call}/reconcile", json={})).status_code == 401
    assert (await town.machine.get("/v1/admin/customers/nobody/stripe")).status_code == 404
    assert (await town.machine.post(f"{town.call}/reconcile", json={"reason": "x"})).status_code == 422
    grace = await town.street.customer("grace@example.com")
    assert (await town.machine.post(f"/v1/admin/customers/{grace}/reconcile", json={})).json()["code"] == "not_linked"
    page = (await town.grace.open(f"/admin/customers/{grace}/stripe")).text
    assert "Not known to Stripe" in page
    assert "Reconcile now" not in page
