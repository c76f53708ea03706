"""What makes our books say what Stripe says. Applied again, late or in any order it ends the same.

the fence and our rows (`kept.py`)  ->  subscriptions and invoices as rows  ->  plan and standing
->  a lot per paid month and pack  ->  refunds  ->  facts
"""

from collections.abc import Iterable

import msgspec

from tollhouse.billing import queries
from tollhouse.billing.counting import Tally, payments_since
from tollhouse.billing.files import want_file
from tollhouse.billing.kept import Kept, pass_fences
from tollhouse.billing.model import Invoice, Link, Snapshot, Subscription
from tollhouse.billing.owing import has_begun, standing_of
from tollhouse.billing.packs import grant_purchases, note_awaited
from tollhouse.billing.paid_periods import PaidMonth, paid_months
from tollhouse.billing.prices import PriceMap, learn_price, version_bought
from tollhouse.billing.quotes import mark_used
from tollhouse.billing.refunding import take_back_refunded
from tollhouse.billing.telling import tell_gone, tell_paid, tell_subscription
from tollhouse.catalog.model import Catalog, PlanVersion
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import Unavailable
from tollhouse.kernel.facts import OperatorAlert, PaymentFailed, PlanChanged
from tollhouse.ledger import actions as ledger
from tollhouse.ledger.model import Standing
from tollhouse.ledger.plan_lots import Payment
from tollhouse.store import Row, Tx, Value, cell_of, outbox

_NOT_KEPT = frozenset({"lines", "finalized_at"})
"""What is read of an invoice and has no column: a later look tells it again."""


class FenceLost(Unavailable):
    """Somebody else applied a look at this customer since ours began: look again."""

    default_code = "fence_lost"

    def __init__(self, link: Link) -> None:
        super().__init__(f"{link.id} was synchronised by somebody else meanwhile")


class Applied(msgspec.Struct, frozen=True):
    """What came of it. `unmapped` are prices of live subscriptions that buy no plan: staff must map them."""

    plan_before: str
    plan_after: str
    months_granted: int
    unmapped: tuple[str, ...] = ()


class _Picture(msgspec.Struct, frozen=True):
    """The snapshot, understood: which subscription counts (none until it is paid for the first time), which only stand
    beside it, which nothing maps."""

    snapshot: Snapshot
    prices: PriceMap
    versions: dict[str, PlanVersion]
    chosen: Subscription | None
    seconds: tuple[Subscription, ...]
    unmapped: tuple[Subscription, ...]


async def apply(tx: Tx, catalog: Catalog, link: Link, snapshot: Snapshot, now: int) -> Applied:
    """One look. Raises FenceLost when the fence has moved since `link` was read; then nothing is written."""
    tally = Tally()
    kept = await pass_fences(tx, catalog, ((link, snapshot),), now)
    if link.id not in kept:
        raise FenceLost(link)
    await learn(tx, ((kept[link.id].prices, snapshot),), now)
    applied = await write(tx, catalog, kept[link.id], snapshot, now, tally)
    await tally.write(tx)
    return applied


async def write(tx: Tx, catalog: Catalog, kept: Kept, snapshot: Snapshot, now: int, tally: Tally) -> Applied:
    """What a look says, over what we kept of a customer whose fence was passed in this transaction."""
    customer, before = kept.link.customer, kept.book.state
    picture = _understand(snapshot, kept)
    await _save_subscriptions(tx, customer, picture, kept.subscriptions, now)
    await _save_invoices(tx, catalog, kept, snapshot, now, tally)
    granted, plan_after = await _write_books(tx, catalog, kept, picture, now)
    await grant_purchases(tx, catalog, customer, snapshot, now, tally)
    await note_awaited(tx, customer, snapshot, now)
    await take_back_refunded(tx, catalog, customer, snapshot, now)
    await mark_used(tx, customer, snapshot, now)
    if plan_after != before.plan:
        await outbox.put(tx, PlanChanged(customer, before.plan, plan_after, now), customer=customer, now=now)
    await _look_again(tx, kept.link, picture, now)
    unmapped = tuple(item.price.id for subscription in picture.unmapped for item in subscription.items)
    return Applied(before.plan, plan_after, granted, unmapped)


