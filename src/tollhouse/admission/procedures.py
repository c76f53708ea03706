"""The save as one PostgreSQL function: one round trip, plans kept by the session, and a plain path when nothing is stale.

The name carries a version: processes of two releases may serve side by side while one is rolled out.
"""

from sqlalchemy import event

from tollhouse.admission.tables import hold
from tollhouse.store import metadata
from tollhouse.store.tables import on_postgres

COLUMNS = {
    "a_cell": "smallint", "a_customer": "text", "a_version": "bigint", "a_state": "text", "a_due": "bigint",
    "e_cell": "smallint", "e_customer": "text", "e_seq": "bigint", "e_kind": "text", "e_action": "text", "e_at": "bigint",
    "e_moves": "text", "e_remaining": "bigint", "e_used": "bigint", "e_metadata": "text",
    "k_operation": "text", "k_key": "text", "k_fingerprint": "text", "k_answer": "text",
    "h_cell": "smallint", "h_customer": "text", "h_seq": "bigint", "h_on_expiry": "text", "h_expires_at": "bigint",
    "l_cell": "smallint", "l_customer": "text", "l_seq": "bigint", "l_action": "text", "l_slots": "text",
    "l_ttl": "bigint", "l_at": "bigint",
}  # fmt: skip
"""A batch's columns in order: accounts, entries with their keys, holds, leases. Each comes as one text, see `joined`."""

PARAMETERS = ", ".join(f"_{name} text" for name in COLUMNS)
SPLIT = "\n".join(
    f"  {name} constant {kind}[] := string_to_array(_{name}, e'\\x1f', e'\\x02')::{kind}[];"
    for name, kind in COLUMNS.items()
)

KNOWN_KEYS = """
  -- A key that exists already belongs to an answer that was given: its customer is decided again (rule 3).
  select array_agg(distinct q.customer) into known
    from unnest(e_cell, e_customer, k_operation, k_key) as q(cell, customer, operation, key)
    join idempotency_key k
      on k.cell = q.cell and k.customer = q.customer and k.operation = q.operation and k.key = q.key;"""
NOT_KNOWN = """
       and (known is null or g.customer <> all (known))"""


def _procedure(name: str, known_keys: str, not_known: str) -> str:
    return f"""
create or replace function {name}({PARAMETERS})
returns text[] language plpgsql as $body$
declare
{SPLIT}
  known text[];
  saved text[];
begin{known_keys}
  -- Compare and set, in the order of the arrays: both processes lock rows in the same order (rule 4).
  with updated as (
    update account a set version = a.version + 1, state = g.state, next_due = g.due
      from unnest(a_cell, a_customer, a_version, a_state, a_due) as g(cell, customer, version, state, due)
     where a.cell = g.cell and a.customer = g.customer and a.scope = '' and a.version = g.version{not_known}
    returning a.customer
  )
  select array_agg(customer) into saved from updated;
  if saved is null then
    return '{{}}';
  end if;
  if cardinality(saved) = cardinality(a_customer) then
    insert into entry (cell, customer, seq, kind, action, at, moves, remaining, used, metadata)
    select * from unnest(e_cell, e_customer, e_seq, e_kind, e_action, e_at, e_moves, e_remaining, e_used, e_metadata);
    insert into idempotency_key (cell, customer, operation, key, fingerprint, seq, answer, at)
    select q.cell, q.customer, q.operation, q.key, decode(q.fingerprint, 'hex'), q.seq, q.answer, q.at
      from unnest(e_cell, e_customer, k_operation, k_key, k_fingerprint, e_seq, k_answer, e_at)
      as q(cell, customer, operation, key, fingerprint, seq, answer, at) where q.key is not null;
  else
    insert into entry (cell, customer, seq, kind, action, at, moves, remaining, used, metadata)
    select * from unnest(e_cell, e_customer, e_seq, e_kind, e_action, e_at, e_moves, e_remaining, e_used, e_metadata)
      as e(cell, customer, seq, kind, action, at, moves, remaining, used, metadata) where e.customer = any (saved);
    insert into idempotency_key (cell, customer, operation, key, fingerprint, seq, answer, at)
    select q.cell, q.customer, q.operation, q.key, decode(q.fingerprint, 'hex'), q.seq, q.answer, q.at
      from unnest(e_cell, e_customer, k_operation, k_key, k_fingerprint, e_seq, k_answer, e_at)
      as q(cell, customer, operation, key, fingerprint, seq, answer, at)
     where q.key is not null and q.customer = any (saved);
  end if;
  if cardinality(h_cell) > 0 then
    insert into hold (cell, customer, seq, status, on_expiry, expires_at)
    select h.cell, h.customer, h.seq, 'open', h.on_expiry, h.expires_at
      from unnest(h_cell, h_customer, h_seq, h_on_expiry, h_expires_at) as h(cell, customer, seq, on_expiry, expires_at)
     where h.customer = any (saved);
  end if;
  if cardinality(l_cell) > 0 then
    insert into lease (cell, customer, seq, action, slots, ttl_ms, started_at, last_beat, expires_at)
    select l.cell, l.customer, l.seq, l.action, l.slots, l.ttl, l.at, l.at, l.at + l.ttl
      from unnest(l_cell, l_customer, l_seq, l_action, l_slots, l_ttl, l_at) as l(cell, customer, seq, action, slots, ttl, at)
     where l.customer = any (saved);
  end if;
  return saved;
end
$body$
"""


SAVE_BATCH = _procedure("save_batch_1", KNOWN_KEYS, NOT_KNOWN)
SAVE_NEW_KEYS = _procedure("save_new_keys_1", "", "")
"""As above, for keys that are thought to be new: one that exists already violates the key's index, and nothing is written."""
DROP_SAVE_BATCH = "drop function if exists save_batch_1"
DROP_SAVE_NEW_KEYS = "drop function if exists save_new_keys_1"

for made, dropped in ((SAVE_BATCH, DROP_SAVE_BATCH), (SAVE_NEW_KEYS, DROP_SAVE_NEW_KEYS)):
    event.listen(metadata, "after_create", on_postgres(made))
    event.listen(hold, "after_drop", on_postgres(dropped))
