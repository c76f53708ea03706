"""The lanes' two statements for PostgreSQL, their counterparts for SQLite, and everything on holds and leases."""

from tollhouse.store import Sql

# One SELECT: accounts, the keys that are being asked for, and customers with a hold or lease that has lapsed.
# Rows: (kind, customer, version, text, operation, key, fingerprint).
LOAD_POSTGRES = """
select 'a', a.customer, a.version, a.state, null::text, null::text, null::bytea
  from unnest($1::smallint[], $2::text[]) as c(cell, customer)
  join account a on a.cell = c.cell and a.customer = c.customer and a.scope = ''
union all
select 'k', k.customer, k.seq, k.answer, k.operation, k.key, k.fingerprint
  from unnest($3::smallint[], $4::text[], $5::text[], $6::text[]) as q(cell, customer, operation, key)
  join idempotency_key k on k.cell = q.cell and k.customer = q.customer and k.operation = q.operation and k.key = q.key
union all
select 'd', l.customer, null, null, null, null, null
  from unnest($1::smallint[], $2::text[]) as c(cell, customer)
  join lease l on l.cell = c.cell and l.customer = c.customer and l.ended_at is null and l.expires_at <= $7
union all
select 'd', h.customer, null, null, null, null, null
  from unnest($1::smallint[], $2::text[]) as c(cell, customer)
  join hold h on h.cell = c.cell and h.customer = c.customer and h.status = 'open' and h.expires_at <= $7
"""

# Accounts whose version is no longer the one that a copy has.
NEWER_POSTGRES = """
select a.customer, a.version, a.state
  from unnest($1::smallint[], $2::text[], $3::bigint[]) as c(cell, customer, version)
  join account a on a.cell = c.cell and a.customer = c.customer and a.scope = '' and a.version <> c.version
"""

# Locks in the order of the arrays (sorted by the caller; nested loops over `given`), then as above.
LOCK_POSTGRES = """
select a.customer
  from unnest($1::smallint[], $2::text[]) as c(cell, customer)
  join account a on a.cell = c.cell and a.customer = c.customer and a.scope = ''
   for update of a
"""
FREE_POSTGRES = LOCK_POSTGRES + " skip locked"

# Each answers the customers that were saved, see `procedures.py`.
_COLUMNS = ", ".join(f"${number}" for number in range(1, 32))
SAVE_POSTGRES = f"select save_batch_1({_COLUMNS})"
SAVE_NEW_KEYS_POSTGRES = f"select save_new_keys_1({_COLUMNS})"

# The same statement where a balance has crossed a line: its facts are written with the accounts that were saved.
_TELLING = """
with saved as materialized ({save} as names),
told as (
  insert into outbox (id, fact, customer, payload, created_at, attempts, due_at)
  select f.id, f.fact, f.customer, f.payload, f.at, 0, f.at
    from unnest($32::text[], $33::text[], $34::text[], $35::text[], $36::bigint[]) as f(id, fact, customer, payload, at), saved
   where f.customer = any (saved.names)
  on conflict (id) do nothing
)
select names from saved
"""
SAVE_AND_TELL_POSTGRES = _TELLING.format(save=SAVE_POSTGRES)
SAVE_NEW_KEYS_AND_TELL_POSTGRES = _TELLING.format(save=SAVE_NEW_KEYS_POSTGRES)

