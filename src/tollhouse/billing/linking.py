"""Which Stripe customer belongs to which of ours. Ours is made and linked before Checkout opens, once."""

from collections.abc import Iterable

import msgspec

from tollhouse.billing import queries
from tollhouse.billing.model import CUSTOMER_KEY, Link, StripeCustomer
from tollhouse.billing.stripe import StripeGateway
from tollhouse.customers.actions import read_customer
from tollhouse.kernel.clock import HOUR
from tollhouse.kernel.ids import is_id
from tollhouse.ledger.queries import READ_ACCOUNT
from tollhouse.store import Row, Store, Tx, cell_of


class Payer(msgspec.Struct, frozen=True):
    """Who is going to pay, as far as Stripe is told."""

    customer: str
    email: str | None = None
    name: str | None = None
    locale: str | None = None


async def payer_of(tx: Tx, customer: str, email: str | None = None) -> Payer:
    """One of our customers as a payer; `email` where another address than its own is to be told. Raises NotFound."""
    known = await read_customer(tx, customer)
    return Payer(customer, email or known.email, known.name, known.locale)


async def link_of_customer(tx: Tx, customer: str) -> Link | None:
    """The Stripe customer of one of ours."""
    return _link(await tx.fetch_one(queries.LINK_OF_CUSTOMER, customer=customer))


async def link_of_stripe(tx: Tx, stripe_id: str) -> Link | None:
    """Which of ours a Stripe customer is."""
    return _link(await tx.fetch_one(queries.LINK_OF_STRIPE, id=stripe_id))


async def links_of_stripe(tx: Tx, stripe_ids: Iterable[str]) -> list[Link]:
    """As `link_of_stripe`, of those that are linked."""
    rows = await tx.fetch_many(queries.LINK_OF_STRIPE, [{"id": id} for id in sorted(stripe_ids)])
    return [Link(row["id"], row["customer"], row["sync_seq"]) for row in rows]


async def link(tx: Tx, stripe_id: str, customer: str, now: int) -> bool:
    """Link the two, unless either is linked already. Whether they belong together afterwards."""
    await tx.execute(queries.LINK, id=stripe_id, customer=customer, now=now)
    found = await link_of_customer(tx, customer)
    return found is not None and found.id == stripe_id


async def ensure_stripe_customer(store: Store, gateway: StripeGateway, payer: Payer) -> str:
    """The Stripe customer of this payer, made when there is none. Two callers at once get the same one."""
    async with store.reading() as tx:
        known = await link_of_customer(tx, payer.customer)
    if known is not None:
        return known.id
    # The hour is part of the key: a customer that was deleted in Stripe can be made anew, and callers at once agree.
    made = await gateway.create_customer(payer.customer, str(store.clock.now_ms() // HOUR))
    await gateway.describe_customer(made, email=payer.email, name=payer.name, locale=payer.locale)
    async with store.transaction() as tx:
        await link(tx, made, payer.customer, store.clock.now_ms())
        known = await link_of_customer(tx, payer.customer)
    return known.id if known is not None else made


async def tell_language(store: Store, gateway: StripeGateway, customer: str) -> None:
    """Let Stripe write to this customer, and draw its invoices, in the language that it reads now, whichever was chosen when
    the fact was written: facts may be told again late. Nothing for one that Stripe does not know."""
    async with store.reading() as tx:
        known = await link_of_customer(tx, customer)
        locale = "" if known is None else (await read_customer(tx, customer)).locale
    if known is not None:
        await gateway.describe_customer(known.id, email=None, name=None, locale=locale)


async def owner_of(tx: Tx, found: StripeCustomer, sessions: tuple[str, ...]) -> str | None:
    """The customer that an unlinked Stripe customer names, or whose Checkout page it used; None when it is not ours."""
    named = found.metadata.get(CUSTOMER_KEY, "")
    if is_id(named, "cus") and await tx.fetch_one(READ_ACCOUNT, cell=cell_of(named), customer=named) is not None:
        return named
    for session in sessions:
        row = await tx.fetch_one(queries.SESSION_OWNER, id=session)
        if row is not None:
            return str(row["customer"])
    return None


def _link(row: Row | None) -> Link | None:
    return None if row is None else Link(row["id"], row["customer"], row["sync_seq"])
