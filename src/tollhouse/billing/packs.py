"""Credit packs (row X11): a Checkout page that is paid once, and a lot for each session that Stripe says is paid.

What was sold is written on the session when its page is opened, so that a later change of the catalogue changes nothing.
"""

from tollhouse.billing import queries
from tollhouse.billing.attempts import count_attempt
from tollhouse.billing.checkout import CANCEL_PATH, Till
from tollhouse.billing.counting import Tally
from tollhouse.billing.currencies import choose_currency, close_other_currencies, own_currency
from tollhouse.billing.linking import Payer, ensure_stripe_customer
from tollhouse.billing.maintenance import require_selling
from tollhouse.billing.model import (
    CUSTOMER_KEY,
    PACK_AMOUNT_KEY,
    PACK_EXPIRY_KEY,
    PACK_KEY,
    PACK_METER_KEY,
    Purchase,
    Snapshot,
)
from tollhouse.billing.telling import tell_bought
from tollhouse.catalog.model import Catalog, Pack, PackPrice
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.errors import Conflict, InvalidRequest, Unavailable
from tollhouse.kernel.facts import OperatorAlert, PaymentFailed
from tollhouse.kernel.money import Money, written
from tollhouse.ledger import actions as ledger
from tollhouse.ledger.granting import NewLot
from tollhouse.store import Tx, Value, cell_of, outbox

BOUGHT_PATH = "/app/billing?checkout=success&pack={pack}&session={{CHECKOUT_SESSION_ID}}"
ONCE = "once"
LONGEST_WAIT_MS = 30 * DAY
"""No bank takes longer to answer."""


def choose_pack(
    catalog: Catalog, name: str, currency: str | None = None, own: str | None = None
) -> tuple[Pack, PackPrice]:
    """What is to be bought; `own` is the currency in which this customer pays. Raises InvalidRequest naming what is
    allowed.
    """
    pack = catalog.packs.get(name.strip().lower())
    if pack is None:
        names = ", ".join(catalog.packs) or "none"
        raise InvalidRequest(
            f"there is no pack {name!r}", code="unknown_pack", allowed=names, fix=f"name one of: {names}"
        )
    return pack, choose_currency(f"the pack {pack.name!r}", pack.prices, currency, own)[0]


async def start_pack_checkout(
    till: Till, payer: Payer, name: str, *, currency: str | None = None, address: str | None = None
) -> str:
    """The address of a Checkout page for this pack; a subscription neither hinders it nor is touched.

    Raises InvalidRequest (unknown pack or currency), TooManyAttempts, Unavailable (also `maintenance`).
    """
    await require_selling(till.store)
    own = await own_currency(till.store, till.gateway, payer.customer)
    pack, price = choose_pack(till.catalog, name, currency, own)
    who = (f"customer:{payer.customer}", *([f"address:{address}"] if address else []))
    async with till.store.transaction() as tx:
        await count_attempt(tx, who, till.most_attempts, till.window_ms, till.store.clock.now_ms())
    price_id = await _price_id(till, pack, price)
    stripe_id = await ensure_stripe_customer(till.store, till.gateway, payer)
    metadata = {
        CUSTOMER_KEY: payer.customer,
        PACK_KEY: pack.name,
        PACK_METER_KEY: pack.meter,
        PACK_AMOUNT_KEY: str(pack.amount),
        PACK_EXPIRY_KEY: str(pack.expires_after_ms or 0),
    }
    await require_selling(till.store)
    session = await till.gateway.create_checkout(
        stripe_id, price_id, mode="payment", customer=payer.customer, metadata=metadata,
        success_url=till.url + BOUGHT_PATH.format(pack=pack.name), cancel_url=till.url + CANCEL_PATH,
        terms=till.catalog.terms,
    )  # fmt: skip
    async with till.store.transaction() as tx:
        await tx.execute(
            queries.SAVE_SESSION, cell=cell_of(payer.customer), customer=payer.customer, id=session.id, plan=pack.name,
            version=0, every=ONCE, price=price_id, now=till.store.clock.now_ms(), expires_at=session.expires_at,
        )  # fmt: skip
    if own is None:
        await close_other_currencies(till.gateway, stripe_id, session)
    if session.url is None:
        raise Unavailable("Stripe made a Checkout page without an address", code="stripe_unavailable", fix="try again")
    return session.url


