"""From a stored event to our books: claim, look at Stripe, apply. Run by the worker; every step may be killed.

Whatever the events say, the customer's present state is fetched, once for all that wait; so it does not matter in which
order they come, how often, or in which version of Stripe's API they are written.
"""

import asyncio

import structlog

from tollhouse.billing import queries
from tollhouse.billing.applying import FenceLost
from tollhouse.billing.counting import LOOK_AGAIN_TYPE, Tally
from tollhouse.billing.going_on import go_on_with_cards, payments_named
from tollhouse.billing.lagging import perhaps_behind, require_visible
from tollhouse.billing.linking import link, link_of_stripe, owner_of
from tollhouse.billing.looking import Known, find_known, look
from tollhouse.billing.model import OTHER_SUBJECT, Link, WebhookEvent
from tollhouse.billing.pausing import Paused, is_paused, require_applying
from tollhouse.billing.prices import read_prices
from tollhouse.billing.stripe import StripeGateway, read_event, read_stated
from tollhouse.billing.together import Look, Together
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.clock import MINUTE, SECOND
from tollhouse.kernel.errors import NotFound, TollhouseError
from tollhouse.kernel.facts import OperatorAlert
from tollhouse.kernel.ids import new_id
from tollhouse.kernel.masking import mask_text
from tollhouse.store import Store, inbox, outbox
from tollhouse.store.inbox import Event

SOURCE = "stripe"
GIVEN_BACK_TYPES = frozenset(("charge.refunded", "charge.dispute.closed"))
LEASE_MS = 2 * MINUTE
LOOKS_AT_ONCE = 100

log = structlog.get_logger(__name__)


class Unanswerable(TollhouseError):
    """No later try will help: the event is parked at once, for staff."""

    default_code = "parked"


