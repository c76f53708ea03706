"""Stripe's webhooks: signed events to the answer, to the books, beside admissions, and in a burst.

The sandbox is Stripe, in a process of its own on the same machine; its answers count. Signatures are made beforehand.
"""

import asyncio
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import uvloop

from bench import load
from bench.product import Bed, configuration
from tests.support.postgres import free_port
from tollhouse.billing.linking import link
from tollhouse.billing.setup import ensure_prices
from tollhouse.billing.stripe import StripeGateway, opened, sign
from tollhouse.catalog.actions import refresh
from tollhouse.store import Sql, cell_of, open_store

if TYPE_CHECKING:
    from bench.__main__ import Bench

KEY = "sk_test_bench"
SECRET = "whsec_bench_0123456789abcdef"
CONNECTIONS = 16
BURST = 50_000
BESIDE_A_SECOND = 500
MOST_STORED_A_SECOND = 8_000
TYPE = "customer.subscription.updated"
AT_ONCE = 8
DRAIN_SECONDS = 600

ADD_CUSTOMER = Sql("""
insert into customer (cell, id, email, name, city, locale, made_by, created_at)
values (:cell, :id, :email, '', '', 'en', 'api', :at)
""")
UNTOLD = """
select (select count(*) from invoice_file where due_at is not null)
     + (select count(*) from outbox where done_at is null and parked_at is null)
"""
EVENTS = """
local parts = %(parts)s
local lines = {}
for line in io.lines("%(file)s") do lines[#lines + 1] = line end
local n = 0
request = function()
  n = n + 1
  local values, body = {}, {}
  for value in string.gmatch(lines[(n - 1) %% #lines + 1], "%%S+") do values[#values + 1] = value end
  for i, part in ipairs(parts) do body[i] = type(part) == "number" and values[part] or part end
  return wrk.format("POST", "/webhooks/stripe",
    {["Content-Type"] = "application/json; charset=utf-8", ["Stripe-Signature"] = "t=%(at)d,v1=" .. values[4]}, table.concat(body))
end
"""


Made = tuple[str, str, str, str]
"""An event: its id, customer, subscription and signature."""


class Payer(msgspec.Struct, frozen=True):
    """A customer of the sandbox's with its subscription."""

    id: str
    subscription: str


class Stripe(msgspec.Struct, frozen=True):
    """The sandbox with the bench's customers, and how an event about the first of them reads."""

    url: str
    payers: tuple[Payer, ...]
    template: str


def measure(bench: "Bench") -> None:
    """Every figure of this page once, each on a database of its own."""
    add = bench.figures.add
    with bench.bed("postgres") as bed, stripe(bed) as world:
        keyless = {"STRIPE_WEBHOOK_SECRET": SECRET}
        asyncio.run(link_all(bed, world))
        with load.server(bed, more=keyless) as running:
            send(running, bed, world, events(bed, world, 2_000), seconds=1)
            before = count(bed, "true")
            made = events(bed, world, round(MOST_STORED_A_SECOND * bench.seconds))
            stored = send(running, bed, world, made, seconds=bench.seconds)
            add("webhooks stored", stored.per_second)
            add("webhooks stored, p99 ms", stored.p99_ms)
            add(
                "webhooks lost", max(0, stored.requests - stored.errors - (count(bed, "true") - before)) + stored.errors
            )
        execute(bed, "delete from inbox")
        with load.server(bed, more={**keyless, "STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": world.url}) as running:
            made = events(bed, world, len(world.payers))
            send_all(running, bed, world, made)
            add("webhooks applied, first look", drained(bed, len(made)))
            wait_for_receipts(bed)  # of the invoices that were seen for the first time
            execute(bed, "delete from inbox")
            execute(bed, "update subscription set period_end = period_end - 1")
            made = events(bed, world, len(world.payers))
            send_all(running, bed, world, made)
            add("webhooks applied", drained(bed, len(made)))
            execute(bed, "delete from inbox")
            beside_admits(bench, bed, world, running)
            wait_until_drained(bed)


def burst(bench: "Bench") -> None:
    """Many events at once, while they are applied; the largest resident memory meanwhile."""
    add = bench.figures.add
    with bench.bed("postgres") as bed, stripe(bed) as world:
        asyncio.run(link_all(bed, world))
        settings = {"STRIPE_WEBHOOK_SECRET": SECRET, "STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": world.url}
        with load.server(bed, more=settings) as running, watched_memory(running.pid) as most:
            made = events(bed, world, BURST)
            sent = send_all(running, bed, world, made)
            add("webhooks in a burst, stored", sent.per_second)
            add("webhooks in a burst, p99 ms", sent.p99_ms)
            add("webhooks in a burst, applied", drained(bed, len(made)))
        add("webhooks in a burst, lost", sent.errors + len(made) - count(bed, "status = 'done'"))
        add("webhooks in a burst, MB", max(most))


