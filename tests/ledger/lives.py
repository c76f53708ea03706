"""Two customers in a database, written by the rooms' own actions."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tests.ledger.world import CATALOG, DAY, FREE, STARTER
from tollhouse.admission import holds, leases
from tollhouse.admission.desk import Admission
from tollhouse.admission.model import HoldTerms, Operation
from tollhouse.admission.pricing import Charge
from tollhouse.admission.refunds import refund
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.units import unscale
from tollhouse.ledger import actions
from tollhouse.ledger.granting import NewLot
from tollhouse.ledger.plan_lots import Payment
from tollhouse.store.opening import AnyStore

ADA = "cus_01jd0000000000000000000000"
BEN = "cus_01jd0000000000000000000001"


class Town:
    """The store, the catalogue and the desk; its clock may be moved forward."""

    def __init__(self, store: AnyStore, desk: Callable[[Catalog], Admission]) -> None:
        self.store = store
        self.catalog = CATALOG
        self.desk = desk(CATALOG)

    @property
    def now(self) -> int:
        return self.store.clock.now_ms()

    def later(self, span_ms: int) -> None:
        """Move the test clock."""
        self.store.clock.test_offset_ms += span_ms

    async def ask(
        self,
        customer: str,
        key: str,
        cost: dict[str, int],
        operation: Operation = "admit",
        terms: HoldTerms | None = None,
    ) -> str:
        """An admission that must be allowed; its id."""
        meters = self.catalog.meters
        charge = Charge("work", cost, {name: unscale(amount, meters[name].decimals) for name, amount in cost.items()})
        outcome = await self.desk.submit(operation, customer, charge, key, b"the same request", None, terms)
        assert outcome.allowed, outcome.body
        identifier: str = msgspec.json.decode(outcome.body)["id"]
        return identifier


async def live(town: Town, customer: str) -> None:
    """Sign-up, admissions on every kind of meter, a hold, a refund, sessions, a top-up, a plan, a month, a lapse."""
    catalog = town.catalog
    async with town.store.transaction() as tx:
        await actions.open_account(tx, catalog, customer, town.now, verified=False)
        await actions.verify_email(tx, catalog, customer, town.now)
    async with town.store.transaction() as tx:
        expiring = NewLot("credits", 5_000, "grant", town.now + 3 * DAY)
        await actions.grant(
            tx, catalog, customer, expiring, town.now, key="welcome", fingerprint=b"w" * 16, reason="welcome"
        )
    first = await town.ask(customer, "k-1", {"credits": 1_500, "sessions": 1, "requests": 2, "projects": 1})
    await town.ask(customer, "k-2", {"credits": 7_250, "exports": 2, "concurrent": 1})
    async with town.store.transaction() as tx:
        await refund(tx, catalog, first, {"credits": 1_000}, town.now, key="r-1", fingerprint=b"r" * 16, reason="slow")
    town.desk.forget(customer)
    town.later(2 * 90_000)
    session = await town.ask(customer, "k-3", {"concurrent": 1, "sessions": 1})
    async with town.store.transaction() as tx:
        await leases.end(tx, catalog, session, town.now)
    town.desk.forget(customer)
    held = await town.ask(customer, "h-1", {"credits": 10_000, "sessions": 2}, "hold", HoldTerms(60_000))
    async with town.store.transaction() as tx:
        await holds.settle(tx, catalog, held, {"credits": 12_000, "sessions": 1}, town.now)
    town.later(40 * DAY)
    period = (town.now, town.now + 30 * DAY)
    async with town.store.transaction() as tx:
        await actions.set_subscription(
            tx, catalog, customer, STARTER, town.now, anchor=town.now, ends_at=None, standing="good"
        )
        await actions.grant_paid_period(
            tx, catalog, customer, STARTER, Payment(*period, "bought", "plan_upgraded"), town.now,
            invoice_key="il_1:0", paid=None,
        )  # fmt: skip
    town.desk.forget(customer)
    await town.ask(customer, "k-4", {"credits": 60_001, "sessions": 3, "requests": 5, "concurrent": 1})
    async with town.store.transaction() as tx:
        await actions.set_subscription(
            tx, catalog, customer, FREE, town.now, anchor=None, ends_at=None, standing="good"
        )
    town.desk.forget(customer)
