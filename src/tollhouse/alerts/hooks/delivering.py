"""Each endpoint's deliveries, apart from every other's: claimed under a lease, sent, and marked; at least once.

A round looks which endpoints have something due and gives each a task of its own, with so many POSTs at once. Whoever
is slow or dead holds up its own deliveries and nobody else's. Killed between a POST and its mark, the same event goes out
again with the same id once the lease has lapsed.
"""

import asyncio
import random
from collections.abc import Callable

import msgspec
import structlog

from tollhouse.alerts.hooks import queries
from tollhouse.alerts.hooks.actions import disable_endpoint
from tollhouse.alerts.hooks.model import LONG_FAILURE_MS, pause_ms
from tollhouse.alerts.hooks.sending import Answer, Sender
from tollhouse.alerts.hooks.vault import Vault
from tollhouse.alerts.signing import signed_headers
from tollhouse.kernel.clock import DAY, MINUTE
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.kernel.facts import OperatorAlert
from tollhouse.kernel.ids import new_id
from tollhouse.store import Row, Store, Tx, Value, outbox

LEASE_MS = 2 * MINUTE
AT_ONCE = 10
CLAIMED_AT_ONCE = 2 * AT_ONCE
LONGEST_ERROR = 500
GONE = 410

log = structlog.get_logger(__name__)


class _Job(msgspec.Struct, frozen=True):
    """One claimed delivery."""

    event: str
    attempts: int
    payload: str


