"""Webhook deliveries: signed, in order for each endpoint, retried with growing pauses, and spoilt on demand."""

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence

import aiohttp

from tollhouse_sandbox.clock import Clock
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.documents import Doc, encode
from tollhouse_sandbox.faults import Faults, takes_drop
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.store import Store
from tollhouse_sandbox.versions import event_in_version

_REORDER_WINDOW_SECONDS = 0.05


def signature(secrets: Sequence[str], payload: bytes, timestamp: int) -> str:
    """The `Stripe-Signature` header: HMAC-SHA256 over `timestamp.payload` (docs.stripe.com/webhooks#verify-manually).

    One `v1` for each secret: while one is being rolled Stripe signs with both.
    """
    signed = f"{timestamp}.".encode() + payload
    digests = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    return ",".join([f"t={timestamp}", *(f"v1={digest}" for digest in digests)])


class Deliveries:
    """Sends every event to the endpoints that want it. API answers never wait for it."""

    def __init__(self, store: Store, clock: Clock, config: Config, faults: Callable[[], Faults]) -> None:
        self._store = store
        self._clock = clock
        self._config = config
        self._faults = faults
        self._queues: dict[str, asyncio.Queue[str]] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._session: aiohttp.ClientSession | None = None
        self._under_way = 0

    async def start(self) -> None:
        """Begins sending, first of all what a restart interrupted."""
        timeout = aiohttp.ClientTimeout(total=self._config.delivery_timeout_seconds)
        self._session = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
        for delivery in self._store.oldest("delivery"):
            if delivery["status"] == "pending":
                self._enqueue(delivery)

    async def stop(self) -> None:
        """Stops sending; what is not delivered stays pending."""
        for timer in self._timers:
            timer.cancel()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if self._session:
            await self._session.close()
            self._session = None

    def announce(self, event: Doc) -> None:
        """Makes one delivery (two when doubled) for every enabled endpoint that wants this event."""
        for endpoint in self._store.oldest("webhook_endpoint"):
            if endpoint["status"] != "enabled" or endpoint["livemode"] != event["livemode"]:
                continue
            if "*" in endpoint["enabled_events"] or event["type"] in endpoint["enabled_events"]:
                event["pending_webhooks"] += 1
                for _ in range(2 if self._faults().double else 1):
                    self._create(event, endpoint)

    def resend(self, event: Doc, endpoint: Doc) -> Doc:
        """Sends the event to the endpoint again, whatever became of it before, past any fault but delay."""
        return self._create(event, endpoint, spared=True)

    def release(self, order: str = "as_held") -> list[str]:
        """Lets held deliveries go: `as_held`, `reverse`; or one id after another, given with commas. Answers their ids."""
        held = [delivery for delivery in self._store.oldest("delivery") if delivery["status"] == "held"]
        if order == "reverse":
            held.reverse()
        elif order != "as_held":
            wanted = order.split(",")
            held = sorted((d for d in held if d["id"] in wanted), key=lambda d: wanted.index(d["id"]))
        for delivery in held:
            delivery["status"] = "pending"
            self._store.put("delivery", delivery)
            self._enqueue(delivery)
        return [delivery["id"] for delivery in held]

    async def settle(self, timeout_seconds: float) -> bool:
        """Waits until nothing is queued or under way (a later retry does not count); False when the time ran out."""
        deadline = time.monotonic() + timeout_seconds
        while self._under_way or any(not queue.empty() for queue in self._queues.values()):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.005)
        return True

    def forget(self) -> None:
        """Drops everything that waits; what is under way ends without a trace."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for queue in self._queues.values():
            while not queue.empty():
                queue.get_nowait()

    def _create(self, event: Doc, endpoint: Doc, *, spared: bool = False) -> Doc:
        faults = self._faults()
        status = "pending"
        if not spared and takes_drop(faults, event["type"]):
            status = "dropped"
        elif not spared and faults.hold:
            status = "held"
        delivery: Doc = {
            "id": new_id("dlv"),
            "event": event["id"],
            "type": event["type"],
            "endpoint": endpoint["id"],
            "url": endpoint["url"],
            "created": self._clock.now(),
            "status": status,
            "attempts": [],
            "next_attempt_at": None,
        }
        self._store.put("delivery", delivery)
        if status == "pending":
            self._enqueue(delivery)
        return delivery

    def _enqueue(self, delivery: Doc) -> None:
        if self._session is None:
            return
        queue = self._queues.get(delivery["endpoint"])
        if queue is None:
            queue = self._queues[delivery["endpoint"]] = asyncio.Queue()
            self._workers += [
                asyncio.get_running_loop().create_task(self._work(queue))
                for _ in range(self._config.delivery_concurrency)
            ]
        queue.put_nowait(delivery["id"])

    async def _work(self, queue: asyncio.Queue[str]) -> None:
        while True:
            batch = [await queue.get()]
            self._under_way += 1
            try:
                if self._faults().reorder:
                    await asyncio.sleep(_REORDER_WINDOW_SECONDS)
                    while not queue.empty():
                        batch.append(queue.get_nowait())
                    batch.reverse()
                for key in batch:
                    await self._deliver(key)
            finally:
                self._under_way -= 1

    async def _deliver(self, key: str) -> None:
        if delay_ms := self._faults().delay_ms:
            await asyncio.sleep(delay_ms / 1000)
        delivery = self._store.get("delivery", key)
        if delivery is None or delivery["status"] != "pending":
            return
        event = self._store.get("event", delivery["event"])
        endpoint = self._store.get("webhook_endpoint", delivery["endpoint"])
        if event is None or endpoint is None or endpoint["status"] != "enabled":
            delivery.update(status="failed", next_attempt_at=None)
            self._store.put("delivery", delivery)
            return
        started = time.time()
        status_code, error = await self._post(event, endpoint)
        attempt = {
            "at": round(started, 3),
            "duration_ms": round((time.time() - started) * 1000),
            "status_code": status_code,
            "error": error,
        }
        self._conclude(delivery, event, attempt)

    async def _post(self, event: Doc, endpoint: Doc) -> tuple[int | None, str | None]:
        private = self._store.get("private", endpoint["id"]) or {}
        old = [rolled["secret"] for rolled in private.get("rolled", ()) if rolled["until"] > self._clock.now()]
        version = endpoint["api_version"] or event["api_version"]
        payload = encode(event_in_version(self._store, event, version))
        now = self._clock.now() if self._config.signature_clock == "sandbox" else int(time.time())
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            "Stripe-Signature": signature([private["secret"], *old], payload, now),
        }
        session = self._session
        if session is None:
            return None, "the sandbox is stopping"
        try:
            async with session.post(endpoint["url"], data=payload, headers=headers, allow_redirects=False) as answer:
                await answer.read()
                return answer.status, None
        except TimeoutError:
            return None, f"no answer within {self._config.delivery_timeout_seconds:g} s"
        except aiohttp.ClientError as error:
            return None, str(error) or type(error).__name__

    def _conclude(self, delivery: Doc, event: Doc, attempt: Doc) -> None:
        if self._store.get("delivery", delivery["id"]) is not delivery:
            return
        delivery["attempts"].append(attempt)
        delivery["next_attempt_at"] = None
        if attempt["status_code"] is not None and 200 <= attempt["status_code"] < 300:
            delivery["status"] = "succeeded"
            event["pending_webhooks"] = max(0, event["pending_webhooks"] - 1)
            self._store.put("event", event)
        else:
            self._plan_retry(delivery, self._config.delivery_pauses_seconds)
        self._store.put("delivery", delivery)
        self._store.save()

    def _plan_retry(self, delivery: Doc, pauses: Sequence[float]) -> None:
        failures = len(delivery["attempts"])
        if failures > len(pauses):
            delivery["status"] = "failed"
            return
        pause = pauses[failures - 1]
        delivery["next_attempt_at"] = round(time.time() + pause, 3)

        def again() -> None:
            self._timers.discard(timer)
            self._enqueue(delivery)

        timer = asyncio.get_running_loop().call_later(pause, again)
        self._timers.add(timer)
