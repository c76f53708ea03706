"""From the tables of a system that sold minutes to customers, users and subscriptions of ours (row S12).

Each old user becomes, in one transaction, a customer whose `external_id` is the old id, and a user with that address who
gets in by a new password: old hashes are not ours. Stripe's ids stay, so that its webhooks find everybody. Whoever has
been brought over is passed over: stopped anywhere and run again, nobody is made twice. The old tables are only read.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import msgspec

from tollhouse.billing import queries
from tollhouse.billing.counting import LOOK_AGAIN_TYPE
from tollhouse.billing.linking import link
from tollhouse.billing.model import OWING_STATUSES, PriceFacts, SoldPrice
from tollhouse.billing.old_tables import FREE, OldSubscription, OldTables, OldUser
from tollhouse.billing.prices import PriceMap, read_prices
from tollhouse.billing.syncing import SOURCE
from tollhouse.catalog.model import Catalog, PlanVersion
from tollhouse.customers.actions import add_owner, create_or_get
from tollhouse.customers.model import NewCustomer, SignUp
from tollhouse.identity.actions import find_user
from tollhouse.identity.emails import known_locale, normal_email
from tollhouse.kernel.clock import MINUTE
from tollhouse.kernel.errors import ConfigurationError, Conflict, InvalidRequest, TollhouseError, Unavailable
from tollhouse.ledger import actions as ledger
from tollhouse.ledger.book import Book, open_book
from tollhouse.ledger.granting import metadata_json
from tollhouse.ledger.turning import record
from tollhouse.store import Sql, Store, Tx, cell_of, inbox

AT_ONCE = 100
LONGEST_NAME = 200
_SINCE = Sql("update customer set created_at = :at where cell = :cell and id = :id and created_at > :at")


class Failed(msgspec.Struct, frozen=True):
    """An old user who was not brought over, and why."""

    old_id: str
    email: str
    reason: str


class Step(msgspec.Struct, frozen=True):
    """What a batch came to: how many were looked at and made, and who was not."""

    looked: int
    made: int
    failed: tuple[Failed, ...]


class Importer:
    """What bringing them over needs. `plans`: the catalogue's plan by the old one's name."""

    def __init__(self, store: Store, catalog: Catalog, old: OldTables, plans: Mapping[str, PlanVersion]) -> None:
        self.store = store
        self.catalog = catalog
        self.old = old
        self.plans = plans

    async def steps(self) -> AsyncIterator[Step]:
        """Batch by batch; each is committed when it is told."""
        after: str | None = None
        while True:
            month = f"{datetime.fromtimestamp(self.store.clock.now_ms() / 1000, UTC):%Y-%m}"
            async with self.store.reading() as tx:
                users = await self.old.users_after(tx, after, AT_ONCE, month)
                prices = await read_prices(tx, self.catalog)
            if not users:
                return
            after = users[-1].id
            yield await self._batch(users, prices)

    async def _batch(self, users: list[OldUser], prices: PriceMap) -> Step:
        """All of them in one transaction; where one of them cannot be, each in its own."""
        try:
            async with self.store.transaction() as tx:
                for user in users:
                    await self._bring(tx, prices, user)
        except Unavailable:
            raise
        except TollhouseError:
            failed = [failure for user in users if (failure := await self._alone(prices, user)) is not None]
            return Step(len(users), len(users) - len(failed), tuple(failed))
        return Step(len(users), len(users), ())

    async def _alone(self, prices: PriceMap, user: OldUser) -> Failed | None:
        try:
            async with self.store.transaction() as tx:
                await self._bring(tx, prices, user)
        except Unavailable:
            raise
        except TollhouseError as error:
            return Failed(user.id, user.email, str(error))
        return None

    async def _bring(self, tx: Tx, prices: PriceMap, user: OldUser) -> None:
        now = self.store.clock.now_ms()
        email, locale = normal_email(user.email), _locale(user.locale, self.catalog.product.default_locale)
        name = "".join(letter for letter in user.name if letter.isprintable()).strip()[:LONGEST_NAME]
        made = await create_or_get(tx, self.catalog, NewCustomer(email, user.id, name, "", locale), now)
        if user.created_at is not None:
            await tx.execute(_SINCE, cell=cell_of(made.customer), id=made.customer, at=user.created_at)
        if await find_user(tx, email) is None:
            await add_owner(tx, self.catalog, SignUp(email, name, "", locale), None, now)
        if user.stripe_customer is not None and not await link(tx, user.stripe_customer, made.customer, now):
            raise Conflict(
                f"{user.stripe_customer} is another customer's at Stripe", code="linked_otherwise",
                fix="give each old user its own stripe_customer_id, or take one of them out",
            )  # fmt: skip
        book = await open_book(tx, self.catalog, made.customer, now)
        _note(book, self.catalog, user)
        await self._subscribe(tx, prices, user, made.customer, book)
        if user.stripe_customer is not None and user.subscription is not None:
            look = f"tollhouse:{user.stripe_customer}:imported"
            await inbox.receive(tx, SOURCE, look, LOOK_AGAIN_TYPE, user.stripe_customer, "{}", now)

    async def _subscribe(self, tx: Tx, prices: PriceMap, user: OldUser, customer: str, book: Book) -> None:
        """The plan that the old one is now; Stripe's own word about its subscription follows by a look."""
        plan, old = self.plans[user.plan], user.subscription
        sold = None if old is None or old.price is None else prices.find(_named(prices, old.price))
        if old is not None and old.stripe_id is not None and sold is not None:
            await _save(tx, customer, old, sold, plan, book.now)
        ends_at = old.period_end if old is not None and old.canceling else None
        await ledger.set_subscription(
            tx, self.catalog, customer, plan, book.now,
            anchor=old.period_start if old is not None else user.created_at, ends_at=ends_at,
            standing="past_due" if old is not None and old.status in OWING_STATUSES else "good", book=book,
        )  # fmt: skip


