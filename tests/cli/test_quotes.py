"""`tollhouse quotes …`, `tollhouse stripe payments` and `unmapped`: what staff do without the pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.running import CommandLine
from tests.support.serving import SESSION_SECRET
from tollhouse import presets
from tollhouse.catalog import load_catalog
from tollhouse.customers.actions import create_or_get
from tollhouse.customers.model import NewCustomer
from tollhouse.store import Sql, Value, cell_of, open_store
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import running_in_thread

AURION = (Path(presets.__file__).parent / "aurion.toml").read_text()


@pytest.fixture
def installed(tollhouse: CommandLine, schema_url: str) -> Iterator[CommandLine]:
    """AURION with one customer, whom the product knows as 42, and the sandbox as Stripe."""
    with running_in_thread(Config(port=0, smtp_port=None)) as sandbox:
        tollhouse.set(
            ENVIRONMENT="test", DATABASE_URL=schema_url, SESSION_SECRET=SESSION_SECRET,
            STRIPE_SECRET_KEY="sk_test_quotes", STRIPE_API_BASE=sandbox.url, STRIPE_WEBHOOK_SECRET="whsec_" + "x" * 32,
        )  # fmt: skip
        (tollhouse.directory / "tollhouse.toml").write_text(AURION)
        asyncio.run(_customer(tollhouse, schema_url))
        yield tollhouse


async def _customer(tollhouse: CommandLine, url: str) -> str:
    store = await open_store(url)
    catalog = load_catalog(tollhouse.directory / "tollhouse.toml")
    async with store.transaction() as tx:
        made = await create_or_get(tx, catalog, NewCustomer("ada@example.com", "42"), store.clock.now_ms())
    await store.close()
    return made.customer


@pytest.mark.row("S22")
def test_a_quote_is_set_listed_and_withdrawn(installed: CommandLine) -> None:
    ran = installed(
        "quotes", "set", "42", "--plan", "starter", "--price", "7.20", "--lasts", "12", "--reason", "seats", "--json"
    )
    assert ran.status == 0, ran.err
    made = json.loads(ran.out)
    assert (made["offer"], made["every"]) == (
        {"kind": "price", "value": 720, "duration": "months", "months": 12}, "month",
    )  # fmt: skip
    again = installed("quotes", "set", "42", "--plan", "starter", "--percent", "10", "--reason", "seats")
    assert (again.status, "is open for this customer" in again.err) == (1, True)
    listed = installed("quotes", "list", "42").out
    assert made["id"] in listed
    assert "starter a month: 7.20 USD, for 12 months" in listed

    gone = installed("quotes", "withdraw", made["id"], "--reason", "a mistake")
    assert (gone.status, "is withdrawn: a mistake" in gone.out) == (0, True)
    assert installed("quotes", "list", "--status", "open").out == ""
    assert [one["status"] for one in json.loads(installed("quotes", "list", "--json").out)["items"]] == ["withdrawn"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("set", "42", "--plan", "starter", "--reason", "x"), "give one of --percent"),
        (
            ("set", "42", "--plan", "starter", "--percent", "5", "--price", "5", "--reason", "x"),
            "give one of --percent",
        ),
        (
            ("set", "42", "--plan", "starter", "--percent", "5", "--lasts", "long", "--reason", "x"),
            "no number of months",
        ),
        (("set", "42", "--plan", "starter", "--percent", "5", "--expires-in", "soon", "--reason", "x"), "30d"),
        (("set", "42", "--plan", "starter", "--percent", "5", "--reason", " "), "the reason is empty"),
        (("set", "43", "--plan", "starter", "--percent", "5", "--reason", "x"), "there is no customer"),
        (("set", "42", "--plan", "gold", "--percent", "5", "--reason", "x"), "there is no plan"),
        (("list", "--status", "lost"), "name one of: open"),
        (("withdraw", "quo_nothing", "--reason", "x"), "there is no quote"),
    ],
)
def test_what_is_wrong_is_said_with_its_fix(installed: CommandLine, arguments: tuple[str, ...], said: str) -> None:
    ran = installed("quotes", *arguments)
    assert ran.status == 1
    assert said in ran.err


@pytest.mark.row("A21")
def test_payments_and_purchases_without_a_plan_are_listed(installed: CommandLine, schema_url: str) -> None:
    asyncio.run(_buy_unmapped(installed, schema_url))
    assert "price_forgotten\t19.00 USD a month\t0.00 USD\tactive" in installed("stripe", "unmapped").out
    ran = installed("stripe", "unmapped", "--replay", "--json")
    assert json.loads(ran.out)["replayed"] is True
    payments = json.loads(installed("stripe", "payments", "42", "--json").out)["items"]
    assert [(one["id"], one["failure_code"]) for one in payments] == [("pi_1", "generic_decline")]
    assert asyncio.run(_waiting(schema_url)) == ["cus_s"]


async def _buy_unmapped(tollhouse: CommandLine, url: str) -> None:
    customer = await _customer(tollhouse, url)
    store = await open_store(url)
    async with store.transaction() as tx:
        at: dict[str, Value] = {"cell": cell_of(customer), "customer": customer}
        await tx.execute(
            Sql("insert into stripe_customer (id, customer, linked_at, sync_seq) values ('cus_s', :customer, 1, 0)"),
            customer=customer,
        )
        await tx.execute(
            Sql(
                "insert into subscription (cell, customer, id, status, price, every, currency, amount_minor, created_at,"
                " period_start, period_end) values (:cell, :customer, 'sub_1', 'active', 'price_forgotten', 'month', 'usd',"
                " 1900, 1, 1, 2)"
            ),
            **at,
        )
        await tx.execute(
            Sql(
                "insert into payment_intent (cell, customer, id, status, amount_minor, currency, created_at, failure_code)"
                " values (:cell, :customer, 'pi_1', 'requires_payment_method', 900, 'usd', 1, 'generic_decline')"
            ),
            **at,
        )
    await store.close()


async def _waiting(url: str) -> list[str]:
    store = await open_store(url)
    async with store.reading() as tx:
        rows = await tx.fetch(Sql("select subject from inbox where status = 'pending'"))
    await store.close()
    return [str(row["subject"]) for row in rows]
