"""The client and the real server understand each other to the last field, on both databases."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support.databases import fresh
from tests.support.product import TOML
from tests.support.serving import RunningServer, running_server
from tollhouse_sdk import (
    Ask,
    AsyncTollhouse,
    AuthenticationError,
    Conflict,
    Forbidden,
    InvalidRequest,
    LeaseLost,
    NotFound,
    Pack,
    Paid,
    Price,
    Refused,
    Retries,
    Tollhouse,
    Unavailable,
)

PACK = """
[packs.refill]
title = "500 credits"
credits = { credits = 500 }
prices = [{ amount = 700, currency = "usd" }, { amount = 650, currency = "eur" }]
expires_after = "365d"
"""


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One for all these stories; each is about an Ada of its own."""
    directory: Path = tmp_path_factory.mktemp("server")
    with fresh(request, directory) as url, running_server(url, TOML + PACK, directory) as running:
        yield running


@pytest.fixture
def ada() -> str:
    """The product's own id of somebody new."""
    return f"ada-{secrets.token_hex(4)}"


@pytest.fixture
def client(server: RunningServer) -> Iterator[Tollhouse]:
    with Tollhouse(server.url, server.secret_key) as made:
        yield made


def test_what_is_sold_is_told_with_its_prices(client: Tollhouse) -> None:
    catalog = client.catalog()
    assert (catalog.product, catalog.free_plan) == ("AI Gate", "free")
    assert [(plan.plan, plan.prices) for plan in catalog.plans] == [
        ("free", []), ("starter", [Price(900, "usd", "month")]), ("pro", [Price(9_900, "usd", "month")]),
    ]  # fmt: skip
    assert catalog.plans[1].credits["credits"] == 1_000
    assert catalog.plans[2].limits["sessions"] is None
    prices = [Price(700, "usd"), Price(650, "eur")]
    assert catalog.packs == [Pack("refill", "500 credits", "", {"credits": Decimal(500)}, prices, 365 * 86_400)]


def test_without_stripe_nothing_is_sold(client: Tollhouse, ada: str) -> None:
    client = client.with_options(retries=Retries(attempts=1))
    client.customers.create(f"{ada}@example.com", external_id=ada)
    with pytest.raises(Unavailable) as refused:
        client.customers.checkout(ada, pack="refill", currency="eur")
    assert refused.value.code == "payments_not_configured"
    with pytest.raises(ValueError, match="name a plan or a pack"):
        client.customers.checkout(ada, plan="starter", pack="refill")


@pytest.mark.row("X2", "S3", "X5")
def test_a_customers_whole_life(client: Tollhouse, ada: str) -> None:
    """Ada comes, launches, is refunded, reaches zero, is given credits, and reads her book."""
    known = {"email": f"{ada}@example.com", "external_id": f"user/{ada} é", "name": "Ada"}
    made = client.customers.create(**known)
    assert (made.plan, made.standing, made.verified) == ("free", "good", True)
    assert made.meters["credits"].total == 100
    assert client.customers.create(known["email"], external_id=known["external_id"]) == made
    assert client.customers.get(made.id) == made

    first = client.admit(made.id, "launch", key="req-1", metadata={"tool": "app-builder"})
    assert first.require().debits == {"credits": 50}
    again = client.admit(made.id, "launch", key="req-1", metadata={"tool": "app-builder"})
    assert again.replayed
    assert again.id == first.id
    part = client.refund(first.admitted_id, amount=Decimal("0.125"), reason="slow", key="back-1")
    assert part.returned == {"credits": Decimal("0.125")}
    assert part.meters["credits"].remaining == Decimal("50.125")
    with pytest.raises(Conflict, match=r"49\.875"):
        client.refund(first.admitted_id, amount={"credits": 50}, reason="too much")
    assert client.refund(first.admitted_id, reason="all").returned == {"credits": Decimal("49.875")}

    assert client.check(made.id, "launch").allowed
    assert client.admit(made.id, "chat", amount={"credits": Decimal("99.5")}).allowed
    refused = client.admit(made.id, "launch")
    assert refused.reason is not None
    assert (refused.reason.code, refused.reason.remaining) == ("credits_exhausted", Decimal("0.5"))
    assert refused.reason.upgrade is not None
    assert refused.reason.upgrade.plan == "starter"
    with pytest.raises(Refused):
        refused.require()

    ends = datetime.now(UTC) + timedelta(days=30)
    given = client.customers.grant(made.id, "credits", 60, reason="sorry", key="gift", expires_at=ends)
    assert given.expires_at is not None
    assert abs(given.expires_at - ends) < timedelta(seconds=1)
    assert client.customers.grant(made.id, "credits", 60, reason="sorry", key="gift", expires_at=ends).replayed
    client.customers.grant(made.id, "credits", 5, reason="bought", paid=Paid(500, "usd"))
    assert client.admit(made.id, "launch").allowed

    entries = list(client.customers.entries(made.id, page_size=3))
    assert entries == list(client.customers.entries(made.id))
    assert [entry.kind for entry in entries][-2:] == ["grant", "opened"] or entries[-1].kind == "opened"
    assert sum(entry.deltas.get("credits", Decimal(0)) for entry in entries) == Decimal("15.5")
    assert next(e for e in entries if e.kind == "return").about == first.id


@pytest.mark.row("S3")
def test_projects_within_the_plan(client: Tollhouse, ada: str) -> None:
    """The free plan has one project, which is there from the beginning; the next is forbidden, with the plan for it."""
    client.customers.create(f"{ada}@example.com", external_id=ada)
    [first] = client.customers.projects(ada)
    assert first.key.startswith("th_pk_")
    with pytest.raises(Forbidden) as told:
        client.customers.create_project(ada, "Second")
    assert told.value.code == "count_exhausted"