async def _price_id(till: Till, pack: Pack, price: PackPrice) -> str:
    found = await till.gateway.price_of_key(price.lookup_key)
    if found is None or (found.amount_minor, found.currency, found.every) != (price.amount_minor, price.currency, ""):
        raise Unavailable(
            f"Stripe has no price of {written(Money(price.amount_minor, price.currency))} for the pack {pack.name!r}"
            f" by the lookup key {price.lookup_key!r}",
            code="price_not_in_stripe",
            setting=f"packs.{pack.name}.prices",
            fix="run `tollhouse stripe setup`",
        )
    return found.id


async def grant_purchases(tx: Tx, catalog: Catalog, customer: str, snapshot: Snapshot, now: int, tally: Tally) -> int:
    """A lot for every paid session that has none yet, oldest first. The number granted now.

    One that cannot be granted (its meter is gone, too many lots) is told to staff once and tried again at every look; it
    never holds up the rest.
    """
    granted = 0
    for purchase in sorted(snapshot.purchases, key=lambda found: (found.paid_at, found.session)):
        new = NewLot(purchase.meter, purchase.amount, "bought", purchase.expires_at)
        note: dict[str, object] = {"session": purchase.session, "pack": purchase.pack}
        try:
            fresh = await ledger.grant_bought(
                tx, catalog, customer, new, now, session=purchase.session, paid=purchase.paid, metadata=note
            )
            if fresh:
                granted += 1
                tally.add("payment_succeeded", now, int(purchase.paid.amount_minor > 0))
                await tell_bought(tx, customer, purchase, now)
        except (InvalidRequest, Conflict) as error:
            alert = _not_granted(customer, purchase, str(error))
            await outbox.put_once(tx, alert, alert.key, customer=customer, now=now)
    return granted


async def note_awaited(tx: Tx, customer: str, snapshot: Snapshot, now: int) -> None:
    """Keep which packs are paid by a bank that has been asked; one that it refuses is told once, and grants nothing."""
    for pack in snapshot.awaited:
        session: dict[str, Value] = {"cell": cell_of(customer), "customer": customer, "id": pack.session, "now": now}
        await tx.execute(queries.SESSION_COMPLETED, **session)
        if pack.failed and await tx.execute(queries.SESSION_FAILED, **session):
            fact = PaymentFailed(customer, pack.session, pack.due.amount_minor, pack.due.currency, declined=True)
            await outbox.put(tx, fact, customer=customer, now=now)


async def awaited_packs(tx: Tx, customer: str, now: int) -> list[str]:
    """The names of the packs whose payment is on its way, the newest first."""
    rows = await tx.fetch(
        queries.SESSIONS_AWAITED, cell=cell_of(customer), customer=customer, every=ONCE, since=now - LONGEST_WAIT_MS
    )
    return [row["plan"] for row in rows if not await has_arrived(tx, customer, row["id"])]


async def has_arrived(tx: Tx, customer: str, session: str) -> bool:
    """Whether the credits of this session have been granted."""
    return len(session) <= 255 and session.isprintable() and await ledger.was_bought(tx, customer, session)


def _not_granted(customer: str, purchase: Purchase, why: str) -> OperatorAlert:
    return OperatorAlert(
        f"pack_not_granted:{purchase.session}",
        "high",
        "A pack was paid and could not be granted",
        f"{customer} paid {purchase.session} for the pack {purchase.pack!r}: {why}",
        "Mend the cause, then run `tollhouse stripe reconcile`; or refund it in Stripe.",
    )
