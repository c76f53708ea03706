"""What stands in the way: poisoned items, rows that somebody else has locked, commands beside the server, wrong clocks."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.races.arena import CATALOG, TOML, Arena, Race, allowed, racing
from tests.support.calling import Api
from tests.support.databases import let_go, new_postgres
from tests.support.postgres import Postgres
from tests.support.serving import make_secret_key, running_server
from tollhouse.ledger import actions as ledger
from tollhouse.ledger.granting import NewLot
from tollhouse.store import cell_of
from tollhouse.store.opening import sqlite_path

LOCKED_SECONDS = 5.0
POISON: tuple[dict[str, object], ...] = (
    {"customer": "nul\x00nul"},
    {"key": "nul\x00nul"},
    {"key": "\x1f"},
    {"action": "chat", "amount": {"credits": 10**40}},
    {"action": "chat", "amount": {"credits": 2**63}},
    {"action": "chat", "amount": {"credits": 2**53 - 1}},
    {"metadata": {"n": 2**200}},
    {"metadata": {"text": "\x00\x1f\x02\u2028"}},
)


@pytest.mark.parametrize("poison", POISON, ids=repr)
async def test_one_poisoned_item_in_a_full_batch_spoils_only_itself(race: Race, poison: dict[str, object]) -> None:
    ada = await race.here.customer(f"ada-poison-{POISON.index(poison)}")
    track = {"customer": ada, "action": "track"}
    before = [{"customer": ada, "action": "spend"}] * 40
    items = [*before, {"customer": ada, "action": "spend", **poison}, *before]
    batch, *singles = await asyncio.gather(
        race.here.post("/v1/admit/batch", {"items": items}),
        race.there.post("/v1/admit", {"customer": ada, "action": "spend", **poison}),
        *(race.there.post("/v1/admit", track) for _ in range(20)),
    )
    answers = batch.body["items"]
    assert len(answers) == len(items)
    assert all(answer["allowed"] for position, answer in enumerate(answers) if position != 40)
    assert singles[0].status < 500
    assert len(allowed(singles[1:])) == 20


@asynccontextmanager
async def locked(race: Race, customer: str, seconds: float) -> AsyncIterator[None]:
    """Somebody holds this customer's row (on SQLite: the right to write) for so long, in a thread of its own."""
    url = race.arena.database_url
    taken = threading.Event()

    def hold_sqlite() -> None:
        connection = sqlite3.connect(sqlite_path(url), isolation_level=None)
        connection.execute("begin immediate")
        taken.set()
        time.sleep(seconds)
        connection.execute("rollback")
        connection.close()

    async def hold_postgres() -> None:
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            await connection.execute(
                "select 1 from account where cell = $1 and customer = $2 for update", cell_of(customer), customer
            )
            taken.set()
            await asyncio.sleep(seconds)
        await connection.close()

    work = hold_sqlite if url.startswith("sqlite:") else lambda: asyncio.run(hold_postgres())
    thread = threading.Thread(target=work)
    thread.start()
    await asyncio.to_thread(taken.wait)
    yield
    await asyncio.to_thread(thread.join)


async def test_a_row_locked_by_somebody_else_is_answered_after_and_the_others_go_on_meanwhile(race: Race) -> None:
    people = [await race.here.customer(f"locked-{number}") for number in range(8)]
    for person in people:
        await race.here.admit(person, "spend")
    began = time.monotonic()
    async with locked(race, people[0], LOCKED_SECONDS):
        waiting = [
            asyncio.create_task(client.admit(people[0], "spend", f"wait-{number}"))
            for number, client in enumerate([race.here, race.there] * 3)
        ]
        if not race.arena.database_url.startswith("sqlite:"):
            for turn in range(5):
                bodies = ({"customer": person, "action": "spend", "key": f"t{turn}"} for person in people[1:])
                assert len(allowed(await race.everywhere(7, "/v1/admit", bodies))) == 7
            assert time.monotonic() - began < LOCKED_SECONDS, "the others did not wait for the lock"
            assert not any(task.done() for task in waiting)
    answers = await asyncio.gather(*waiting)
    assert len(allowed(answers)) == 6
    assert await race.taken(people[0]) == 7