class Deliverer:
    """Sends what is due. One in each process that works in the background; they share by claims."""

    def __init__(self, store: Store, vault: Vault, sender: Sender, chance: Callable[[], float] = random.random) -> None:
        self._store = store
        self._vault = vault
        self._sender = sender
        self._chance = chance
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False

    async def round(self) -> bool:
        """Begin on every endpoint that has something due and is not at work; does not wait for them."""
        async with self._store.reading() as tx:
            due = await tx.fetch(queries.ENDPOINTS_DUE, now=self._store.clock.now_ms())
        for row in due:
            endpoint: str = row["id"]
            if endpoint not in self._tasks and not self._stopping:
                task = asyncio.create_task(self._serve(endpoint), name=f"hooks-{endpoint}")
                self._tasks[endpoint] = task
                task.add_done_callback(lambda _, done=endpoint: self._tasks.pop(done, None))  # type: ignore[misc]
        return False

    async def close(self) -> None:
        """Finish the POSTs that are under way, begin no more, give the connections back."""
        self._stopping = True
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._sender.close()

    async def idle(self) -> None:
        """Wait until nobody is at work."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def deliver_one(self, endpoint: str, event: str) -> Answer | None:
        """Send one delivery at once; None when somebody else is sending it."""
        jobs, claim_id = await self._claim(endpoint, event)
        answers = await self._send_all(endpoint, jobs, claim_id) if jobs else []
        return answers[0] if answers else None

    async def _serve(self, endpoint: str) -> None:
        try:
            while not self._stopping:
                jobs, claim_id = await self._claim(endpoint, None)
                if not jobs:
                    return
                await self._send_all(endpoint, jobs, claim_id)
        except Exception:  # the lease lapses, and a later round goes on
            log.exception("hooks.failed", endpoint=endpoint)

    async def _claim(self, endpoint: str, event: str | None) -> tuple[list[_Job], str]:
        claim_id = new_id("clm")
        now = self._store.clock.now_ms()
        async with self._store.transaction() as tx:
            if event is None:
                rows = await tx.fetch(queries.LOCK_DUE, endpoint=endpoint, now=now, most=CLAIMED_AT_ONCE)
            else:
                rows = await tx.fetch(queries.LOCK_ONE, endpoint=endpoint, event=event, now=now, most=1)
            claim: dict[str, Value] = {"endpoint": endpoint, "claim": claim_id, "until": now + LEASE_MS}
            await tx.execute_many(queries.CLAIM, [{**claim, "event": row["event"]} for row in rows])
        return [_Job(row["event"], row["attempts"], row["payload"]) for row in rows], claim_id

    async def _send_all(self, endpoint: str, jobs: list[_Job], claim_id: str) -> list[Answer]:
        """Send them, so many at once, and mark what came of it. Told to stop, it gives back what it has not begun."""
        async with self._store.reading() as tx:
            row = await tx.fetch_one(queries.SECRETS, id=endpoint)
        if row is None:  # removed meanwhile, with its deliveries
            return []
        at_once = asyncio.Semaphore(AT_ONCE)

        async def one(job: _Job) -> Answer | None:
            async with at_once:
                return None if self._stopping else await self._send(endpoint, row, job)

        answers = await asyncio.gather(*(one(job) for job in jobs))
        sent = [(job, answer) for job, answer in zip(jobs, answers, strict=True) if answer is not None]
        async with self._store.transaction() as tx:
            if sent:
                await self._mark(tx, endpoint, sent, claim_id)
            if len(sent) < len(jobs):
                await tx.execute(queries.RELEASE, endpoint=endpoint, claim=claim_id)
        return [answer for _, answer in sent]

    async def _send(self, endpoint: str, row: Row, job: _Job) -> Answer:
        now = self._store.clock.now_ms()
        try:
            keys = [self._vault.open(endpoint, row["secret"])]
            if row["old_secret"] is not None and row["old_secret_until"] > now:
                keys.append(self._vault.open(endpoint, row["old_secret"]))
        except ConfigurationError as error:
            return Answer(None, str(error), "", 0)
        body = job.payload.encode()
        return await self._sender.send(row["url"], signed_headers(keys, job.event, now, body), body)

    async def _mark(self, tx: Tx, endpoint: str, sent: list[tuple[_Job, Answer]], claim_id: str) -> None:
        """What came of them, in one transaction; what another claim has taken meanwhile is left to it."""
        now = self._store.clock.now_ms()
        found = await tx.fetch_one(queries.LOCK_ENDPOINT, id=endpoint)  # before its deliveries, as everybody locks them
        if found is None:
            return
        given_up = 0
        for job, answer in sent:
            at = {"endpoint": endpoint, "event": job.event}
            error = answer.error[:LONGEST_ERROR] if answer.error is not None else None
            await tx.execute(
                queries.INSERT_ATTEMPT, **at, id=new_id("hat"), at=now, took_ms=answer.took_ms, answered=answer.status,
                error=error, answer=answer.body,
            )  # fmt: skip
            mine = {**at, "claim": claim_id, "answered": answer.status}
            pause = pause_ms(job.attempts + 1, self._chance())
            if answer.ok:
                await tx.execute(queries.DELIVERED, **mine, now=now)
            elif pause is not None:
                await tx.execute(queries.RETRY, **mine, error=error, due_at=now + pause)
            else:
                given_up += await tx.execute(queries.GIVE_UP, **mine, error=error, now=now)
        await self._judge(tx, found, [answer for _, answer in sent], given_up, now)

    async def _judge(self, tx: Tx, row: Row, answers: list[Answer], given_up: int, now: int) -> None:
        """Who answers nothing for three days, or says that it is gone, is disabled, and staff are told."""
        endpoint: str = row["id"]
        last = answers[-1]
        failing_since: int | None = None
        if any(answer.ok for answer in answers):
            await tx.execute(queries.ANSWERING, id=endpoint)
        else:
            await tx.execute(queries.FAILING, id=endpoint, now=now)
            failing_since = row["failing_since"] or now
        if row["disabled_at"] is not None:
            return
        why = None
        if any(answer.status == GONE for answer in answers):
            why = f"it answered {GONE}: nothing is to be sent there any more"
        elif given_up and failing_since is not None and failing_since <= now - LONG_FAILURE_MS:
            why = f"nothing was answered for three days; at last: {last.error}"
        if why is not None:
            await disable_endpoint(tx, endpoint, why, now)
            await _alert(
                tx, f"hook_disabled:{endpoint}", "high", "A webhook endpoint was disabled", row["url"], why, now
            )
            log.warning("hooks.disabled", endpoint=endpoint, why=why)
        elif given_up:
            key = f"hook_failed:{endpoint}:{now // DAY}"
            what = f"{given_up} or more webhooks were given up after ten attempts; at last: {last.error or 'answered'}"
            await _alert(tx, key, "medium", "Webhooks to an endpoint were given up", row["url"], what, now, once=True)


async def _alert(
    tx: Tx, key: str, severity: str, title: str, url: str, what: str, now: int, *, once: bool = False
) -> None:
    endpoint = key.split(":")[1]
    fix = f"Mend what answers there, then `tollhouse hooks enable {endpoint}` and `tollhouse hooks replay {endpoint}`."
    alert = OperatorAlert(key, severity, title, f"{url} ({endpoint}): {what}", fix)
    if once:
        await outbox.put_once(tx, alert, key, now=now)
    else:
        await outbox.put(tx, alert, now=now)
