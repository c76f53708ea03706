"""Every statement on accounts, entries, keys and lots, except the lanes' batches (`admission/`)."""

from tollhouse.store import Sql

LOCK_ACCOUNT = Sql(
    "select customer, version, state from account where cell = :cell and customer = :customer and scope = ''"
    " [[for update]]"
)
READ_ACCOUNT = Sql("select version, state from account where cell = :cell and customer = :customer and scope = ''")
INSERT_ACCOUNT = Sql(
    "insert into account (cell, customer, scope, version, state, next_due) values (:cell, :customer, '', 0, :state, :next_due)"
)
UPDATE_ACCOUNT = Sql(
    "update account set version = version + 1, state = :state, next_due = :next_due"
    " where cell = :cell and customer = :customer and scope = '' and version = :version"
)
INSERT_ENTRY = Sql(
    "insert into entry (cell, customer, seq, kind, action, at, moves, remaining, used, target, metadata)"
    " values (:cell, :customer, :seq, :kind, :action, :at, :moves, :remaining, :used, :target, :metadata)"
)
INSERT_KEY = Sql(
    "insert into idempotency_key (cell, customer, operation, key, fingerprint, seq, answer, at)"
    " values (:cell, :customer, :operation, :key, :fingerprint, :seq, :answer, :at)"
)
READ_KEY = Sql(
    "select fingerprint, seq, answer from idempotency_key"
    " where cell = :cell and customer = :customer and operation = :operation and key = :key"
)
INSERT_LOT = Sql(
    "insert into lot (cell, customer, id, meter, amount, source, granted_at, expires_at, since, until, paid_minor, currency, reason)"
    " values (:cell, :customer, :id, :meter, :amount, :source, :granted_at, :expires_at, :since, :until, :paid_minor, :currency, :reason)"
)
END_LOT = Sql(
    "update lot set ended_at = :ended_at where cell = :cell and customer = :customer and id = :id and ended_at is null"
)
READ_LOT = Sql(
    "select id, meter, amount, source, expires_at, since, until, ended_at from lot"
    " where cell = :cell and customer = :customer and id = :id"
)
PAID_FOR_LOT = Sql(
    "select amount, paid_minor, currency from lot where cell = :cell and customer = :customer and id = :id"
)
LOT_REFUNDED = Sql(
    "update lot set refunded_minor = :refunded_minor where cell = :cell and customer = :customer and id = :id"
)
LOT_PLACE = Sql("select granted_at from lot where cell = :cell and customer = :customer and id = :id")
LOTS_BEFORE = Sql(
    "select id, meter, amount, source, granted_at, expires_at, paid_minor, currency, refunded_minor, reason from lot"
    " where cell = :cell and customer = :customer and (granted_at < :at or (granted_at = :at and id < :id))"
    " order by granted_at desc, id desc limit :most"
)
KEYS_BEGINNING = Sql(
    "select key, answer from idempotency_key where cell = :cell and customer = :customer and operation = :operation"
    " and substr(key, 1, :length) = :beginning"
)
READ_ENTRY = Sql(
    "select seq, kind, action, at, moves, remaining, used, target, metadata from entry"
    " where cell = :cell and customer = :customer and seq = :seq"
)
READ_ENTRIES_ABOUT = Sql(
    "select seq, kind, action, at, moves, remaining, used, target, metadata from entry"
    " where cell = :cell and customer = :customer and target = :target order by seq"
)
READ_BOOK = Sql(
    "select seq, kind, action, at, moves, remaining, used, target, metadata from entry"
    " where cell = :cell and customer = :customer and seq < :before order by seq desc limit :most"
)
ACCOUNTS_DUE = Sql("select cell, customer from account where next_due <= :now order by next_due limit :most")

# For `verify.py`: everything of a span of customers, by keyset. A cursor's last column starts below or above all rows.
COUNT_ACCOUNTS = Sql("select count(*) as accounts from account where scope = ''")
ACCOUNTS_TO_VERIFY = Sql(
    "select cell, customer, state, next_due from account"
    " where (cell, customer) > (:cell, :customer) and scope = '' order by cell, customer limit :most"
)
ACCOUNT_TO_VERIFY = Sql(
    "select cell, customer, state, next_due from account where cell = :cell and customer = :customer and scope = ''"
)
ENTRIES_TO_VERIFY = Sql(
    "select e.cell, e.customer, e.seq, e.kind, e.action, e.at, e.moves, e.remaining, e.used, e.target,"
    " case when e.target is not null then e.metadata end as metadata, t.kind as target_kind, t.moves as target_moves"
    " from entry e left join entry t on t.cell = e.cell and t.customer = e.customer and t.seq = e.target"
    " where (e.cell, e.customer, e.seq) > (:cell, :customer, :seq) and (e.cell, e.customer) <= (:last_cell, :last_customer)"
    " order by e.cell, e.customer, e.seq limit :most"
)
LOTS_TO_VERIFY = Sql(
    "select cell, customer, id, meter, amount, source, expires_at, since, until, ended_at from lot"
    " where (cell, customer, id) > (:cell, :customer, :id) and (cell, customer) <= (:last_cell, :last_customer)"
    " order by cell, customer, id limit :most"
)
KEYS_TO_VERIFY = Sql(
    "select k.cell, k.customer, k.operation, k.key, k.seq, k.answer, e.kind, e.moves"
    " from idempotency_key k left join entry e on e.cell = k.cell and e.customer = k.customer and e.seq = k.seq"
    " where (k.cell, k.customer, k.operation, k.key) > (:cell, :customer, :operation, :key)"
    " and (k.cell, k.customer) <= (:last_cell, :last_customer)"
    " order by k.cell, k.customer, k.operation, k.key limit :most"
)