SQLITE_READ_ACCOUNT = "select version, state from account where cell = ? and customer = ? and scope = ''"
SQLITE_READ_KEY = (
    "select fingerprint, answer from idempotency_key where cell = ? and customer = ? and operation = ? and key = ?"
)
SQLITE_DUE = (
    "select 1 from lease where cell = ? and customer = ? and ended_at is null and expires_at <= ?"
    " union all select 1 from hold where cell = ? and customer = ? and status = 'open' and expires_at <= ? limit 1"
)
SQLITE_KEY_EXISTS = "select 1 from idempotency_key where cell = ? and customer = ? and operation = ? and key = ?"
SQLITE_UPDATE = (
    "update account set version = version + 1, state = ?, next_due = ?"
    " where cell = ? and customer = ? and scope = '' and version = ?"
)
SQLITE_INSERT_KEY = "insert into idempotency_key (cell, customer, operation, key, fingerprint, seq, answer, at) values (?, ?, ?, ?, ?, ?, ?, ?)"
SQLITE_INSERT_ENTRY = (
    "insert into entry (cell, customer, seq, kind, action, at, moves, remaining, used, metadata)"
    " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
SQLITE_INSERT_HOLD = (
    "insert into hold (cell, customer, seq, status, on_expiry, expires_at) values (?, ?, ?, 'open', ?, ?)"
)
SQLITE_INSERT_LEASE = (
    "insert into lease (cell, customer, seq, action, slots, ttl_ms, started_at, last_beat, expires_at)"
    " values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
SQLITE_INSERT_FACT = (
    "insert into outbox (id, fact, customer, payload, created_at, attempts, due_at) values (?, ?, ?, ?, ?, 0, ?)"
    " on conflict (id) do nothing"
)

LOCK_ACCOUNT_OR_SKIP = Sql(
    "select version, state from account where cell = :cell and customer = :customer and scope = '' [[for update skip locked]]"
)
ACCOUNT_EXISTS = Sql("select 1 as found from account where cell = :cell and customer = :customer and scope = ''")

INSERT_HOLD = Sql(
    "insert into hold (cell, customer, seq, status, on_expiry, expires_at)"
    " values (:cell, :customer, :seq, 'open', :on_expiry, :expires_at)"
)
READ_HOLD = Sql(
    "select seq, status, on_expiry, expires_at, settled_amount, answer from hold"
    " where cell = :cell and customer = :customer and seq = :seq"
)
END_HOLD = Sql(
    "update hold set status = :status, settled_amount = :settled_amount, answer = :answer"
    " where cell = :cell and customer = :customer and seq = :seq"
)
EXTEND_HOLD = Sql("update hold set expires_at = :expires_at where cell = :cell and customer = :customer and seq = :seq")
HOLDS_DUE_OF = Sql(
    "select seq, on_expiry, expires_at from hold"
    " where cell = :cell and customer = :customer and status = 'open' and expires_at <= :now order by expires_at"
)
HOLDS_DUE = Sql("select distinct customer from hold where status = 'open' and expires_at <= :now limit :most")

INSERT_LEASE = Sql(
    "insert into lease (cell, customer, seq, action, slots, ttl_ms, started_at, last_beat, expires_at)"
    " values (:cell, :customer, :seq, :action, :slots, :ttl_ms, :at, :at, :expires_at)"
)
READ_LEASE = Sql(
    "select seq, action, slots, ttl_ms, started_at, last_beat, expires_at, ended_at from lease"
    " where cell = :cell and customer = :customer and seq = :seq"
)
BEAT = Sql(
    "update lease set last_beat = :now, expires_at = :expires_at"
    " where cell = :cell and customer = :customer and seq = :seq and ended_at is null and expires_at > :now"
)
END_LEASE = Sql("update lease set ended_at = :ended_at where cell = :cell and customer = :customer and seq = :seq")
REOPEN_LEASE = Sql(
    "update lease set ended_at = null, started_at = :now, last_beat = :now, expires_at = :expires_at"
    " where cell = :cell and customer = :customer and seq = :seq"
)
_LEASES_DUE_OF = (
    "select seq, action, slots, ttl_ms, started_at, last_beat, expires_at, ended_at from lease"
    " where cell = :cell and customer = :customer and ended_at is null and expires_at <= :now order by expires_at"
)
READ_LEASES_DUE_OF = Sql(_LEASES_DUE_OF)
# A heartbeat that comes at this moment is waited for, and looked at again.
LEASES_DUE_OF = Sql(_LEASES_DUE_OF + " [[for update]]")
LEASES_DUE = Sql("select distinct customer from lease where ended_at is null and expires_at <= :now limit :most")

START_TOOL_SESSION = Sql(
    'insert into tool_session (cell, customer, id, "user", tool, admission, started_at)'
    " values (:cell, :customer, :id, :user, :tool, :admission, :started_at) on conflict do nothing"
)
READ_TOOL_SESSION = Sql(
    'select id, "user" as user_id, tool, admission, started_at, ended_at from tool_session'
    " where cell = :cell and customer = :customer and id = :id"
)
TOOL_SESSION_OF = Sql(
    'select id, "user" as user_id, tool, admission, started_at, ended_at from tool_session'
    " where cell = :cell and customer = :customer and admission = :admission"
)
END_TOOL_SESSION = Sql(
    "update tool_session set ended_at = :ended_at where cell = :cell and customer = :customer and id = :id and ended_at is null"
)
RECENT_TOOL_SESSIONS = Sql(
    'select id, "user" as user_id, tool, admission, started_at, ended_at from tool_session'
    " where cell = :cell and customer = :customer order by started_at desc limit :most"
)

COUNT_REFUSALS = Sql(
    "insert into refusal (cell, customer, minute, action, reason, refused)"
    " values (:cell, :customer, :minute, :action, :reason, :refused)"
    " on conflict (cell, customer, minute, action, reason) do update set refused = refusal.refused + excluded.refused"
)
REFUSALS_SINCE = Sql(
    "select minute, action, reason, refused from refusal"
    " where cell = :cell and customer = :customer and minute >= :since order by minute desc limit :most"
)

OPEN_LEASES_OF_SPAN = Sql(
    "select cell, customer, slots from lease where ended_at is null"
    " and (cell, customer) >= (:cell, :customer) and (cell, customer) <= (:last_cell, :last_customer)"
)
OPEN_HOLDS_OF_SPAN = Sql(
    "select h.cell, h.customer, e.moves from hold h"
    " join entry e on e.cell = h.cell and e.customer = h.customer and e.seq = h.seq where h.status = 'open'"
    " and (h.cell, h.customer) >= (:cell, :customer) and (h.cell, h.customer) <= (:last_cell, :last_customer)"
)

NEWEST_REFUSALS = Sql(
    "select customer, minute, action, reason, refused from refusal where minute >= :since"
    " order by minute desc, customer, action, reason limit :most"
)
REFUSALS_BY_REASON = Sql(
    "select reason, sum(refused) as refused, count(distinct customer) as customers from refusal"
    " where minute >= :since group by reason order by 2 desc, 1"
)
