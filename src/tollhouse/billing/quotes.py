"""Quotes (row S22): a price that staff set for one customer and plan. Kept with who and why, applied at Checkout once.

    set_quote -> open -> used | withdrawn | expired (by the clock)

At most one quote of a customer and plan is open. What Stripe says counts: a subscription that was begun with a quote has
used it, also when that becomes known after it was withdrawn.
"""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

import msgspec

from tollhouse.billing.model import QUOTE_KEY, Snapshot
from tollhouse.catalog.model import Price
from tollhouse.kernel.clock import DAY
from tollhouse.kernel.errors import Conflict, InvalidRequest, NotFound
from tollhouse.kernel.ids import is_id, new_id
from tollhouse.kernel.money import Money, minor_digits, written
from tollhouse.store import Row, Sql, Tx, cell_of

Kind = Literal["percent", "amount", "price"]
Duration = Literal["once", "months", "forever"]
Status = Literal["open", "used", "expired", "withdrawn"]
STATUSES: tuple[Status, ...] = ("open", "used", "expired", "withdrawn")
LONGEST_LIFE_MS = 366 * DAY
MOST_MONTHS = 120
_NUMBER = re.compile(r"[0-9]{1,12}([.,][0-9]{1,9})?")

_FIELDS = (
    "customer, id, plan, every, kind, value, currency, duration, months, reason, by_whom, created_at, expires_at, status,"
    " coupon, subscription, used_at, withdrawn_at, withdrawn_by, withdrawn_why"
)
_OF_CUSTOMER = Sql(
    f"select {_FIELDS} from quote where cell = :cell and customer = :customer order by created_at desc, id desc"
)
_ALL = Sql(f"select {_FIELDS} from quote order by created_at desc, id desc limit :most")
_READ = Sql(f"select {_FIELDS} from quote where id = :id")
_OPEN = Sql(
    f"select {_FIELDS} from quote where cell = :cell and customer = :customer and open_plan = :plan"
    " and expires_at > :now"
)
_CLOSE_EXPIRED = Sql(
    "update quote set open_plan = null"
    " where cell = :cell and customer = :customer and open_plan = :plan and expires_at <= :now"
)
_INSERT = Sql(
    "insert into quote (cell, customer, id, plan, every, kind, value, currency, duration, months, reason, by_whom,"
    " created_at, expires_at, status, open_plan)"
    " values (:cell, :customer, :id, :plan, :every, :kind, :value, :currency, :duration, :months, :reason, :by_whom,"
    " :now, :expires_at, 'open', :plan) on conflict do nothing"
)
_WITHDRAW = Sql(
    "update quote set status = 'withdrawn', open_plan = null, withdrawn_at = :now, withdrawn_by = :by_whom,"
    " withdrawn_why = :why where cell = :cell and customer = :customer and id = :id and status = 'open'"
)
_USED = Sql(
    "update quote set status = 'used', open_plan = null, subscription = :subscription, used_at = :now"
    " where cell = :cell and customer = :customer and id = :id and status <> 'used'"
)
_SET_COUPON = Sql("update quote set coupon = :coupon where cell = :cell and customer = :customer and id = :id")


class Offer(msgspec.Struct, frozen=True):
    """What is offered: `value` is hundredths of a percent, or minor units; `months` only where `duration` is months."""

    kind: Kind
    value: int
    duration: Duration = "forever"
    months: int | None = None


class Quote(msgspec.Struct, frozen=True):
    """A quote as it stands. Times in ms."""

    customer: str
    id: str
    plan: str
    every: str
    offer: Offer
    currency: str
    reason: str
    by_whom: str
    created_at: int
    expires_at: int
    status: Status
    coupon: str | None = None
    subscription: str | None = None
    used_at: int | None = None
    withdrawn_at: int | None = None
    withdrawn_by: str | None = None
    withdrawn_why: str | None = None

    def price_of(self, list_minor: int) -> int:
        """What is paid for a period while it lasts, in place of `list_minor`; never more than that."""
        return list_minor - self.off(list_minor)

    def off(self, list_minor: int) -> int:
        """What it takes off this price. Stripe rounds a percentage half up."""
        if self.offer.kind == "percent":
            exact = Decimal(list_minor) * self.offer.value / 10_000
            return int(exact.quantize(Decimal(1), ROUND_HALF_UP))
        if self.offer.kind == "amount":
            return min(self.offer.value, list_minor)
        return max(0, list_minor - self.offer.value)


def read_offer(kind: str, text: str, duration: str, months: str, price: Price) -> Offer:
    """An offer as people write it: `12.5` percent, or an amount of money such as `7.20`. Raises InvalidRequest."""
    if kind not in ("percent", "amount", "price"):
        raise _invalid(f"there is no kind of quote {kind!r}", "name percent, amount or price")
    digits = 2 if kind == "percent" else minor_digits(price.currency)
    if _NUMBER.fullmatch(text.strip()) is None:
        raise _invalid(f"{text[:40]!r} is no number", "write a number such as 20 or 7.20")
    scaled = Decimal(text.strip().replace(",", ".")).scaleb(digits)
    value = int(scaled)
    if scaled != value or not 0 < value < 10**12:
        raise _invalid(f"{text[:40]!r} is too fine, too large, or not above 0", f"write at most {digits} decimals")
    if kind == "percent" and value > 10_000:
        raise _invalid(f"{text[:40]} percent is more than all of it", "write at most 100")
    if kind in ("amount", "price") and value >= price.amount_minor:
        raise _invalid(
            f"{text[:40]} is not below the plan's price of {written(Money(price.amount_minor, price.currency))}",
            "write less than the plan's price",
        )
    if duration not in ("once", "months", "forever"):
        raise _invalid(f"there is no duration {duration!r}", "name once, months or forever")
    return Offer(kind, value, duration, _months(months) if duration == "months" else None)  # type: ignore[arg-type]


