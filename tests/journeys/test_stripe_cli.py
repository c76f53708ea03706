"""The official Stripe CLI fires at Stripe, and a running product takes what comes of it."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.town import Town, standing
from tests.support.databases import new_sqlite
from tests.support.stripe_cli import EVENTS, INSTALL_SECONDS, StripeCli
from tollhouse.store import Sql, open_store

# It may have to install the CLI.
pytestmark = pytest.mark.timeout(INSTALL_SECONDS + 120)
HANDLED_SECONDS = 20.0


def _control(town: Town, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{town.sandbox}/_sandbox/{path}", data)) as answer:
        return json.load(answer)


async def _inbox(town: Town) -> dict[str, str]:
    """The status of every event that the product has stored, by id."""
    store = await open_store(town.database_url)
    try:
        async with store.reading() as tx:
            rows = await tx.fetch(Sql("select id, status from inbox"))
    finally:
        await store.close()
    return {row["id"]: row["status"] for row in rows}


@pytest.mark.row("S9")
def test_a_running_product_takes_every_event_that_the_official_cli_triggers(
    stripe_cli: StripeCli, tmp_path: Path
) -> None:
    with standing(new_sqlite(tmp_path), "aurion", tmp_path / "serve", events=("*",)) as town:
        for event in EVENTS:
            stripe_cli.trigger(event, town.sandbox)
        assert _control(town, "deliveries/settle", {"timeout_ms": 20_000})["settled"]

        emitted = {event: _control(town, f"events?type={urllib.parse.quote(event)}")["data"] for event in EVENTS}
        assert all(emitted.values())
        ids = {found["id"] for events in emitted.values() for found in events}
        deliveries = _control(town, "deliveries?limit=1000")["data"]
        attempts = {sent["event"]: [tried["status_code"] for tried in sent["attempts"]] for sent in deliveries}
        assert {event: attempts[event] for event in ids} == {event: [200] for event in ids}

        deadline = time.monotonic() + HANDLED_SECONDS
        stored = asyncio.run(_inbox(town))
        while "pending" in stored.values() and time.monotonic() < deadline:
            time.sleep(0.1)
            stored = asyncio.run(_inbox(town))
    assert ids <= stored.keys()
    assert set(stored.values()) == {"done"}
