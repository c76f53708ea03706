"""Every statement of billing."""

from tollhouse.store import Sql, inbox

# --- Stripe's customers and the fence -------------------------------------------------------------------------------
LINK = Sql(
    "insert into stripe_customer (id, customer, linked_at, sync_seq) values (:id, :customer, :now, 0)"
    " on conflict do nothing"
)
LINK_OF_CUSTOMER = Sql("select id, customer, sync_seq, synced_at from stripe_customer where customer = :customer")
LINK_OF_STRIPE = Sql("select id, customer, sync_seq, synced_at from stripe_customer where id = :id")
CURRENCY = Sql("select currency from stripe_customer where customer = :customer")
WAIT_SHORTLY = Sql("set local lock_timeout = '50ms'")
"""PostgreSQL alone: a group gives up where somebody holds one of its accounts; who is alone waits for it."""
PASS_FENCE = Sql(
    "update stripe_customer set sync_seq = sync_seq + 1, synced_at = :now, due_at = :due_at,"
    " currency = coalesce(:currency, currency)"
    " where id = :id and sync_seq = :sync_seq returning id"
)
LOOK_AGAIN = Sql("update stripe_customer set due_at = :due_at where id = :id")
LOOK_SOONER = Sql("update stripe_customer set due_at = :due_at where id = :id and (due_at is null or due_at > :due_at)")
ANY_LINK_DUE = Sql("select 1 as one from stripe_customer where due_at <= :now limit 1")
UNLINK = Sql("delete from stripe_customer where id = :id")
LINKS_DUE = Sql(
    "select id, due_at from stripe_customer where due_at <= :now order by due_at limit :most [[for update skip locked]]"
)
LINK_LOOKED_AT = Sql("update stripe_customer set due_at = null where id = :id and due_at = :due_at")

# --- Prices ---------------------------------------------------------------------------------------------------------
_PRICE = "id, product, plan, version, every, currency, amount_minor, lookup_key"
PRICES = Sql(f"select {_PRICE} from stripe_price")
SAVE_PRICE = Sql(
    f"insert into stripe_price ({_PRICE}, created_at)"
    " values (:id, :product, :plan, :version, :every, :currency, :amount_minor, :lookup_key, :now)"
    " on conflict (id) do update set product = excluded.product, plan = excluded.plan, version = excluded.version,"
    " lookup_key = excluded.lookup_key"
)
LEARN_PRICE = Sql(
    f"insert into stripe_price ({_PRICE}, created_at)"
    " values (:id, :product, :plan, :version, :every, :currency, :amount_minor, :lookup_key, :now)"
    " on conflict do nothing"
)

# --- Subscriptions and invoices -------------------------------------------------------------------------------------
_SUBSCRIPTION = (
    "id, status, plan, version, price, every, currency, amount_minor, created_at, period_start, period_end, cancel_at,"
    " ended_at, second_since, later_plan, later_every, later_amount_minor, later_at"
)
SUBSCRIPTIONS = Sql(
    f"select customer, {_SUBSCRIPTION} from subscription where cell = :cell and customer = :customer"
    " order by created_at, id"
)
SAVE_SUBSCRIPTION = Sql(
    f"insert into subscription (cell, customer, {_SUBSCRIPTION})"
    " values (:cell, :customer, :id, :status, :plan, :version, :price, :every, :currency, :amount_minor, :created_at,"
    " :period_start, :period_end, :cancel_at, :ended_at, :second_since, :later_plan, :later_every, :later_amount_minor,"
    " :later_at)"
    " on conflict (cell, customer, id) do update set status = excluded.status, plan = excluded.plan,"
    " version = excluded.version, price = excluded.price, every = excluded.every, currency = excluded.currency,"
    " amount_minor = excluded.amount_minor, period_start = excluded.period_start, period_end = excluded.period_end,"
    " cancel_at = excluded.cancel_at, ended_at = excluded.ended_at, second_since = excluded.second_since,"
    " later_plan = excluded.later_plan, later_every = excluded.later_every,"
    " later_amount_minor = excluded.later_amount_minor, later_at = excluded.later_at"
)
_INVOICE = (
    "id, number, subscription, status, reason, currency, amount_due_minor, amount_paid_minor, net_minor, tax_minor,"
    " created_at, paid_at, attempts, next_attempt_at, page_url, pdf_url, credited_minor, refunded_minor"
)
INVOICES = Sql(
    f"select customer, {_INVOICE} from invoice where cell = :cell and customer = :customer"
    " order by created_at desc, id desc limit :most"
)
_WITH_FILE = (
    f"select {', '.join('i.' + name for name in _INVOICE.split(', '))},"
    " f.fetched_at, f.due_at as file_due_at, f.error as file_error, f.invoice as file from invoice i"
    " left join invoice_file f on f.cell = i.cell and f.customer = i.customer and f.invoice = i.id"
    " where i.cell = :cell and i.customer = :customer"
)
# Times are whole seconds: of two of the same one, the numbers that Stripe counts up tell which came later.
LIST_INVOICES = Sql(f"{_WITH_FILE} order by i.created_at desc, coalesce(i.number, '') desc, i.id desc limit :most")
ONE_INVOICE = Sql(f"{_WITH_FILE} and i.id = :id")
SAVE_INVOICE = Sql(
    f"insert into invoice (cell, customer, {_INVOICE})"
    " values (:cell, :customer, :id, :number, :subscription, :status, :reason, :currency, :amount_due_minor,"
    " :amount_paid_minor, :net_minor, :tax_minor, :created_at, :paid_at, :attempts, :next_attempt_at, :page_url, :pdf_url,"
    " :credited_minor, :refunded_minor)"
    " on conflict (cell, customer, id) do update set number = excluded.number, status = excluded.status,"
    " amount_due_minor = excluded.amount_due_minor, amount_paid_minor = excluded.amount_paid_minor,"
    " net_minor = excluded.net_minor, tax_minor = excluded.tax_minor,"
    " paid_at = excluded.paid_at, attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at,"
    " page_url = excluded.page_url, pdf_url = excluded.pdf_url,"
    " credited_minor = excluded.credited_minor, refunded_minor = excluded.refunded_minor"
)
GRANTED = Sql(
    "select customer, subscription, plan, period_end, month, invoice, line from period_grant"
    " where cell = :cell and customer = :customer"
)
SAVE_GRANTED = Sql(
    "insert into period_grant (cell, customer, subscription, plan, period_end, month, invoice, line, at)"
    " values (:cell, :customer, :subscription, :plan, :period_end, :month, :invoice, :line, :now) on conflict do nothing"
)