class Syncer:
    """What a worker needs to bring customers in line with Stripe."""

    def __init__(self, store: Store, catalog: Catalog, gateway: StripeGateway) -> None:
        self.store = store
        self.catalog = catalog
        self.gateway = gateway
        self._together = Together(store, catalog)

    async def work_once(self, customers: int = inbox.MOST_SUBJECTS) -> bool:
        """Handle the pending events of a few customers at once. False when nothing was due, or all are parked now."""
        claim_id = new_id("clm")
        now = self.store.clock.now_ms()
        async with self.store.reading() as tx:
            if not await inbox.any_due(tx, now) or await is_paused(tx):
                return False
        async with self.store.transaction() as tx:
            events = await inbox.claim(tx, now, LEASE_MS, claim_id, subjects=customers)
        subjects: dict[str, list[Event]] = {}
        for event in events:
            subjects.setdefault(event.subject, []).append(event)
        try:
            async with self.store.reading() as tx:
                await require_applying(tx)
                known = await find_known(tx, subjects)
        except Paused as paused:
            await self._give_back(events, claim_id, str(paused))
            return True
        except Exception as error:  # whatever it is, nothing stays claimed
            for waiting in subjects.values():
                await self._failed(waiting, claim_id, now, error)
            return True
        await asyncio.gather(*(self._sync(waiting, claim_id, now, known) for waiting in subjects.values()))
        return bool(events)

    async def _sync(self, events: list[Event], claim_id: str, claimed_at: int, known: dict[str, Known]) -> None:
        """Handle the events of one customer, whatever comes of it."""
        try:
            await self._handle(events, claim_id, known)
        except (FenceLost, Paused) as lost:
            log.info("billing.looked_again", subject=events[0].subject, why=lost.code)
            await self._give_back(events, claim_id, str(lost))
        except TollhouseError as error:
            await self._failed(events, claim_id, claimed_at, error)
        except Exception as error:  # whatever it is, the events must not be lost, nor the worker
            log.exception("billing.failed", subject=events[0].subject)
            await self._failed(events, claim_id, claimed_at, error)

    async def _handle(self, events: list[Event], claim_id: str, known: dict[str, Known]) -> None:
        read = [read_event(event.payload) for event in events if event.type != LOOK_AGAIN_TYPE]
        if any(event.live_mode != self.gateway.live_mode for event in read):
            raise _wrong_mode(self.gateway.live_mode)
        subject = await self._stripe_customer(events[0].subject, read)
        if subject.startswith(OTHER_SUBJECT):
            await self._done(events, claim_id, "about no customer")
            return
        found = known.get(subject) or await self._find(subject, read)
        if found is None:
            await self._done(events, claim_id, f"{subject} is a customer of Stripe's that is not ours")
            return
        await go_on_with_cards(self.gateway, found.link.id, read)
        payments = await payments_named(self.gateway, read)
        snapshot = await look(
            self.store, self.catalog, self.gateway, found.link,
            packs=found.opened_packs or any(event.type.startswith("checkout.session.") for event in read),
            refunds=any(event.type in GIVEN_BACK_TYPES for event in read),
        )  # fmt: skip
        stated = [
            told
            for event in events
            if event.type.startswith("customer.subscription.") and (told := read_stated(event.payload)) is not None
        ]
        require_visible(snapshot, read, stated)
        again = perhaps_behind(snapshot, stated)
        applied = await self._together.apply(Look(found.link, snapshot, payments, events, read, claim_id, again))
        log.info(
            "billing.applied", customer=found.link.customer, events=len(events), plan=applied.plan_after,
            before=applied.plan_before, months_granted=applied.months_granted, unmapped=list(applied.unmapped),
        )  # fmt: skip

    async def _find(self, subject: str, read: list[WebhookEvent]) -> Known | None:
        """A customer that was not known when the events were claimed; None when it is not ours."""
        async with self.store.reading() as tx:
            await require_applying(tx)
            found = (await find_known(tx, (subject,))).get(subject)
        if found is not None or await self._adopt(subject, read) is None:
            return found
        async with self.store.reading() as tx:
            return (await find_known(tx, (subject,))).get(subject)

    async def _stripe_customer(self, subject: str, read: list[WebhookEvent]) -> str:
        """Whose events these are: a dispute names its charge only, which names the customer."""
        charge = next((event.charge for event in read if event.charge is not None), None)
        if not subject.startswith(OTHER_SUBJECT) or charge is None:
            return subject
        try:
            return await self.gateway.payer_of_charge(charge) or subject
        except NotFound:
            return subject

    async def _adopt(self, stripe_id: str, read: list[WebhookEvent]) -> Link | None:
        """Link a Stripe customer that says it is ours. None when it is not, or deleted; Unanswerable when it may be."""
        found = await self.gateway.customer(stripe_id)
        if found.deleted:
            return None
        sessions = tuple(
            event.object_id for event in read if event.object_id and event.type.startswith("checkout.session.")
        )
        async with self.store.transaction() as tx:
            owner = await owner_of(tx, found, sessions)
            if owner is not None:
                if not await link(tx, stripe_id, owner, self.store.clock.now_ms()):
                    raise Unanswerable(
                        f"{stripe_id} names {owner}, which has another Stripe customer already",
                        code="linked_otherwise",
                        fix="cancel what was bought with this one in Stripe, or merge the two there",
                    )
                return await link_of_stripe(tx, stripe_id)
        await self._require_not_ours(stripe_id)
        return None

    async def _require_not_ours(self, stripe_id: str) -> None:
        """A payment for one of our plans by somebody we do not know is never let go."""
        snapshot = await self.gateway.snapshot(stripe_id, packs=False)
        async with self.store.reading() as tx:
            prices = await read_prices(tx, self.catalog)
        if any(subscription.live and prices.item_of(subscription) for subscription in snapshot.subscriptions):
            raise Unanswerable(
                f"{stripe_id} has subscribed to one of our plans, and is linked to no customer",
                code="unknown_customer",
                fix="set the metadata tollhouse_customer of that Stripe customer to its cus_… id, then replay the event",
            )

    async def _done(self, events: list[Event], claim_id: str, note: str) -> None:
        tally = Tally()
        async with self.store.transaction() as tx:
            taken = [(event, claim_id) for event in events]
            if len(await inbox.done(tx, taken, self.store.clock.now_ms(), note)) == len(events):
                tally.mended(events)
            await tally.write(tx)

    async def _give_back(self, events: list[Event], claim_id: str, note: str) -> None:
        async with self.store.transaction() as tx:
            for event in events:
                await inbox.retry(tx, event, claim_id, attempts=event.attempts, due_at=event.due_at, error=note)

    async def _failed(self, events: list[Event], claim_id: str, claimed_at: int, error: Exception) -> None:
        """Later again with growing pauses; after the twelfth time, or when it cannot help, parked and told."""
        text = mask_text(str(error) if isinstance(error, TollhouseError) else f"{type(error).__name__}: {error}")
        now = self.store.clock.now_ms()
        parked: list[Event] = []
        tally = Tally()
        async with self.store.transaction() as tx:
            for event in events:
                came_along = event.due_at > claimed_at
                attempts = event.attempts if came_along else event.attempts + 1
                if isinstance(error, Unanswerable) or attempts >= inbox.MOST_ATTEMPTS:
                    held = await inbox.park(tx, event, claim_id, attempts=attempts, error=text, failed_at=now)
                    if held:
                        parked.append(event)
                else:
                    due_at = (
                        event.due_at if came_along else now + max(inbox.pause_ms(attempts), _asked_to_wait_ms(error))
                    )
                    held = await inbox.retry(
                        tx, event, claim_id, attempts=attempts, due_at=due_at, error=text, failed_at=now
                    )
                tally.failed(event, held, now)
            if parked:
                await outbox.put(tx, _parked_alert(parked, text), now=now)
            await tally.write(tx)
        log.warning(
            "billing.event_failed", subject=events[0].subject, events=len(events), parked=len(parked), error=text
        )