def _months(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MOST_MONTHS):
        raise _invalid(f"{text[:40]!r} is no number of months", f"write 1 to {MOST_MONTHS}")
    return int(text)


def _invalid(detail: str, fix: str) -> InvalidRequest:
    return InvalidRequest(detail, code="invalid_quote", fix=fix)


async def set_quote(
    tx: Tx, customer: str, plan: str, price: Price, offer: Offer, *, reason: str, by_whom: str, expires_at: int, now: int
) -> Quote:  # fmt: skip
    """Quote to this customer for a plan at the term of this price.

    Raises InvalidRequest naming what is wrong, Conflict `quote_open` when one is open for this plan.
    """
    if not reason:
        raise _invalid("the reason is empty", "say in a few words why")
    if not now < expires_at <= now + LONGEST_LIFE_MS:
        raise _invalid("the quote ends in the past, or in more than a year", "let it end within a year")
    at: dict[str, str | int] = {"cell": cell_of(customer), "customer": customer, "plan": plan, "now": now}
    await tx.execute(_CLOSE_EXPIRED, **at)
    name = new_id("quo")
    made = await tx.execute(
        _INSERT, **at, id=name, every=price.every, kind=offer.kind, value=offer.value, currency=price.currency,
        duration=offer.duration, months=offer.months, reason=reason, by_whom=by_whom, expires_at=expires_at,
    )  # fmt: skip
    if not made:
        raise Conflict(
            f"a quote for the plan {plan!r} is open for this customer", code="quote_open",
            fix="withdraw it first, or let it be used",
        )  # fmt: skip
    return await read_quote(tx, name, now)


async def read_quote(tx: Tx, name: str, now: int) -> Quote:
    """One quote. Raises NotFound."""
    row = await tx.fetch_one(_READ, id=name) if is_id(name, "quo") else None
    if row is None:
        raise NotFound(
            f"there is no quote {name[:60]!r}", code="quote_not_found", fix="`tollhouse quotes list` names them"
        )
    return _quote(row, now)


async def quotes_of(tx: Tx, customer: str, now: int) -> list[Quote]:
    """Every quote of a customer, the newest first."""
    return [_quote(row, now) for row in await tx.fetch(_OF_CUSTOMER, cell=cell_of(customer), customer=customer)]


async def all_quotes(tx: Tx, now: int, most: int = 1_000) -> list[Quote]:
    """Every quote, the newest first."""
    return [_quote(row, now) for row in await tx.fetch(_ALL, most=most)]


async def open_quote(tx: Tx, customer: str, plan: str, every: str, now: int) -> Quote | None:
    """The quote that Checkout applies for this plan and term."""
    row = await tx.fetch_one(_OPEN, cell=cell_of(customer), customer=customer, plan=plan, now=now)
    found = _quote(row, now) if row is not None else None
    return found if found is not None and found.every == every else None


async def withdraw(tx: Tx, quote: Quote, *, by_whom: str, why: str, now: int) -> Quote:
    """From now on nobody buys at it. Again it changes nothing; raises Conflict when it has been used."""
    at: dict[str, str | int] = {"cell": cell_of(quote.customer), "customer": quote.customer, "id": quote.id}
    if not why:
        raise _invalid("the reason is empty", "say in a few words why")
    await tx.execute(_WITHDRAW, **at, by_whom=by_whom, why=why, now=now)
    found = await read_quote(tx, quote.id, now)
    if found.status == "used":
        raise Conflict(
            f"the quote {quote.id} has been used by {found.subscription}", code="quote_used",
            fix="change the subscription in Stripe",
        )  # fmt: skip
    return found


async def set_coupon(tx: Tx, quote: Quote, coupon: str) -> None:
    """Remember by which coupon of Stripe's it is applied."""
    await tx.execute(_SET_COUPON, cell=cell_of(quote.customer), customer=quote.customer, id=quote.id, coupon=coupon)


async def mark_used(tx: Tx, customer: str, snapshot: Snapshot, now: int) -> None:
    """The quotes with which subscriptions have begun are used. Applied again it changes nothing."""
    paid = {invoice.subscription for invoice in snapshot.invoices if invoice.status == "paid"}
    for subscription in snapshot.subscriptions:
        name = subscription.metadata.get(QUOTE_KEY, "")
        if is_id(name, "quo") and (subscription.live or subscription.id in paid):
            await tx.execute(
                _USED, cell=cell_of(customer), customer=customer, id=name, subscription=subscription.id, now=now
            )


def _quote(row: Row, now: int) -> Quote:
    offer = Offer(row["kind"], row["value"], row["duration"], row["months"])
    expired = row["status"] == "open" and row["expires_at"] <= now
    return Quote(
        row["customer"], row["id"], row["plan"], row["every"], offer, row["currency"], row["reason"], row["by_whom"],
        row["created_at"], row["expires_at"], "expired" if expired else row["status"], row["coupon"],
        row["subscription"], row["used_at"], row["withdrawn_at"], row["withdrawn_by"], row["withdrawn_why"],
    )  # fmt: skip
