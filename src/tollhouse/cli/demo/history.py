"""People with some days behind them, made by the product's own actions while its clock is held in the past.

Nothing is written by hand: every entry went through the rules at its own time, so `tollhouse verify` finds it true.
"""

import msgspec

from tollhouse.admission import leases, tools
from tollhouse.admission.model import Answer
from tollhouse.api.asks import fingerprint
from tollhouse.billing import maintenance
from tollhouse.billing.setup import ensure_prices
from tollhouse.cli.demo.home import ADMIN_EMAIL, USER_EMAIL, Secrets
from tollhouse.cli.demo.stories import NAMES, PAYING_EMAIL, Deed, Story
from tollhouse.cli.demo.trouble import live_through
from tollhouse.customers.actions import add_owner, checked_sign_up, customer_of_user
from tollhouse.customers.keys import create_secret_key
from tollhouse.customers.model import SignUp
from tollhouse.customers.projects import list_projects
from tollhouse.customers.staff import add_staff
from tollhouse.house import House
from tollhouse.identity import actions as identity
from tollhouse.kernel.clock import DAY, HOUR, MINUTE
from tollhouse.kernel.errors import InvariantBroken
from tollhouse.store import Tx

DEED_MINUTES = 7
SIGNED_UP_BEFORE_DAYS = 0.1
MAINTENANCE: tuple[tuple[float, str, int | None], ...] = (
    (5.4, "moving to the new database", 24),
    (2.1, "Stripe answered slowly", None),
)
"""So many days ago, why, and after how many minutes it was ended; None: by itself."""

_decode = msgspec.json.Decoder(Answer).decode


class Person(msgspec.Struct, frozen=True):
    """A user with its customer."""

    user: str
    customer: str


class Step(msgspec.Struct, frozen=True):
    """Something that happens so many days ago: a sign-up (no deed), or a deed."""

    days_ago: float
    email: str
    deed: Deed | None = None


class Past:
    """The house with its clock held back. It only moves forward, and at the end it tells the true time again."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._clock = house.store.clock
        self.present_ms = self._clock.now_ms()

    def move_to(self, at_ms: int) -> int:
        """Not before `at_ms` (and never after the present). The time it is then."""
        self._clock.test_offset_ms += max(0, min(at_ms, self.present_ms) - self._clock.now_ms())
        return self._clock.now_ms()

    def begin(self, at_ms: int) -> None:
        """Back to the beginning, before anything is written."""
        self._clock.test_offset_ms = at_ms - self.present_ms

    def end(self) -> None:
        """The true time."""
        self._clock.test_offset_ms = 0


async def make_people(house: House, known: Secrets, story: Story) -> str:
    """Prices, staff, people and what they have done; the secret key of the demo's server, shown this once."""
    if house.stripe is not None:
        await ensure_prices(house.store, house.stripe, house.catalog)
    admin = await house.identity.passwords.hash(known.admin_password)
    password = await house.identity.passwords.hash(known.user_password)
    steps = _steps(story)
    past = Past(house)
    past.begin(past.present_ms - round((steps[0].days_ago + 1) * DAY))
    try:
        async with house.store.transaction() as tx:
            now = house.store.clock.now_ms()
            form = SignUp(ADMIN_EMAIL, "Demo staff", locale=house.catalog.product.default_locale)
            await add_staff(tx, house.identity, house.catalog, form, now, password_hash=admin, with_link=False)
            key = await create_secret_key(tx, "demo", now)
            await _maintain(tx, past.present_ms)
            await live_through(tx, house, past.present_ms)
        people: dict[str, Person] = {}
        for step in steps:
            now = past.move_to(past.present_ms - round(step.days_ago * DAY))
            if step.deed is None:
                people[step.email] = await _sign_up(house, step.email, password, now)
            else:
                await _live(house, past, people[step.email], step.deed)
    finally:
        past.end()
    return key.key


async def _maintain(tx: Tx, present_ms: int) -> None:
    """Two times of maintenance: one that staff ended early, and one that ended by itself."""
    for days_ago, reason, minutes in MAINTENANCE:
        begun = present_ms - round(days_ago * DAY)
        await maintenance.switch_on(tx, by_whom=ADMIN_EMAIL, reason=reason, lasts_ms=HOUR, now=begun)
        if minutes is not None:
            await maintenance.switch_off(tx, by_whom=ADMIN_EMAIL, now=begun + minutes * MINUTE)


async def project_of(house: House, email: str) -> tuple[str, str]:
    """(customer, the public key of its first project) of a person of the demo."""
    async with house.store.reading() as tx:
        user = await identity.find_user(tx, email)
        customer = None if user is None else await customer_of_user(tx, user.id)
        if customer is None:
            raise InvariantBroken(f"{email} has no customer", fix="remove the demo's folder; it is made again")
        return customer, (await list_projects(tx, customer))[0].key


def _steps(story: Story) -> list[Step]:
    steps = []
    for email, deeds in story.deeds.items():
        steps.append(Step(max(deed.days_ago for deed in deeds) + SIGNED_UP_BEFORE_DAYS, email))
        steps.extend(Step(deed.days_ago, email, deed) for deed in deeds)
    return sorted(steps, key=lambda step: -step.days_ago)


async def _sign_up(house: House, email: str, password_hash: str, now: int) -> Person:
    form = checked_sign_up(SignUp(email, NAMES[email]), house.catalog)
    # One password opens the demo's user; the others are looked at by staff.
    own = password_hash if email in (USER_EMAIL, PAYING_EMAIL) else None
    async with house.store.transaction() as tx:
        user, customer = await add_owner(tx, house.catalog, form, own, now, verified=True)
    if customer is None:
        raise InvariantBroken(f"{email} has no customer")
    return Person(user.id, customer)


async def _live(house: House, past: Past, person: Person, deed: Deed) -> None:
    """The deed as often as told, a few minutes between; what holds a slot gives it back before the next."""
    for number in range(deed.times):
        at = past.present_ms - round(deed.days_ago * DAY) + number * DEED_MINUTES * MINUTE
        past.move_to(at)
        key = f"demo-{deed.days_ago}-{deed.what}-{number}"
        if deed.what in house.catalog.tools:
            await _launch(house, past, person, deed.what, key)
        else:
            await _act(house, past, person, deed.what, key)


async def _launch(house: House, past: Past, person: Person, name: str, key: str) -> None:
    tool = house.catalog.tools[name]
    launched = await tools.launch(house.admission, person.customer, person.user, tool, key)
    if launched.session is None:
        raise InvariantBroken(f"the demo's history was refused: {name} {launched.answer.reason}")
    now = past.move_to(house.store.clock.now_ms() + 4 * MINUTE)
    async with house.store.transaction() as tx:
        await tools.end(tx, house.admission, person.customer, launched.session.id, now)
    house.admission.forget(person.customer)


async def _act(house: House, past: Past, person: Person, action: str, key: str) -> None:
    charge = house.admission.prices.charge(action)
    mark = fingerprint(person.customer, action, None, None)
    answer = _decode((await house.admission.submit("admit", person.customer, charge, key, mark)).body)
    if answer.id is None:
        raise InvariantBroken(f"the demo's history was refused: {action} {answer.reason}")
    if answer.lease is None:
        return
    async with house.store.transaction() as tx:
        now = past.move_to(house.store.clock.now_ms() + MINUTE)
        await leases.end(tx, house.catalog, answer.id, now)
    house.admission.forget(person.customer)
