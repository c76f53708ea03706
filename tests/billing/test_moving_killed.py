"""Subscribers moved at Stripe by a command that is killed again and again: each is asked for once (rows S18, X4)."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.billing.shop import AURION, Shop, open_shop
from tests.cli.running import CommandLine
from tests.upgrade.minutes import rows
from tollhouse.billing.linking import link
from tollhouse.catalog.actions import publish
from tollhouse.catalog.load import load_catalog
from tollhouse.cli import migrate_pricing
from tollhouse.customers.actions import create_or_get
from tollhouse.customers.model import NewCustomer
from tollhouse.store import open_store
from tollhouse_sandbox.server import Running

MANY = 24
NEW_AMOUNT = 1_100


async def link_all(url: str, file: Path, stripe_ids: list[str]) -> None:
    """A customer of ours for each of these."""
    store = await open_store(url)
    try:
        async with store.transaction() as tx:
            now = store.clock.now_ms()
            catalog = await publish(tx, load_catalog(file), now)
            for number, stripe_id in enumerate(stripe_ids):
                made = await create_or_get(tx, catalog, NewCustomer(f"u{number}@example.com"), now)
                assert await link(tx, stripe_id, made.customer, now)
    finally:
        await store.close()


def subscribers(shop: Shop, price: str) -> dict[str, str]:
    """Customers of Stripe's who have just subscribed to this price: their subscriptions, by customer."""
    found = {}
    for number in range(MANY):
        payer = shop.client.v1.customers.create({"name": f"Payer {number}"})
        card = shop.client.v1.payment_methods.attach("pm_card_visa", {"customer": payer.id})
        made = shop.client.v1.subscriptions.create(
            {"customer": payer.id, "items": [{"price": price}], "default_payment_method": card.id}
        )
        found[payer.id] = made.id
    return found


def updates(shop: Shop) -> Counter[str]:
    """How often each subscription was changed at Stripe."""
    found = shop.client.v1.events.list({"type": "customer.subscription.updated", "limit": 100}).auto_paging_iter()
    return Counter(event.data.object["id"] for event in found)


@pytest.mark.row("S18", "X4")
def test_killed_at_random_moments_each_subscription_is_moved_once(
    tollhouse: CommandLine, sandbox: Running, schema_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_pricing, "LEARN_SECONDS", 0.0)
    shop = open_shop(tollhouse, sandbox, schema_url)
    shop.setup()
    assert shop.ids is not None
    held = subscribers(shop, shop.ids.prices["STRIPE_PRICE_STARTER"])
    file = tollhouse.directory / "tollhouse.toml"
    asyncio.run(link_all(schema_url, file, list(held)))
    assert tollhouse("stripe", "reconcile").status == 0
    assert {row["plan"] for row in rows(schema_url, "subscription")} == {"starter"}

    dearer = AURION.replace('amount = 900, currency = "usd", every = "month"', f'amount = {NEW_AMOUNT}, currency = "usd", every = "month"')  # fmt: skip
    assert dearer != AURION
    file.write_text(dearer)
    shop.setup()
    before = updates(shop)
    command = [sys.executable, "-m", "tollhouse", "migrate", "pricing", "--apply", "--without-notice"]
    chance = random.Random(time.time_ns())
    for _ in range(5):
        process = subprocess.Popen(
            [*command, "--calls-per-second", "25"], cwd=tollhouse.directory, env=dict(os.environ),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(chance.uniform(1.0, 3.5))
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    done = tollhouse("migrate", "pricing", "--apply", "--without-notice", "--json", "--calls-per-second", "200")
    assert done.status == 0, done.err

    assert updates(shop) - before == Counter(dict.fromkeys(held.values(), 1))
    for subscription in held.values():
        (item,) = shop.client.v1.subscriptions.retrieve(subscription)["items"]["data"]
        assert item["price"]["unit_amount"] == NEW_AMOUNT
    assert {(row["plan"], row["version"], row["amount_minor"]) for row in rows(schema_url, "subscription")} == {
        ("starter", 2, NEW_AMOUNT)
    }
    moves = [row for row in rows(schema_url, "entry") if '"from":"starter@1"' in (row["metadata"] or "")]
    assert len(moves) == len({row["customer"] for row in moves}) == MANY
    assert tollhouse("verify").status == 0
    assert tollhouse("stripe", "reconcile").out.splitlines()[-1].startswith(f"{MANY} compared, 0 differed")