def _understand(snapshot: Snapshot, kept: Kept) -> _Picture:
    """One live subscription counts, the oldest (of one second: the one known first). Others are told, never added."""
    prices, rows = kept.prices, kept.subscriptions
    mapped: list[Subscription] = []
    unmapped: list[Subscription] = []
    versions: dict[str, PlanVersion] = {}
    first_known = {name for name, row in rows.items() if row["second_since"] is None}
    for subscription in sorted(
        snapshot.subscriptions, key=lambda found: (found.created_at, found.id not in first_known, found.id)
    ):
        found = prices.item_of(subscription)
        if found is not None:
            row = rows.get(subscription.id)
            held = (row["plan"], row["version"]) if row is not None else (None, None)
            versions[subscription.id] = version_bought(prices.catalog, found[1], subscription, held)
        if subscription.live:
            (unmapped if found is None else mapped).append(subscription)
    begun = [subscription for subscription in mapped if has_begun(snapshot, subscription)]
    first = begun[0] if begun else mapped[0] if mapped else None
    seconds = tuple(subscription for subscription in mapped if subscription is not first)
    return _Picture(snapshot, prices, versions, begun[0] if begun else None, seconds, tuple(unmapped))


async def _save_subscriptions(tx: Tx, customer: str, picture: _Picture, rows: dict[str, Row], now: int) -> None:
    seconds = {subscription.id for subscription in picture.seconds}
    unmapped = {subscription.id for subscription in picture.unmapped}
    for subscription in picture.snapshot.subscriptions:
        if not subscription.items:
            continue
        known = rows.get(subscription.id)
        first = subscription.live and subscription.id in picture.versions and subscription.id not in seconds
        second_since = known["second_since"] if known is not None and not first else None
        if subscription.id in seconds and second_since is None:
            second_since = now
            await _alert(tx, customer, *_second_subscription(customer, subscription), now=now)
        price = subscription.items[0].price
        if subscription.id in unmapped and (known is None or known["plan"] is not None or known["price"] != price.id):
            await _alert(tx, customer, *_unmapped_price(customer, price.id, price.product), now=now)
        await _save_subscription(tx, customer, picture, subscription, second_since, known)
        if subscription.id not in seconds:
            await tell_subscription(tx, customer, subscription, picture.versions.get(subscription.id), known, now)
    listed = {subscription.id for subscription in picture.snapshot.subscriptions}
    for gone in rows.values():
        if gone["id"] not in listed and gone["ended_at"] is None:
            fields = {name: gone[name] for name in gone.keys()}  # noqa: SIM118 (a row iterates over its values)
            ended = {**fields, "cell": cell_of(customer), "status": "canceled", "ended_at": now}
            await tx.execute(queries.SAVE_SUBSCRIPTION, **ended)
            await tell_gone(tx, customer, gone, now)


async def _save_subscription(
    tx: Tx,
    customer: str,
    picture: _Picture,
    subscription: Subscription,
    second_since: int | None,
    known: Row | None,
) -> None:
    found = picture.prices.item_of(subscription)
    item = found[0] if found is not None else subscription.items[0]
    version = picture.versions.get(subscription.id)
    columns: dict[str, Value] = {
        "id": subscription.id,
        "status": subscription.status,
        "plan": version.plan if version else None,
        "version": version.version if version else None,
        "price": item.price.id,
        "every": item.price.every,
        "currency": item.price.currency,
        "amount_minor": item.price.amount_minor * item.quantity,
        "created_at": subscription.created_at,
        "period_start": item.period_start,
        "period_end": item.period_end,
        "cancel_at": ends_at(subscription, item.period_end),
        "ended_at": subscription.ended_at,
        "second_since": second_since,
        **_later_columns(picture, subscription, item.quantity),
    }
    if not _says(known, columns):
        await tx.execute(queries.SAVE_SUBSCRIPTION, cell=cell_of(customer), customer=customer, **columns)


def _says(known: Row | None, columns: dict[str, Value]) -> bool:
    """Whether the row that is kept has these values already: then nothing is written."""
    return known is not None and all(known[name] == value for name, value in columns.items())


def _later_columns(picture: _Picture, subscription: Subscription, quantity: int) -> dict[str, Value]:
    """What it changes to when its period ends, where that is agreed and the price buys a plan."""
    later = subscription.later if subscription.live else None
    facts = picture.snapshot.facts_of_prices().get(later.price) if later is not None else None
    sold = picture.prices.find(facts) if facts is not None else None
    if later is None or sold is None:
        return {"later_plan": None, "later_every": None, "later_amount_minor": None, "later_at": None}
    return {
        "later_plan": sold.plan,
        "later_every": sold.every,
        "later_amount_minor": sold.amount_minor * quantity,
        "later_at": later.at,
    }