def beside_admits(bench: "Bench", bed: Bed, world: Stripe, running: load.Running) -> None:
    """Admissions at half load, alone and then with events beside them, which are applied too."""
    add = bench.figures.add
    load.wrk(running, bed, seconds=1)
    full = load.wrk(running, bed, seconds=bench.seconds)
    alone = load.wrk(running, bed, seconds=bench.seconds, rate=full.per_second / 2)
    made = events(bed, world, round(2 * BESIDE_A_SECOND * (bench.seconds + 2)))
    seen: list[load.Load] = []
    sending = threading.Thread(
        target=lambda: seen.append(
            send(running, bed, world, made, seconds=bench.seconds + 1, rate=BESIDE_A_SECOND, script="beside.lua")
        )
    )
    sending.start()
    time.sleep(0.5)
    beside = load.wrk(running, bed, seconds=bench.seconds, rate=full.per_second / 2)
    sending.join()
    add("webhooks beside admits, a second", seen[0].per_second)
    add("webhooks beside admits, p99 ms", seen[0].p99_ms)
    add("admits beside webhooks, a second", beside.per_second)
    add("admits beside webhooks, of alone", beside.per_second / alone.per_second)
    for name, met in (("alone", alone), ("beside webhooks", beside)):
        add(f"admits {name}, p50 ms", met.p50_ms)
        add(f"admits {name}, p99 ms", met.p99_ms)


@contextmanager
def stripe(bed: Bed) -> Iterator[Stripe]:
    """A sandbox with a subscriber for each customer of the bed."""
    port = free_port()
    log = (bed.folder / "sandbox.log").open("ab")
    command = [sys.executable, "-m", "tollhouse_sandbox", "serve", "--port", str(port)]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        load.wait_for(url + "/_sandbox/clock", process)
        yield asyncio.run(fill(bed, url))
    finally:
        process.terminate()
        process.wait(30)
        log.close()


async def fill(bed: Bed, url: str) -> Stripe:
    """Prices in Stripe as the catalogue says, then customers who pay for the plan `paid`."""
    store = await open_store(bed.url)
    async with opened(KEY, api_base=url) as gateway:
        async with store.reading() as tx:
            catalog = await refresh(tx, configuration(bed.folder, bed.url).catalog)
        await ensure_prices(store, gateway, catalog)
        price = await gateway.price_of_key(catalog.plans["paid"].prices[0].lookup_key)
        assert price is not None
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(customer: str) -> Payer:
            async with limit:
                made = await gateway.create_customer(customer, "bench")
                card = await ask(gateway, "post", "/v1/payment_methods/pm_card_visa/attach", customer=made)
                wanted = {"items": [{"price": price.id}], "default_payment_method": card["id"]}
                subscribed = await ask(gateway, "post", "/v1/subscriptions", customer=made, **wanted)
                return Payer(made, subscribed["id"])

        payers = tuple(await asyncio.gather(*(one(customer) for customer in bed.customers)))
        subscription = await ask(gateway, "get", f"/v1/subscriptions/{payers[0].subscription}")
        event = (await ask(gateway, "get", "/v1/events", limit=1))["data"][0]
    await store.close()
    event |= {"type": TYPE, "data": {"object": subscription, "previous_attributes": {"cancel_at_period_end": False}}}
    template = json.dumps(event, indent=2).replace(event["id"], "@1")
    return Stripe(url, payers, template.replace(payers[0].id, "@2").replace(payers[0].subscription, "@3"))


async def ask(gateway: StripeGateway, method: str, path: str, **params: object) -> Any:
    """One call of the merchant's."""
    return json.loads((await gateway._connected().raw_request_async(method, path, **params)).headers.body)


async def link_all(bed: Bed, world: Stripe) -> None:
    """Each customer of the bed is the payer that was made for it, and has an address for its receipts."""
    store = await open_store(bed.url)
    now = store.clock.now_ms()
    async with store.transaction() as tx:
        for customer, payer in zip(bed.customers, world.payers, strict=True):
            await tx.execute(ADD_CUSTOMER, cell=cell_of(customer), id=customer, email=f"{payer.id}@example.com", at=now)
            await link(tx, payer.id, customer, now)
    await store.close()


