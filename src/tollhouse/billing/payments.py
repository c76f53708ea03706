"""Payments and attempts as Stripe's payment intents have them: kept, and a failed one told once (row U4)."""

import msgspec

from tollhouse.billing.model import Payment
from tollhouse.kernel.facts import PaymentFailed
from tollhouse.kernel.money import Money
from tollhouse.store import Row, Sql, Tx, cell_of, outbox

LONGEST_CODE = 100

_FIELDS = "id, status, amount_minor, currency, created_at, invoice, charge, failure_code, failure"
_READ = Sql(f"select {_FIELDS} from payment_intent where cell = :cell and customer = :customer and id = :id")
_LIST = Sql(
    f"select {_FIELDS} from payment_intent where cell = :cell and customer = :customer"
    " order by created_at desc, id desc limit :most"
)
_SAVE = Sql(
    f"insert into payment_intent (cell, customer, {_FIELDS})"
    " values (:cell, :customer, :id, :status, :amount_minor, :currency, :created_at, :invoice, :charge, :failure_code,"
    " :failure)"
    " on conflict (cell, customer, id) do update set status = excluded.status, amount_minor = excluded.amount_minor,"
    " invoice = excluded.invoice, charge = excluded.charge, failure_code = excluded.failure_code,"
    " failure = excluded.failure"
)


class PaymentView(msgspec.Struct, frozen=True):
    """A payment as staff see it. `failure`: what its last attempt failed of. Times in ms."""

    id: str
    status: str
    amount: Money
    created_at: int
    invoice: str | None
    failure_code: str | None
    failure: str | None


async def keep(tx: Tx, customer: str, payment: Payment, now: int, *, told: bool = False) -> None:
    """Keep a payment as it stands. A further failed attempt is told once, unless it is `told` with what it pays, as that of
    an invoice is.
    """
    found = await tx.fetch_one(_READ, cell=cell_of(customer), customer=customer, id=payment.id)
    code = payment.failure_code[:LONGEST_CODE] if payment.failure_code is not None else None
    attempt = (payment.charge, code, payment.failure)
    known = (found["charge"], found["failure_code"], found["failure"]) if found is not None else None
    if payment.failure is not None and payment.invoice is None and not told and attempt != known:
        fact = PaymentFailed(
            customer, "", payment.amount_minor, payment.currency, declined=payment.declined, payment=payment.id
        )
        await outbox.put(tx, fact, customer=customer, now=now)
    await tx.execute(
        _SAVE, cell=cell_of(customer), customer=customer, id=payment.id, status=payment.status,
        amount_minor=payment.amount_minor, currency=payment.currency, created_at=payment.created_at,
        invoice=payment.invoice, charge=payment.charge, failure_code=code, failure=payment.failure,
    )  # fmt: skip


async def payments_of(tx: Tx, customer: str, most: int = 100) -> list[PaymentView]:
    """What this customer paid or tried to pay, the newest first."""
    rows = await tx.fetch(_LIST, cell=cell_of(customer), customer=customer, most=most)
    return [_view(row) for row in rows]


def _view(row: Row) -> PaymentView:
    return PaymentView(
        row["id"], row["status"], Money(row["amount_minor"], row["currency"]), row["created_at"], row["invoice"],
        row["failure_code"], row["failure"],
    )  # fmt: skip
