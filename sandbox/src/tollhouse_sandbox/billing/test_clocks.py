"""Test clocks: customers who live in a time of their own, which stands still until it is moved."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tollhouse_sandbox.billing import customers, subscriptions
from tollhouse_sandbox.billing.periods import boundary
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import StripeError, invalid
from tollhouse_sandbox.identifiers import new_id
from tollhouse_sandbox.world import World

KIND = "test_helpers.test_clock"
MOST_CUSTOMERS = 3
MOST_SUBSCRIPTIONS = 3
_LIVES_SECONDS = 7 * 86_400
_LONGEST_INTERVALS = 2
_LONGEST_YEARS = 2


def create(world: World, *, frozen_time: int, name: str | None) -> Doc:
    """A clock that stands at that moment; it deletes itself after a week."""
    now = world.clock.now()
    clock: Doc = {
        "id": new_id("clock"),
        "object": KIND,
        "created": now,
        "deletes_after": now + _LIVES_SECONDS,
        "frozen_time": frozen_time,
        "livemode": False,
        "name": name,
        "status": "ready",
        "status_details": {},
    }
    world.store.put(KIND, clock)
    world.plan_for(clock["deletes_after"], "test_clock", clock["id"])
    world.emit("test_helpers.test_clock.created", clock)
    return clock


def begin_advance(world: World, clock: Doc, moment: int) -> Doc:
    """The clock sets out for the moment; it arrives as soon as nobody waits for an answer. Raises Stripe's errors."""
    check_ready(clock)
    if moment <= clock["frozen_time"]:
        raise invalid("The `frozen_time` must be after the test clock's current frozen time.", "frozen_time")
    if moment > _furthest(world, clock):
        raise invalid(
            "The `frozen_time` cannot be more than two intervals in the future from the shortest subscription in this test"
            " clock. If there are no subscriptions in this test clock, it cannot be more than two years in the future.",
            "frozen_time",
        )
    clock.update(status="advancing", status_details={"advancing": {"target_frozen_time": moment}})
    world.store.put(KIND, clock)
    world.emit("test_helpers.test_clock.advancing", clock)
    return clock


def arrive(world: World, clock: Doc) -> None:
    """The clock has come to where it was sent."""
    clock.update(
        status="ready",
        frozen_time=clock["status_details"]["advancing"]["target_frozen_time"],
        status_details={},
    )
    world.store.put(KIND, clock)
    world.emit("test_helpers.test_clock.ready", clock)


def advancing(world: World) -> Iterable[Doc]:
    """The clocks that are on their way."""
    if not world.store.count(KIND):
        return ()
    return [clock for clock in world.store.oldest(KIND) if clock["status"] == "advancing"]


def delete(world: World, clock: Doc) -> None:
    """Deletes the clock and its customers, whose subscriptions end at once."""
    with world.living_on(clock["id"], clock["frozen_time"]):
        for customer in world.store.where("customer", "test_clock", clock["id"]):
            for subscription in world.store.where("subscription", "customer", customer["id"]):
                if subscription["status"] in subscriptions.LIVING:
                    subscriptions.end(world, subscription, "cancellation_requested")
            customers.delete(world, customer)
    world.store.delete(KIND, clock["id"])
    world.forget_test_clock(clock["id"])
    world.emit("test_helpers.test_clock.deleted", clock)


def check_ready(clock: Doc) -> None:
    """Raises Stripe's error while the clock is on its way."""
    if clock["status"] != "ready":
        raise StripeError(400, "Test clock advancement underway - cannot perform modifications.")


def check_room_for_customer(world: World, clock: Doc) -> None:
    """Raises when the clock has as many customers as it takes."""
    check_ready(clock)
    if len(world.store.where("customer", "test_clock", clock["id"])) >= MOST_CUSTOMERS:
        raise invalid(f"A test clock can have at most {MOST_CUSTOMERS} customers.", "test_clock")


def check_room_for_subscription(world: World, customer: Doc) -> None:
    """Raises when a customer on a test clock has as many subscriptions as it may."""
    if customer["test_clock"] is None:
        return
    found = world.store.where("subscription", "customer", customer["id"])
    if sum(subscription["status"] in subscriptions.LIVING for subscription in found) >= MOST_SUBSCRIPTIONS:
        raise invalid(f"A customer with a test clock can have at most {MOST_SUBSCRIPTIONS} subscriptions.", "customer")


@contextmanager
def time_of(world: World, documents: Iterable[Doc | None]) -> Iterator[None]:
    """While open, it is the time of the first of these whose customer lives on a test clock."""
    clock = next((found for document in documents if (found := clock_of(world, document))), None)
    if clock is None:
        yield
        return
    with world.living_on(clock["id"], clock["frozen_time"]):
        yield


def clock_of(world: World, document: Doc | None) -> Doc | None:
    """The test clock on which a document lives, its own or its customer's."""
    if document is None:
        return None
    key = document["id"] if document.get("object") == KIND else document.get("test_clock")
    if key is None:
        customer = world.store.get("customer", document.get("customer") or "")
        key = customer["test_clock"] if customer else None
    return world.store.get(KIND, key) if key else None


def _furthest(world: World, clock: Doc) -> int:
    """Two of the shortest intervals on; two years where nothing is subscribed to."""
    start: int = clock["frozen_time"]
    ends = [
        boundary(
            start,
            item["price"]["recurring"]["interval"],
            item["price"]["recurring"]["interval_count"],
            _LONGEST_INTERVALS,
        )
        for customer in world.store.where("customer", "test_clock", clock["id"])
        for subscription in world.store.where("subscription", "customer", customer["id"])
        if subscription["status"] in subscriptions.LIVING
        for item in subscription["items"]["data"]
    ]
    return min(ends, default=boundary(start, "year", 1, _LONGEST_YEARS))