def ends_at(subscription: Subscription, period_end: int) -> int | None:
    """The date on which it is known to end."""
    if subscription.cancel_at is not None:
        return subscription.cancel_at
    return period_end if subscription.cancel_at_period_end else None


async def _save_invoices(tx: Tx, catalog: Catalog, kept: Kept, snapshot: Snapshot, now: int, tally: Tally) -> None:
    """Keep every invoice that left its draft; a further failed attempt is told once."""
    customer = kept.link.customer
    at: dict[str, Value] = {"cell": cell_of(customer), "customer": customer}
    for invoice in snapshot.invoices:
        if invoice.status == "draft":
            continue
        row = kept.invoices.get(invoice.id)
        before = (row["status"], row["attempts"]) if row is not None else None
        for kind, moment, number in payments_since(before, invoice, now):
            tally.add(kind, moment, number)
        if _failures(invoice.status, invoice.attempts) > (_failures(*before) if before is not None else 0):
            fact = PaymentFailed(customer, invoice.id, invoice.amount_due_minor, invoice.currency, declined=True)
            await outbox.put(tx, fact, customer=customer, now=now)
        await tell_paid(tx, customer, invoice, row, now)
        columns = _invoice_row(invoice, snapshot, row)
        if not _says(row, columns):
            await tx.execute(queries.SAVE_INVOICE, **at, **columns)
        if invoice.status == "paid" and (row is None or row["status"] != "paid"):
            await want_file(tx, customer, invoice, now, receipts=catalog.terms.receipts)


def _failures(status: str, attempts: int) -> int:
    """How many of the attempts have failed; one that waits for the bank has not."""
    if status in ("open", "uncollectible", "action_required"):
        return attempts
    return attempts - 1 if status == "processing" else 0


def _invoice_row(invoice: Invoice, snapshot: Snapshot, known: Row | None) -> dict[str, Value]:
    """What was given back is kept as it was known where this look did not ask for it."""
    columns = {name: getattr(invoice, name) for name in invoice.__struct_fields__ if name not in _NOT_KEPT}
    if snapshot.refunded is None:
        columns["refunded_minor"] = known["refunded_minor"] if known is not None else None
    else:
        columns["refunded_minor"] = min(snapshot.refunded.get(invoice.id, 0), invoice.amount_paid_minor) or None
    return columns


async def learn(tx: Tx, looks: Iterable[tuple[PriceMap, Snapshot]], now: int) -> None:
    """What the catalogue says about prices is kept: they stay mapped when the file is tidied. In one order for all looks of
    a transaction, so that no two of them wait for each other."""
    new = {
        facts.id: sold
        for prices, snapshot in looks
        for facts in snapshot.facts_of_prices().values()
        if facts.id not in prices.rows and (sold := prices.find(facts)) is not None
    }
    for _, sold in sorted(new.items()):
        await learn_price(tx, sold, now)


async def _write_books(tx: Tx, catalog: Catalog, kept: Kept, picture: _Picture, now: int) -> tuple[int, str]:
    """Plan, standing and lots. The number of months granted now, and the plan afterwards."""
    customer, book = kept.link.customer, kept.book
    plan_before, standing = book.state.plan, book.state.standing
    due = _months_due(kept, picture, now)
    chosen = picture.chosen
    if chosen is not None:
        item, _ = picture.prices.item_of(chosen) or (chosen.items[0], None)
        owing, past_due_at = standing_of(picture.snapshot, chosen, catalog.terms.grace_ms)
        written = await ledger.set_subscription(
            tx, catalog, customer, picture.versions[chosen.id], now, anchor=chosen.anchor,
            ends_at=ends_at(chosen, item.period_end), standing="blocked" if standing == "blocked" else owing,
            past_due_at=past_due_at, metadata=_note(chosen, past_due_at), book=book,
        )  # fmt: skip
        return await _grant(tx, catalog, customer, picture, due, now), written.state.plan
    good: Standing = "blocked" if standing == "blocked" else "good"
    if due and plan_before == catalog.free_plan:
        # Bought and ended before we heard of either: its plan is passed through, so that its lots end as they would have.
        last = due[-1]
        await ledger.set_subscription(
            tx, catalog, customer, _version_of(catalog, picture, last), now, anchor=_anchor(picture, last),
            ends_at=None, standing=good, metadata={"subscription": last.subscription},
        )  # fmt: skip
    granted = await _grant(tx, catalog, customer, picture, due, now)
    written = await ledger.set_subscription(
        tx, catalog, customer, catalog.plans[catalog.free_plan], now, anchor=None, ends_at=None, standing=good
    )
    return granted, written.state.plan