async def test_somebody_else_writes_the_account_beside_the_server(race: Race) -> None:
    """A command or another host: grants through the store, while the server admits on its copy."""
    ada = await race.here.customer("ada-beside")
    stop = asyncio.Event()

    async def spending() -> int:
        yes = 0
        number = 0
        while not stop.is_set():
            number += 1
            yes += bool((await race.here.admit(ada, "chat", f"k{number}", amount={"credits": 20})).body["allowed"])
        return yes

    task = asyncio.create_task(spending())
    store = race.books.store
    for number in range(20):
        async with store.transaction() as tx:
            await ledger.grant(
                tx, CATALOG, ada, NewLot("credits", 20_000, "grant"), store.clock.now_ms(),
                key=f"beside-{number}", fingerprint=b"x" * 16, reason="beside",
            )  # fmt: skip
    await asyncio.sleep(0.3)
    stop.set()
    assert await task == 25
    assert await race.taken(ada) == 500


async def test_a_command_writes_beside_the_server(race: Race, tmp_path: Path) -> None:
    ada = await race.here.customer("ada-command")
    server = race.arena.servers[0]

    async def create_key() -> str:
        process = await asyncio.create_subprocess_exec(
            *server.command("keys", "create", "beside"), cwd=server.directory, env=server.environ,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 0, err
        return out.decode().strip()

    bodies = ({"customer": ada, "action": "spend", "key": f"k{number}"} for number in range(100))
    answers, *keys = await asyncio.gather(race.everywhere(100, "/v1/admit", bodies), create_key(), create_key())
    assert len(allowed(answers)) == 100
    async with Api(server.url, keys[0]) as api:
        for _ in range(100):
            answer = await api.admit(ada, "track")
            if answer.status == 200:
                break
            await asyncio.sleep(0.05)
        assert answer.status == 200


AHEAD = """
import time
_time, _ns, _monotonic, _monotonic_ns = time.time, time.time_ns, time.monotonic, time.monotonic_ns
time.time = lambda: _time() + 10
time.time_ns = lambda: _ns() + 10_000_000_000
time.monotonic = lambda: _monotonic() + 10
time.monotonic_ns = lambda: _monotonic_ns() + 10_000_000_000
"""


@pytest.fixture
def ahead(postgres: Postgres, tmp_path: Path) -> Iterator[Arena]:
    """Two hosts on one PostgreSQL; the clock of the second is 10 s ahead."""
    url = new_postgres(postgres)
    key = make_secret_key(url)
    with contextlib.ExitStack() as stack:
        right = stack.enter_context(running_server(url, TOML, tmp_path / "right", secret_key=key))
        wrong = stack.enter_context(running_server(url, TOML, tmp_path / "wrong", secret_key=key, prelude=AHEAD))
        yield Arena(url, [right, wrong])
    let_go(postgres, url)


async def test_a_host_whose_clock_is_ten_seconds_ahead_dates_by_the_databases_clock(ahead: Arena) -> None:
    """Rule 6: `now` is the database's clock."""
    async with racing(ahead) as race:
        ada = await race.here.customer("ada")
        bodies = ({"customer": ada, "action": "spend", "key": f"k{number}"} for number in range(60))
        assert len(allowed(await race.everywhere(60, "/v1/admit", bodies))) == 60
        for number in range(6):
            client = race.clients[number % 2]
            assert (await client.admit(ada, "spend", f"turn-{number}")).body["allowed"]
        connection = await asyncpg.connect(ahead.database_url)
        database_ms = await connection.fetchval("select (extract(epoch from clock_timestamp()) * 1000)::bigint")
        await connection.close()
        entries = await race.books.entries(ada)
        assert max(entry.at for entry in entries) <= database_ms
        assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
        assert await race.books.findings() == []