# --- Checkout -------------------------------------------------------------------------------------------------------
SAVE_SESSION = Sql(
    "insert into checkout_session (cell, customer, id, plan, version, every, price, created_at, expires_at)"
    " values (:cell, :customer, :id, :plan, :version, :every, :price, :now, :expires_at) on conflict do nothing"
)
SESSION_OWNER = Sql("select customer from checkout_session where id = :id")
ANY_SESSION = Sql(
    "select customer from checkout_session where cell = :cell and customer = :customer and every = :every limit 1"
)
SESSION_COMPLETED = Sql(
    "update checkout_session set completed_at = :now"
    " where cell = :cell and customer = :customer and id = :id and completed_at is null"
)
SESSION_EXPIRED = Sql(
    "update checkout_session set expired_at = :now"
    " where cell = :cell and customer = :customer and id = :id and expired_at is null and completed_at is null"
)
SESSION_FAILED = Sql(
    "update checkout_session set expired_at = :now"
    " where cell = :cell and customer = :customer and id = :id and expired_at is null"
)
SESSIONS_AWAITED = Sql(
    "select id, plan from checkout_session where cell = :cell and customer = :customer and every = :every"
    " and completed_at is not null and expired_at is null and created_at > :since order by created_at desc, id"
)
OPEN_ATTEMPTS = Sql(
    "insert into payment_attempts (subject, times, forget_at) values (:subject, '[]', :forget_at) on conflict do nothing"
)
LOCK_ATTEMPTS = Sql("select times from payment_attempts where subject = :subject [[for update]]")
SAVE_ATTEMPTS = Sql("update payment_attempts set times = :times, forget_at = :forget_at where subject = :subject")
FORGET_ATTEMPTS = Sql("delete from payment_attempts where forget_at <= :now")

