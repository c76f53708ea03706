"""Stripe's customers and prices (outside the cells), and what each of our customers has there."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from tollhouse.store import metadata

stripe_customer = Table(
    "stripe_customer",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("customer", String(40), nullable=False, unique=True),
    Column("linked_at", BigInteger, nullable=False),
    # The fence: whoever applies what it fetched must find the number that stood here when it began.
    Column("sync_seq", BigInteger, nullable=False),
    Column("synced_at", BigInteger),
    Column("due_at", BigInteger),  # when to look again though no event came (a month of a yearly price begins)
    Column("currency", String(3)),  # in what it pays, from its first purchase on
)
Index("ix_stripe_customer_due_at", stripe_customer.c.due_at)

stripe_price = Table(
    "stripe_price",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("product", String(255), nullable=False),
    Column("plan", String(80), nullable=False),
    Column("version", Integer, nullable=False),
    Column("every", String(10), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("lookup_key", String(200)),
    Column("created_at", BigInteger, nullable=False),
)

subscription = Table(
    "subscription",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("id", String(255), nullable=False),
    Column("status", String(30), nullable=False),
    Column("plan", String(80)),  # none: its price is mapped to no plan
    Column("version", Integer),
    Column("price", String(255), nullable=False),
    Column("every", String(10), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("period_start", BigInteger, nullable=False),
    Column("period_end", BigInteger, nullable=False),
    Column("cancel_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("second_since", BigInteger),  # live beside an older one: alerted, never added
    # What it changes to when its period ends, once that is agreed.
    Column("later_plan", String(80)),
    Column("later_every", String(10)),
    Column("later_amount_minor", BigInteger),
    Column("later_at", BigInteger),
    PrimaryKeyConstraint("cell", "customer", "id"),
)
_UNMAPPED = text("plan is null and ended_at is null")
_SECOND = text("second_since is not null and ended_at is null")
Index("ix_subscription_unmapped", subscription.c.price, sqlite_where=_UNMAPPED, postgresql_where=_UNMAPPED)
Index("ix_subscription_second", subscription.c.id, sqlite_where=_SECOND, postgresql_where=_SECOND)

invoice = Table(
    "invoice",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("id", String(255), nullable=False),
    Column("number", String(100)),
    Column("subscription", String(255)),
    Column("status", String(30), nullable=False),
    Column("reason", String(60), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount_due_minor", BigInteger, nullable=False),
    Column("amount_paid_minor", BigInteger, nullable=False),
    # Together the total. None: kept before tax was, and not looked at since.
    Column("net_minor", BigInteger),
    Column("tax_minor", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("paid_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_at", BigInteger),
    Column("page_url", Text),
    Column("pdf_url", Text),
    # Of what was paid: given back or lost to a dispute; taken off by credit notes. None: nothing.
    Column("refunded_minor", BigInteger),
    Column("credited_minor", BigInteger),
    PrimaryKeyConstraint("cell", "customer", "id"),
)

invoice_file = Table(
    "invoice_file",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("invoice", String(255), nullable=False),
    Column("due_at", BigInteger),  # when to ask Stripe for it; none: it is there, or given up
    Column("attempts", Integer, nullable=False),
    Column("error", Text),
    Column("receipt_by", BigInteger),  # until when its receipt waits for it; none: it has gone, or there is none
    Column("fetched_at", BigInteger),
    Column("pdf", LargeBinary),  # at most files.LARGEST_BYTES
    PrimaryKeyConstraint("cell", "customer", "invoice"),
)
Index("ix_invoice_file_due_at", invoice_file.c.due_at)

payment_intent = Table(
    "payment_intent",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("id", String(255), nullable=False),
    Column("status", String(40), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("invoice", String(255)),  # none: a pack, or whatever else is paid without one
    Column("charge", String(255)),  # the last attempt's
    Column("failure_code", String(100)),
    Column("failure", Text),
    PrimaryKeyConstraint("cell", "customer", "id"),
)

quote = Table(
    "quote",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("id", String(60), nullable=False),
    Column("plan", String(80), nullable=False),
    Column("every", String(10), nullable=False),
    Column("kind", String(10), nullable=False),  # percent, amount (off), price
    Column("value", BigInteger, nullable=False),  # hundredths of a percent, or minor units
    Column("currency", String(3), nullable=False),
    Column("duration", String(10), nullable=False),  # once, months, forever
    Column("months", Integer),
    Column("reason", String(500), nullable=False),
    Column("by_whom", String(254), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("status", String(10), nullable=False),  # open, used, withdrawn; an open one past its time is expired
    Column("open_plan", String(80)),  # its plan while it is open: one for each customer and plan
    Column("coupon", String(255)),  # of Stripe's, once it stood on a Checkout page
    Column("subscription", String(255)),
    Column("used_at", BigInteger),
    Column("withdrawn_at", BigInteger),
    Column("withdrawn_by", String(254)),
    Column("withdrawn_why", String(500)),
    PrimaryKeyConstraint("cell", "customer", "id"),
    UniqueConstraint("cell", "customer", "open_plan"),
)

subscribing = Table(
    "subscribing",
    metadata,
    Column("customer", String(40), primary_key=True),
    Column("until", BigInteger, nullable=False),  # who died while subscribing this customer keeps nobody out for longer
)

plan_move = Table(
    "plan_move",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("from_plan", String(80), nullable=False),
    Column("from_version", Integer, nullable=False),
    Column("to_plan", String(80), nullable=False),
    Column("to_version", Integer, nullable=False),
    Column("notified_at", BigInteger),  # when its e-mail was written, once
    Column("begun_at", BigInteger),  # Stripe is about to be asked; whoever goes on asks in the same words
    Column("moved_at", BigInteger),
    Column("failed_at", BigInteger),  # the last time that it could not be moved, and why
    Column("reason", Text),
    PrimaryKeyConstraint("cell", "customer", "from_plan", "from_version", "to_plan", "to_version"),
)

period_grant = Table(
    "period_grant",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("subscription", String(255), nullable=False),
    Column("plan", String(80), nullable=False),
    Column("period_end", BigInteger, nullable=False),
    Column("month", SmallInteger, nullable=False),
    Column("invoice", String(255), nullable=False),
    Column("line", String(255), nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("cell", "customer", "subscription", "plan", "period_end", "month"),
)

checkout_session = Table(
    "checkout_session",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("id", String(255), nullable=False),
    Column("plan", String(80), nullable=False),
    Column("version", Integer, nullable=False),
    Column("every", String(10), nullable=False),
    Column("price", String(255), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("completed_at", BigInteger),
    Column("expired_at", BigInteger),
    PrimaryKeyConstraint("cell", "customer", "id"),
)
Index("ix_checkout_session_id", checkout_session.c.id)

payment_attempts = Table(
    "payment_attempts",
    metadata,
    Column("subject", String(200), primary_key=True),  # `customer:cus_…` or `address:…`
    Column("times", Text, nullable=False),  # JSON: the attempts of the open window, oldest first
    Column("forget_at", BigInteger, nullable=False),
)
Index("ix_payment_attempts_forget_at", payment_attempts.c.forget_at)

reconciliation = Table(
    "reconciliation",
    metadata,
    Column("id", String(60), primary_key=True),
    Column("by_whom", String(254), nullable=False),
    Column("why", String(500), nullable=False),
    Column("dry_run", SmallInteger, nullable=False),
    Column("stripe_customer", String(255)),  # the only one; none: all that are linked
    Column("after", String(255), nullable=False),  # the last one that is done
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("looked", Integer, nullable=False),
    Column("different", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("holder", String(40)),
    Column("lease_until", BigInteger, nullable=False),
)

reconciliation_difference = Table(
    "reconciliation_difference",
    metadata,
    Column("cell", SmallInteger, nullable=False),
    Column("customer", String(40), nullable=False),
    Column("reconciliation", String(60), nullable=False),
    Column("field", String(800), nullable=False),
    Column("ours", Text),
    Column("stripes", Text),
    Column("at", BigInteger, nullable=False),
    Column("repaired", SmallInteger, nullable=False),
    PrimaryKeyConstraint("cell", "customer", "reconciliation", "field"),
)
Index("ix_reconciliation_difference_reconciliation", reconciliation_difference.c.reconciliation)

payment_count = Table(
    "payment_count",
    metadata,
    Column("kind", String(30), nullable=False),
    Column("minute", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("kind", "minute"),
)

# Events that came with a signature that no secret of ours made: until Stripe is asked whether they are its own.
refused_webhook = Table(
    "refused_webhook",
    metadata,
    Column("id", String(255), primary_key=True),
    Column("reason", String(20), nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("deliveries", Integer, nullable=False),
)

maintenance = Table(
    "maintenance",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("reason", String(500), nullable=False),
    Column("by_whom", String(254), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger, nullable=False),  # by itself, whether any process runs or not
    Column("ended_at", BigInteger),  # before its time: by whom
    Column("ended_by", String(254)),
    Column("rollback", String(40)),  # which switched it on
    UniqueConstraint("rollback"),
)
Index("ix_maintenance_ends_at", maintenance.c.ends_at)

stripe_pause = Table(
    "stripe_pause",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("open", SmallInteger),  # 1 until it is proven complete: at most one
    Column("reason", String(500), nullable=False),
    Column("by_whom", String(254), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("resumed_at", BigInteger),  # from here on events are applied again
    Column("resumed_by", String(254)),
    Column("fetched", Integer, nullable=False),  # events that had not arrived
    Column("finished_at", BigInteger),
    Column("proof", Text),  # JSON
    UniqueConstraint("open"),
)

stripe_rollback = Table(
    "stripe_rollback",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("open", SmallInteger),  # 1 until it is undone: at most one
    Column("options", Text, nullable=False),  # JSON
    Column("by_whom", String(254), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("undo_at", BigInteger),
    Column("undo_by", String(254)),
    Column("undone_at", BigInteger),
    Column("error", Text),  # why the last run stopped
    UniqueConstraint("open"),
)

stripe_rollback_step = Table(
    "stripe_rollback_step",
    metadata,
    Column("rollback", String(40), nullable=False),
    Column("name", String(20), nullable=False),
    Column("record", Text, nullable=False),  # JSON: what undoing and going on need
    Column("fetched", Integer, nullable=False),  # events that had not arrived
    Column("begun_at", BigInteger, nullable=False),
    Column("done_at", BigInteger),
    Column("undone_at", BigInteger),
    PrimaryKeyConstraint("rollback", "name"),
)
