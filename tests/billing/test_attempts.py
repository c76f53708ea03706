"""Payment attempts: at most so many in any window, by user and by address, whoever counts and whatever restarts (U13)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.billing.test_http import Served, served
from tests.support.databases import new_sqlite
from tollhouse.billing.attempts import count_attempt, forget_old_attempts
from tollhouse.kernel.clock import MINUTE
from tollhouse.kernel.errors import TooManyAttempts
from tollhouse.store import open_store
from tollhouse.store.opening import AnyStore

MOST, WINDOW = 5, 15 * MINUTE
START = 1_800_000_000_000
ADA, BEA, HOME, CAFE = "customer:ada", "customer:bea", "address:home", "address:cafe"

PROCESS = """
import asyncio, sys
from tollhouse.billing.attempts import count_attempt
from tollhouse.kernel.errors import TooManyAttempts
from tollhouse.store import open_store

async def main():
    store = await open_store(sys.argv[1])
    allowed = 0
    for number in range(8):
        try:
            async with store.transaction() as tx:
                await count_attempt(tx, ("customer:ada", f"address:{sys.argv[2]}"), 5, 900_000, 1_800_000_000_000 + number)
            allowed += 1
        except TooManyAttempts:
            pass
    await store.close()
    print(allowed)

asyncio.run(main())
"""


async def attempt(store: AnyStore, at: int, *subjects: str) -> int | None:
    """None when it is let through, else how many seconds to wait."""
    try:
        async with store.transaction() as tx:
            await count_attempt(tx, subjects, MOST, WINDOW, at)
    except TooManyAttempts as error:
        wait = error.fields["retry_after"]
        assert isinstance(wait, int)
        return wait
    return None


@pytest.mark.row("U13")
async def test_five_in_a_window_by_user_and_by_address(schema_url: str) -> None:
    store = await open_store(schema_url)
    for number in range(3):
        assert await attempt(store, START + number, ADA, HOME) is None
    for number in range(2):
        assert await attempt(store, START + 10 + number, BEA, HOME) is None
    assert await attempt(store, START + 20, BEA, HOME) == 900, "five came from this address"
    assert await attempt(store, START + 20, BEA, CAFE) is None, "what was refused is not counted"
    for number in range(2):
        assert await attempt(store, START + 30 + number, ADA, CAFE) is None
    assert await attempt(store, START + 40, ADA, "address:train") == 900, "five were this user's"
    await store.close()

    again = await open_store(schema_url)  # nothing is forgotten by a restart
    assert await attempt(again, START + MINUTE, ADA, "address:train") == 840
    assert await attempt(again, START + WINDOW - 1, ADA, "address:train") == 1
    async with again.transaction() as tx:
        await forget_old_attempts(tx, START + WINDOW - 1)
    assert await attempt(again, START + WINDOW - 1, ADA, "address:train") == 1
    assert await attempt(again, START + WINDOW, ADA, "address:train") is None
    await again.close()


@pytest.mark.row("U13")
def test_several_processes_count_together(schema_url: str) -> None:
    runs = [
        subprocess.Popen([sys.executable, "-c", PROCESS, schema_url, str(number)], stdout=subprocess.PIPE, text=True)
        for number in range(3)
    ]
    allowed = [int(run.communicate(timeout=60)[0]) for run in runs]
    assert sum(allowed) == MOST


@pytest.mark.row("U13")
@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 6 * MINUTE), st.sampled_from([ADA, BEA]), st.sampled_from([HOME, CAFE])),
        min_size=1, max_size=40,
    )
)  # fmt: skip
def test_no_window_ever_holds_a_sixth(steps: list[tuple[int, str, str]]) -> None:
    async def live(directory: str) -> None:
        url = new_sqlite(Path(directory))
        store = await open_store(url)
        passed: dict[str, list[int]] = {}
        now = START
        for pause, user, address in steps:
            now += pause
            full = [
                name
                for name in (user, address)
                if sum(at > now - WINDOW for at in passed.get(name, [])) >= MOST
            ]  # fmt: skip
            assert (await attempt(store, now, user, address) is None) == (not full)
            if not full:
                for name in (user, address):
                    passed.setdefault(name, []).append(now)
        await store.close()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(live(directory))


@pytest.mark.row("U13")
async def test_the_settings_say_how_many_and_how_long(schema_url: str) -> None:
    environ = {"STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_API_BASE": "http://127.0.0.1:9"}
    limits = {"STRIPE_RATE_LIMIT_MAX": "2", "STRIPE_RATE_LIMIT_WINDOW": "1m"}
    async with served(schema_url, **environ, **limits) as product:
        await product.customer("user_123")
        assert [await _checkout(product) for _ in range(3)] == [
            503,
            503,
            429,
        ]  # Stripe is away: they count all the same
        product.house.store.clock.test_offset_ms += MINUTE
        assert await _checkout(product) == 503


async def _checkout(product: Served) -> int:
    return int((await product.ask("/billing/checkout", plan="starter", user_id="user_123")).status_code)