def _note(chosen: Subscription, past_due_at: int | None) -> dict[str, object]:
    told: dict[str, object] = {"subscription": chosen.id}
    return told if past_due_at is None else {**told, "past_due_at": rfc3339(past_due_at)}


def _months_due(kept: Kept, picture: _Picture, now: int) -> list[PaidMonth]:
    """The paid months that have begun, belong to a plan still held then, and are not granted yet."""
    granted = set(kept.granted)
    seconds = [subscription.id for subscription in picture.seconds]
    due: list[PaidMonth] = []
    for month in paid_months(picture.snapshot, picture.prices, seconds):
        if month.start <= now and not month.is_among(granted) and _still_held(picture, month):
            granted.add(month.place)
            due.append(month)
    return due


def _still_held(picture: _Picture, month: PaidMonth) -> bool:
    """A later month of a yearly price counts only while its subscription lives and is on that plan."""
    if month.occasion != "renewed" or month.sold.every != "year":
        return True
    owner = next((found for found in picture.snapshot.subscriptions if found.id == month.subscription), None)
    if owner is None or (owner.ended_at is not None and owner.ended_at <= month.start):
        return False
    version = picture.versions.get(owner.id)
    return version is not None and version.plan == month.sold.plan


def _version_of(catalog: Catalog, picture: _Picture, month: PaidMonth) -> PlanVersion:
    """The version whose lots this month brings: the subscription's own where it is on that plan."""
    held = picture.versions.get(month.subscription)
    if held is not None and held.plan == month.sold.plan:
        return held
    return version_bought(catalog, month.sold, None)


def _anchor(picture: _Picture, month: PaidMonth) -> int:
    owner = next((found for found in picture.snapshot.subscriptions if found.id == month.subscription), None)
    return owner.anchor if owner is not None else month.start


async def _grant(tx: Tx, catalog: Catalog, customer: str, picture: _Picture, due: list[PaidMonth], now: int) -> int:
    granted = 0
    for month in due:
        subscription, plan, period_end, number = month.place
        await tx.execute(
            queries.SAVE_GRANTED, cell=cell_of(customer), customer=customer, subscription=subscription, plan=plan,
            period_end=period_end, month=number, invoice=month.invoice, line=month.line, now=now,
        )  # fmt: skip
        metadata: dict[str, object] = {
            "invoice": month.invoice, "subscription": subscription, "every": month.sold.every,
        }  # fmt: skip
        granted += await ledger.grant_paid_period(
            tx, catalog, customer, _version_of(catalog, picture, month),
            Payment(month.start, month.end, month.occasion, month.action, metadata), now,
            invoice_key=month.key, paid=month.paid,
        )  # fmt: skip
    return granted


async def _look_again(tx: Tx, link: Link, picture: _Picture, now: int) -> None:
    """Note when the next month of a yearly price begins: no event tells it."""
    chosen = picture.chosen
    if chosen is None or not picture.versions[chosen.id].grants:
        return
    seconds = [subscription.id for subscription in picture.seconds]
    later = [
        month.start
        for month in paid_months(picture.snapshot, picture.prices, seconds)
        if month.subscription == chosen.id and month.start > now
    ]
    if later:
        await tx.execute(queries.LOOK_AGAIN, id=link.id, due_at=min(later))


async def _alert(tx: Tx, customer: str, key: str, title: str, detail: str, fix: str, *, now: int) -> None:
    await outbox.put(tx, OperatorAlert(key, "high", title, detail, fix), customer=customer, now=now)


def _second_subscription(customer: str, subscription: Subscription) -> tuple[str, str, str, str]:
    return (
        f"second_subscription:{subscription.id}",
        "A customer has two live subscriptions",
        f"{customer} pays for {subscription.id} beside an older subscription; it adds nothing to the account.",
        f"Cancel {subscription.id} in Stripe and refund it, or cancel the older one.",
    )


def _unmapped_price(customer: str, price: str, product: str) -> tuple[str, str, str, str]:
    return (
        f"unmapped_price:{price}",
        "A price in Stripe buys no plan",
        f"{customer} has subscribed to the price {price} of the product {product}, which no plan maps to. "
        "The payment is kept, the event waits.",
        f'Name it in the plan (stripe_products = ["{product}"]), start again, and replay the parked event.',
    )