def events(bed: Bed, world: Stripe, number: int) -> list[Made]:
    """So many events: id, customer, subscription, signature. Customer after customer, round and round."""
    run = f"{time.monotonic_ns():x}"
    at = int(time.time())
    made = []
    for n in range(number):
        payer = world.payers[n % len(world.payers)]
        values = (f"evt_{run}{n:08d}", payer.id, payer.subscription)
        signature = sign(written(world.template, values), SECRET, at)
        made.append((*values, re.sub(r".*v1=", "", signature)))
    (bed.folder / "signed_at").write_text(str(at))
    return made


def written(template: str, values: Sequence[str]) -> str:
    """The payload of an event."""
    for number, value in enumerate(values, 1):
        template = template.replace(f"@{number}", value)
    return template


def send(
    running: load.Running, bed: Bed, world: Stripe, made: Sequence[Made], *,
    seconds: float, rate: float | None = None, script: str = "events.lua",
) -> load.Load:  # fmt: skip
    """Post events over 16 connections for a time, by wrk."""
    listed = bed.folder / f"{script}.txt"
    listed.write_text("".join(" ".join(values) + "\n" for values in made))
    parts = ", ".join(
        part[1:] if re.fullmatch("@[123]", part) else f"[=[\n{part}]=]"
        for part in re.split("(@[123])", world.template)
        if part
    )
    at = int((bed.folder / "signed_at").read_text())
    text = EVENTS % {"parts": "{" + parts + "}", "file": listed, "at": at}
    path = bed.folder / script
    path.write_text(text)
    return load.run_wrk(running, path, seconds=seconds, connections=CONNECTIONS, rate=rate)


def send_all(running: load.Running, bed: Bed, world: Stripe, made: Sequence[Made]) -> load.Load:
    """Post every event once over 16 connections, each next one when the last was answered."""
    at = (bed.folder / "signed_at").read_text()
    took: list[float] = []
    refused: list[bytes] = []
    waiting = iter(made)

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(running.url.rpartition(":")[2]))
        for values in waiting:
            body = written(world.template, values[:3]).encode()
            head = (
                "POST /webhooks/stripe HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json; charset=utf-8\r\n"
                f"stripe-signature: t={at},v1={values[3]}\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            began = time.perf_counter()
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer)
            await reader.readexactly(int(length[1]) if length else 0)
            took.append(time.perf_counter() - began)
            if b" 200 " not in answer[:16]:
                refused.append(answer)
        writer.close()

    async def all_connections() -> None:
        await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))

    began = time.perf_counter()
    uvloop.run(all_connections())
    seconds = time.perf_counter() - began
    took.sort()
    p50, p99 = took[len(took) // 2], took[len(took) * 99 // 100]
    return load.Load(len(took) / seconds, p50 * 1000, p99 * 1000, len(refused), len(took))


def drained(bed: Bed, number: int) -> float:
    """Events a second from the first received to the last done."""
    wait_until_drained(bed)
    took = fetch(bed, "select max(done_at) - min(received_at) from inbox")
    return 1000 * number / float(took)


def wait_until_drained(bed: Bed) -> None:
    until = time.monotonic() + DRAIN_SECONDS
    while count(bed, "status = 'pending'"):
        if time.monotonic() > until:
            raise RuntimeError(f"the inbox did not drain within {DRAIN_SECONDS} s")
        time.sleep(0.25)
    if count(bed, "status = 'parked'"):
        raise RuntimeError("events were parked: " + str(fetch(bed, "select error from inbox where status = 'parked'")))


def wait_for_receipts(bed: Bed) -> None:
    """Until the PDF of every invoice is kept, and its letter parked: no mail server is set."""
    until = time.monotonic() + DRAIN_SECONDS
    while fetch(bed, UNTOLD):
        if time.monotonic() > until:
            raise RuntimeError(f"the receipts were not done within {DRAIN_SECONDS} s")
        time.sleep(0.25)


@contextmanager
def watched_memory(pid: int) -> Iterator[list[float]]:
    """What a process takes, read five times a second."""
    seen = [load.memory_mb(pid)]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            seen.append(load.memory_mb(pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def count(bed: Bed, condition: str) -> int:
    """How many events of the inbox."""
    return int(fetch(bed, f"select count(*) from inbox where {condition}"))


def fetch(bed: Bed, statement: str) -> Any:
    """One value."""

    async def run() -> Any:
        connection = await asyncpg.connect(bed.url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(run())


def execute(bed: Bed, statement: str) -> None:
    """One change."""
    fetch(bed, f"with changed as ({statement} returning 1) select count(*) from changed")
