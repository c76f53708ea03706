"""What every part of the sandbox shares: store, clock, faults, deliveries, and the events that tie them."""

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from tollhouse_sandbox.clock import Clock
from tollhouse_sandbox.config import API_VERSION, Config
from tollhouse_sandbox.deliveries import Deliveries
from tollhouse_sandbox.documents import Doc, difference, snapshot
from tollhouse_sandbox.faults import Faults, Pace
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.store import Store

# Kinds that are not Stripe's objects.
INTERNAL = frozenset(("delivery", "deleted_customer", "event", "idempotency_key", "mail", "private", "setting"))

_REVOKED = "revoked_keys"


class Caller(msgspec.Struct, frozen=True):
    """Which API request causes the events being emitted."""

    request_id: str
    idempotency_key: str | None


class World:
    """One sandbox. Not thread-safe: everything runs in its own event loop, and no handler awaits in mid-change."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.store = Store(config.data_file)
        settings = self.store.get("setting", "clock")
        self.clock = Clock(settings["offset_seconds"] if settings else 0)
        self.faults = Faults()
        self.pace = Pace()
        self.deliveries = Deliveries(self.store, self.clock, config, lambda: self.faults)
        self.base_url = config.public_url or f"http://{config.host}:{config.port}"
        self.caller: Caller | None = None
        self._agendas: dict[str, list[tuple[int, int, str, str]]] = {}
        self._agenda_order = 0
        self._test_clock = ""
        _share_prices(self.store)

    def private(self, key: str) -> Doc:
        """What the sandbox knows about an object and Stripe's API does not show, such as a webhook's secret."""
        return self.store.get("private", key) or self.store.put("private", {"id": key})

    def keep_private(self, key: str, **facts: object) -> None:
        """Adds to what `private` answers."""
        known = self.private(key)
        known.update(facts)
        self.store.put("private", known)

    def revoked_keys(self) -> list[str]:
        """API keys that the merchant has revoked."""
        known = self.store.get("private", _REVOKED)
        return list(known["keys"]) if known else []

    def revoke_key(self, key: str) -> None:
        """The key is not accepted any more, for good."""
        self.keep_private(_REVOKED, keys=[*self.revoked_keys(), key])

    def emit(self, event_type: str, subject: Doc, previous: Doc | None = None, *, livemode: bool | None = None) -> Doc:
        """Keeps an event with the subject as it is now, and hands it to the deliveries.

        `livemode` is the mode of subjects that do not say it themselves, such as refunds.
        """
        data: Doc = {"object": snapshot(subject)}
        if previous is not None:
            data["previous_attributes"] = previous
        caller = self.caller
        event: Doc = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": API_VERSION,
            "created": self.clock.now(),
            "data": data,
            "livemode": subject["livemode"] if livemode is None else livemode,
            "pending_webhooks": 0,
            "request": {
                "id": caller.request_id if caller else None,
                "idempotency_key": caller.idempotency_key if caller else None,
            },
            "type": event_type,
        }
        self.store.put("event", event)
        self.deliveries.announce(event)
        return event

    def emit_change(self, event_type: str, subject: Doc, before: Doc) -> None:
        """Keeps the changed subject; emits its event with `previous_attributes` unless nothing differs."""
        self.store.put(subject["object"], subject)
        previous = difference(before, snapshot(subject))
        if previous:
            self.emit(event_type, subject, previous)

    def plan_for(self, moment: int, task: str, key: str) -> None:
        """Puts a task on the agenda; whoever does it checks that it is still due."""
        self._agenda_order += 1
        agenda = self._agendas.setdefault(self._test_clock, [])
        heapq.heappush(agenda, (moment, self._agenda_order, task, key))

    @contextmanager
    def living_on(self, test_clock: str, moment: int) -> Iterator[None]:
        """While open, what happens is dated at the moment, and what is planned waits for that test clock."""
        before, self._test_clock = self._test_clock, test_clock
        try:
            with self.clock.standing_at(moment):
                yield
        finally:
            self._test_clock = before

    def run_agenda(
        self, until: int, tasks: dict[str, Callable[["World", str, int], None]], test_clock: str = ""
    ) -> int:
        """Does everything due until then on the sandbox's clock (or a test clock), in order, each dated at its own
        moment; answers how many."""
        done, agenda = 0, self._agendas.setdefault(test_clock, [])
        while agenda and agenda[0][0] <= until:
            moment, _, task, key = heapq.heappop(agenda)
            with self.living_on(test_clock, moment):
                tasks[task](self, key, moment)
            done += 1
        return done

    def forget_test_clock(self, test_clock: str) -> None:
        """Drops whatever waits for it."""
        self._agendas.pop(test_clock, None)

    def forget_everything(self) -> None:
        """Back to an empty sandbox, at real time, without faults."""
        self._agendas.clear()
        self.deliveries.forget()
        self.store.clear()
        self.clock.offset_seconds = 0
        self.faults = Faults()


def _share_prices(store: Store) -> None:
    """Subscription items and line items show the price as it is now: they hold the very same document."""
    for subscription in store.oldest("subscription"):
        for item in subscription["items"]["data"]:
            item["price"] = store.get("price", item["price"]["id"]) or item["price"]
            item["plan"] = store.get("plan", item["plan"]["id"]) or item["plan"]