async def plans_for(tx: Tx, catalog: Catalog, old: OldTables, given: Mapping[str, str]) -> dict[str, PlanVersion]:
    """Which plan of the catalogue each old one is: as `given`, else the one of the same name. Always of "free" too: whoever
    has only subscriptions that have ended is on it, also where nobody is named with it.

    Raises InvalidRequest for a name that is none, ConfigurationError for a price of Stripe's that would buy another plan
    than its subscribers are given: they would lose theirs at the first event.
    """
    counts = await old.plans(tx)
    plans: dict[str, PlanVersion] = {}
    for name in sorted(counts.keys() | given.keys() | {FREE}):
        found = catalog.plans.get(given.get(name, name))
        if found is None:
            raise InvalidRequest(
                f"the old plan {name!r} ({counts.get(name, 0)} of them) is no plan of the catalogue", code="unknown_plan",
                fix=f"name what it is now: --map {name}=PLAN, one of: {', '.join(catalog.plans)};"
                " or add it to the file as it was sold, with retired = true",
            )  # fmt: skip
        plans[name] = found
    prices = await read_prices(tx, catalog)
    for name, price in await old.prices(tx):
        sold = prices.find(_named(prices, price))
        if sold is None or sold.plan != plans[name].plan:
            raise ConfigurationError(
                f"subscribers of the old plan {name!r} pay {price} at Stripe, which"
                f" {'no plan maps to' if sold is None else f'buys {sold.plan}'}, not {plans[name].plan}",
                setting=f"plans.{plans[name].plan}.prices",
                fix=f'write stripe_price = "{price}" in a price of the plan {plans[name].plan}',
            )
    return plans


def _named(prices: PriceMap, price: str) -> PriceFacts:
    """A price of which only the id is known, with what the catalogue says of it."""
    known = prices.facts_of(price)
    if known is not None:
        return known
    for plan in prices.catalog.plans.values():
        for sold in plan.prices:
            if sold.stripe_price == price:
                return PriceFacts(price, "", sold.currency, sold.amount_minor, sold.every)
    return PriceFacts(price, "", "", 0, "")


def _note(book: Book, catalog: Catalog, user: OldUser) -> None:
    """The first line after the account's opening: what was brought over, and this month's minutes where they are shown."""
    told: dict[str, object] = {"old_id": user.id, "old_plan": user.plan}
    state = book.state
    if user.minutes is not None and (ms := _milliseconds(user.minutes)):
        told["minutes_used"] = user.minutes
        meter = next((name for name in state.quotas if catalog.meters[name].minutes_each), None)
        if meter is not None:
            quota = msgspec.structs.replace(state.quotas[meter], session_ms=ms)
            state = msgspec.structs.replace(state, quotas={**state.quotas, meter: quota})
    state, entry = record(state, "plan", "imported", book.now, (), metadata=metadata_json(told))
    book.add(state, [entry])


def _milliseconds(minutes: str) -> int:
    try:
        return max(0, int(Decimal(minutes) * MINUTE))
    except (InvalidOperation, OverflowError, ValueError):
        return 0


def _locale(text: str, default: str) -> str:
    try:
        return known_locale(text.strip().replace("_", "-"), default)
    except InvalidRequest:
        return default


async def _save(tx: Tx, customer: str, old: OldSubscription, sold: SoldPrice, plan: PlanVersion, now: int) -> None:
    start, end = old.period_start or now, old.period_end or now
    await tx.execute(
        queries.SAVE_SUBSCRIPTION, cell=cell_of(customer), customer=customer, id=old.stripe_id, status=old.status,
        plan=plan.plan, version=plan.version, price=sold.id, every=sold.every, currency=sold.currency,
        amount_minor=sold.amount_minor, created_at=old.created_at or start, period_start=start, period_end=end,
        cancel_at=end if old.canceling else None, ended_at=None, second_since=None, later_plan=None, later_every=None,
        later_amount_minor=None, later_at=None,
    )  # fmt: skip