async def look_again_due(store: Store) -> bool:
    """Put a look at each customer whose next paid month has begun into the inbox. False when none was due."""
    now = store.clock.now_ms()
    async with store.reading() as tx:
        if await tx.fetch_one(queries.ANY_LINK_DUE, now=now) is None:
            return False
    async with store.transaction() as tx:
        due = await tx.fetch(queries.LINKS_DUE, now=now, most=LOOKS_AT_ONCE)
        for row in due:
            identifier = f"tollhouse:{row['id']}:{row['due_at']}"
            await inbox.receive(tx, SOURCE, identifier, LOOK_AGAIN_TYPE, row["id"], "{}", now)
            await tx.execute(queries.LINK_LOOKED_AT, id=row["id"], due_at=row["due_at"])
    return bool(due)


def _asked_to_wait_ms(error: Exception) -> int:
    """How long Stripe itself asks us to stay away (429 with Retry-After)."""
    seconds = error.fields.get("retry_after") if isinstance(error, TollhouseError) else None
    return seconds * SECOND if isinstance(seconds, int) else 0


def _wrong_mode(live_mode: bool) -> Unanswerable:
    have, got = ("live", "test") if live_mode else ("test", "live")
    return Unanswerable(
        f"the event is of {got} mode, and STRIPE_SECRET_KEY is a {have} key",
        code="wrong_mode",
        setting="STRIPE_SECRET_KEY",
        fix=f"let only the {have} mode's endpoint send to this environment",
    )


def _parked_alert(parked: list[Event], error: str) -> OperatorAlert:
    first = parked[0]
    return OperatorAlert(
        f"inbox_parked:{first.subject}",
        "medium",
        "An event from Stripe could not be applied",
        f"{len(parked)} event(s) of {first.subject}, the first {first.id} ({first.type}): {error}",
        "See the parked events; mend the cause, then replay them.",
    )