# --- Reconciliation -------------------------------------------------------------------------------------------------
COUNT_LINKS = Sql("select count(*) as number from stripe_customer")
LINKS_AFTER = Sql("select id, customer, sync_seq from stripe_customer where id > :after order by id limit :most")
_RUN = "id, by_whom, why, dry_run, stripe_customer, after, started_at, finished_at, looked, different, failed"
BEGIN_RECONCILIATION = Sql(
    "insert into reconciliation (id, by_whom, why, dry_run, stripe_customer, after, started_at, looked, different, failed,"
    " lease_until) values (:id, :by_whom, :why, :dry_run, :stripe_customer, '', :now, 0, 0, 0, 0) on conflict do nothing"
)
READ_RECONCILIATION = Sql(f"select {_RUN} from reconciliation where id = :id")
RECONCILIATIONS = Sql(f"select {_RUN} from reconciliation order by started_at desc, id desc limit :most")
UNFINISHED_RECONCILIATION = Sql(
    f"select {_RUN} from reconciliation where finished_at is null and stripe_customer is null and dry_run = :dry_run"
    " order by started_at limit 1"
)
LEFT_RECONCILIATION = Sql(
    f"select {_RUN} from reconciliation where finished_at is null and lease_until <= :now order by started_at limit 1"
)
LAST_RECONCILIATION = Sql(
    "select coalesce((select max(started_at) from reconciliation where by_whom = :by_whom),"
    " (select min(linked_at) from stripe_customer)) as at"
)
CLAIM_RECONCILIATION = Sql(
    "update reconciliation set holder = :holder, lease_until = :until"
    " where id = :id and finished_at is null and (holder = :holder or lease_until <= :now)"
)
ADVANCE_RECONCILIATION = Sql(
    "update reconciliation set after = :after, looked = looked + :looked, lease_until = :until,"
    " different = (select count(distinct customer) from reconciliation_difference"
    " where reconciliation = :id and field <> :error),"
    " failed = (select count(*) from reconciliation_difference where reconciliation = :id and field = :error)"
    " where id = :id and holder = :holder"
)
GIVE_BACK_RECONCILIATION = Sql(
    "update reconciliation set lease_until = 0 where id = :id and holder = :holder and finished_at is null"
)
FINISH_RECONCILIATION = Sql("update reconciliation set finished_at = :now where id = :id and holder = :holder")
_DIFFERENCE = "cell, customer, reconciliation, field, ours, stripes, at, repaired"
KEEP_DIFFERENCE = Sql(
    f"insert into reconciliation_difference ({_DIFFERENCE})"
    " values (:cell, :customer, :reconciliation, :field, :ours, :stripes, :at, :repaired) on conflict do nothing"
)
DIFFERENCES_OF_RUN = Sql(
    f"select {_DIFFERENCE} from reconciliation_difference where reconciliation = :reconciliation"
    " order by at, customer, field limit :most"
)
DIFFERENCES_OF_CUSTOMER = Sql(
    f"select {_DIFFERENCE} from reconciliation_difference where cell = :cell and customer = :customer"
    " order by at desc, field limit :most"
)

# --- What happened, by minute ---------------------------------------------------------------------------------------
COUNT = Sql(
    "insert into payment_count (kind, minute, number, last_at) values (:kind, :minute, :number, :last_at)"
    " on conflict (kind, minute) do update set number = payment_count.number + excluded.number,"
    " last_at = case when payment_count.last_at > excluded.last_at then payment_count.last_at else excluded.last_at end"
)
KEEP_AND_COUNT = Sql(
    f"with kept as ({inbox.INSERT_ALL}), counted as (insert into payment_count (kind, minute, number, last_at)"
    " select 'webhook_received', :minute::bigint, count(*), :now from kept having count(*) > 0"
    " on conflict (kind, minute) do update set number = payment_count.number + excluded.number,"
    " last_at = greatest(payment_count.last_at, excluded.last_at)) select id from kept"
)
# The kinds stand in the text: the key is (kind, minute), and a range of minutes alone would read the whole table.
KINDS = (
    "payment_succeeded",
    "payment_declined",
    "payment_failed",
    "webhook_received",
    "webhook_failed",
    "webhook_mended",
    "webhook_refused",
    "signature_refused",
    "signature_verified",
)
_EVERY_KIND = "kind in ('" + "', '".join(KINDS) + "')"
COUNTS = Sql(
    f"select kind, sum(number) as number from payment_count where {_EVERY_KIND} and minute >= :since group by kind"
)
LAST_COUNTED = Sql(
    " union all ".join(
        f"select * from (select kind, last_at from payment_count where kind = '{kind}' order by minute desc limit 1)"
        f" as last_{kind}"
        for kind in KINDS
    )
)
FORGET_COUNTS = Sql(f"delete from payment_count where {_EVERY_KIND} and minute < :before")

# --- Webhooks whose signature was refused ---------------------------------------------------------------------------
REFUSE_WEBHOOK = Sql(
    "insert into refused_webhook (id, reason, first_at, last_at, deliveries) values (:id, :reason, :now, :now, 1)"
    " on conflict (id) do update set reason = excluded.reason, last_at = excluded.last_at,"
    " deliveries = refused_webhook.deliveries + 1"
)
REFUSED_WEBHOOKS = Sql(
    "select id, reason, first_at, last_at, deliveries from refused_webhook order by last_at limit :most"
)
REFUSED_NUMBER = Sql("select count(*) as number from refused_webhook")
FORGET_REFUSED = Sql("delete from refused_webhook where id = :id")
