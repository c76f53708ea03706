"""`tollhouse customers block|unblock|lots`: staff stop a customer, let it go on, see what it was granted."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tests.catalog.files import RIGHT, write
from tests.cli.running import CommandLine
from tollhouse.catalog import load_catalog
from tollhouse.customers.actions import create_or_get
from tollhouse.customers.model import NewCustomer
from tollhouse.kernel.money import Money
from tollhouse.ledger.actions import grant, read_book
from tollhouse.ledger.book import read_state
from tollhouse.ledger.granting import NewLot
from tollhouse.ledger.model import Entry
from tollhouse.store import open_store


@pytest.fixture
def installed(tollhouse: CommandLine, schema_url: str) -> CommandLine:
    """An installation with one customer, whom the product knows as 42."""
    tollhouse.set(ENVIRONMENT="test", DATABASE_URL=schema_url)
    write(tollhouse.directory, RIGHT)
    asyncio.run(_look(tollhouse, schema_url))
    return tollhouse


async def _look(tollhouse: CommandLine, url: str) -> tuple[str, Entry]:
    """The standing of customer 42, and the newest entry of its book."""
    catalog = load_catalog(tollhouse.directory / "tollhouse.toml")
    store = await open_store(url)
    async with store.transaction() as tx:
        now = store.clock.now_ms()
        customer = (await create_or_get(tx, catalog, NewCustomer("ada@example.com", "42"), now)).customer
        state = await read_state(tx, catalog, customer, now)
        entry = (await read_book(tx, customer, None, 1))[0]
    await store.close()
    return state.standing, entry


def test_a_blocked_customer_is_let_go_on(installed: CommandLine, schema_url: str) -> None:
    ran = installed("customers", "block", "42", "--reason", "card fraud")
    assert ran.status == 0, ran.err
    assert ran.out.endswith(" is blocked: card fraud\n")
    standing, entry = asyncio.run(_look(installed, schema_url))
    assert (standing, entry.action) == ("blocked", "standing_blocked")
    assert "card fraud" in str(entry.metadata)

    ran = installed("customers", "unblock", "42", "--reason", "a mistake", "--json")
    assert msgspec.json.decode(ran.out)["blocked"] is False
    assert asyncio.run(_look(installed, schema_url))[0] == "good"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("43", "--reason", "x"), 1, "there is no customer"),
        (("42", "--reason", " "), 1, "reason"),
        (("42",), 2, "--reason"),
    ],
)
def test_whom_and_why_have_to_be_said(
    installed: CommandLine, schema_url: str, arguments: tuple[str, ...], status: int, said: str
) -> None:
    ran = installed("customers", "block", *arguments)
    assert ran.status == status
    assert said in ran.err
    assert asyncio.run(_look(installed, schema_url))[0] == "good"


@pytest.mark.row("X9")
def test_the_lots_of_a_customer_are_listed_with_what_was_paid(installed: CommandLine, schema_url: str) -> None:
    asyncio.run(_pay(installed, schema_url))
    ran = installed("customers", "lots", "42")
    assert ran.status == 0, ran.err
    paid, gift = (line.split("\t") for line in ran.out.splitlines())
    assert paid[1:] == ["topup", "8 credits", "8", "1,200 JPY", "1,200 JPY", "0 JPY", "0 JPY"]
    assert gift[1:] == ["plan", "100 credits", "100", "", "", "", ""]
    told = msgspec.json.decode(installed("customers", "lots", "42", "--json").out)
    assert told["lots"][0]["value"] == {"currency": "jpy", "paid": 1200, "deferred": 1200, "earned": 0, "refunded": 0}
    assert told["lots"][1]["value"] is None
    again = installed("customers", "lots", "42", "--after", "lot_x")
    assert again.status == 1
    assert "after is not a lot of this customer" in again.err


async def _pay(tollhouse: CommandLine, url: str) -> None:
    """Customer 42 buys eight credits, apart from any plan."""
    catalog = load_catalog(tollhouse.directory / "tollhouse.toml")
    store = await open_store(url)
    async with store.transaction() as tx:
        now = store.clock.now_ms()
        customer = (await create_or_get(tx, catalog, NewCustomer("ada@example.com", "42"), now)).customer
        lot, paid = NewLot("credits", 8_000, "topup"), Money(1_200, "jpy")
        await grant(tx, catalog, customer, lot, now, key="k", fingerprint=b"k", reason="by wire", paid=paid)
    await store.close()