async def test_holds_are_settled_extended_released(server: RunningServer, ada: str) -> None:
    """An answer of unknown length: held at 20, settled at 7.25; the next is released."""
    async with AsyncTollhouse(server.url, server.secret_key) as client:
        await client.customers.create(f"{ada}@example.com", external_id=ada)
        async with client.held(ada, "chat", amount={"credits": 20}, ttl="5m") as held:
            longer = await client.extend(held.id, "10m")
            assert longer.expires_at is not None
            assert held.hold.expires_at is not None
            assert longer.expires_at > held.hold.expires_at
            held.costs({"credits": Decimal("7.25")})
        assert held.result is not None
        assert held.result.charged == {"credits": Decimal("7.25")}
        assert held.result.returned == {"credits": Decimal("12.75")}
        assert held.result.meters["credits"].remaining == Decimal("92.75")
        assert (await client.settle(held.id, {"credits": Decimal("7.25")})).replayed
        with pytest.raises(Conflict) as told:
            await client.release(held.id)
        assert told.value.code == "hold_ended"
        other = (await client.hold(ada, "chat", amount={"credits": 50})).require()
        assert (await client.release(other.admitted_id)).returned == {"credits": 50}
        over = (await client.hold(ada, "chat")).require()
        short = await client.settle(over.admitted_id, {"credits": 100})
        assert short.shortfall == {"credits": Decimal("7.25")}


async def test_a_slot_is_kept_ended_and_lost(server: RunningServer, ada: str) -> None:
    """One session at a time: the second is refused until the first ends; an ended one takes no heartbeat."""
    async with AsyncTollhouse(server.url, server.secret_key) as client:
        await client.customers.create(f"{ada}@example.com", external_id=ada)
        async with client.session(ada, "realtime_session", key="ses-1") as slot:
            assert slot.admission.lease is not None
            beat = await client.heartbeat(slot.id)
            assert beat.lease.expires_at >= slot.admission.lease.expires_at
            second = await client.admit(ada, "realtime_session")
            assert second.reason is not None
            assert second.reason.code == "concurrency_exhausted"
        ended = await client.end(slot.id)
        assert ended.seconds >= 0
        with pytest.raises(LeaseLost):
            await client.heartbeat(slot.id)
        assert (await client.admit(ada, "realtime_session")).allowed


async def test_a_batch_is_answered_in_order(server: RunningServer, ada: str) -> None:
    """Two of 50 fit into 100; the third is refused; the fourth is no action; the stranger is unknown."""
    async with AsyncTollhouse(server.url, server.secret_key) as client:
        await client.customers.create(f"{ada}@example.com", external_id=ada)
        asks = [
            Ask(ada, "launch"),
            Ask(ada, "launch"),
            Ask(ada, "launch"),
            Ask(ada, "fly"),
            Ask("eve", "launch"),
        ]
        one, two, three, four, five = await client.admit_batch(asks)
        assert not isinstance(one, Exception)
        assert one.allowed
        assert not isinstance(two, Exception)
        assert two.allowed
        assert not isinstance(three, Exception)
        assert not three.allowed
        assert isinstance(four, InvalidRequest)
        assert four.code == "unknown_action"
        assert isinstance(five, NotFound)
        assert five.code == "customer_not_found"


async def test_many_at_once_share_the_pool(server: RunningServer, ada: str) -> None:
    """200 calls for 100 credits: exactly 100 are allowed."""
    async with AsyncTollhouse(server.url, server.secret_key) as client:
        await client.customers.create(f"{ada}@example.com", external_id=ada)
        answers = await asyncio.gather(*(client.admit(ada, "spend") for _ in range(200)))
        assert sum(answer.allowed for answer in answers) == 100


def test_a_stranger_and_a_mistake_are_told_apart(client: Tollhouse, server: RunningServer, ada: str) -> None:
    with Tollhouse(server.url, "th_sk_nobody") as stranger, pytest.raises(AuthenticationError):
        stranger.check(ada, "launch")
    with pytest.raises(NotFound) as unknown:
        client.customers.get("nobody")
    assert unknown.value.fix
    client.customers.create(f"{ada}@example.com", external_id=ada)
    client.admit(ada, "launch", key="req-1")
    with pytest.raises(InvalidRequest) as reused:
        client.admit(ada, "spend", key="req-1")
    assert reused.value.code == "idempotency_key_reused"
    with pytest.raises(InvalidRequest) as priced:
        client.admit(ada, "launch", amount={"credits": 1})
    assert priced.value.code == "amount_not_allowed"


async def test_a_server_killed_in_between_is_not_noticed(server: RunningServer, ada: str) -> None:
    """Killed and started again while calls are under way: the client's retries, with their keys, count each once."""
    async with AsyncTollhouse(server.url, server.secret_key, deadline=60, retries=Retries(attempts=30)) as client:
        await client.customers.create(f"{ada}@example.com", external_id=ada)
        calls = [asyncio.create_task(client.admit(ada, "spend")) for _ in range(40)]
        await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.to_thread(server.kill)
        calls += [asyncio.create_task(client.admit(ada, "spend")) for _ in range(10)]
        await asyncio.to_thread(server.restart)
        answers = await asyncio.gather(*calls)
        assert all(answer.allowed for answer in answers)
        assert len({answer.id for answer in answers}) == 50
        assert (await client.customers.get(ada)).meters["credits"].used == 50
