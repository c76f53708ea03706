"""Every statement about customers who are moved to another plan or version."""

from tollhouse.store import Sql

ACCOUNTS_AFTER = Sql(
    "select a.cell, a.customer, a.state, c.email, c.locale, s.id as stripe_customer"
    " from (select cell, customer, state from account where (cell, customer) > (:cell, :customer) and scope = ''"
    " order by cell, customer limit :most) a join customer c on c.cell = a.cell and c.id = a.customer"
    " left join stripe_customer s on s.customer = a.customer order by a.cell, a.customer"
)
_SPAN = "(cell, customer) >= (:cell, :customer) and (cell, customer) <= (:last_cell, :last_customer)"
SUBSCRIPTIONS_OF_SPAN = Sql(
    "select cell, customer, id, status, plan, every, currency, amount_minor, period_end, cancel_at, later_plan"
    f" from subscription where {_SPAN} and plan is not null and second_since is null and ended_at is null"
    " and status in ('active', 'trialing', 'past_due', 'unpaid', 'paused')"
    " order by cell, customer, created_at desc, id desc"
)
_PAIR = (
    "cell = :cell and customer = :customer and from_plan = :from_plan and from_version = :from_version"
    " and to_plan = :to_plan and to_version = :to_version"
)
_KEY = "cell, customer, from_plan, from_version, to_plan, to_version"
_KEY_VALUES = ":cell, :customer, :from_plan, :from_version, :to_plan, :to_version"
NOTIFIED_OF_SPAN = Sql(f"select {_KEY} from plan_move where {_SPAN} and notified_at is not null")
NOTIFIED = Sql(
    f"insert into plan_move ({_KEY}, notified_at) values ({_KEY_VALUES}, :now)"
    f" on conflict ({_KEY}) do update set notified_at = excluded.notified_at where plan_move.notified_at is null"
)
BEGUN = Sql(
    f"insert into plan_move ({_KEY}, begun_at) values ({_KEY_VALUES}, :now)"
    f" on conflict ({_KEY}) do update set moved_at = null, begun_at ="
    " case when plan_move.moved_at is null then coalesce(plan_move.begun_at, excluded.begun_at) else excluded.begun_at end"
)
READ_BEGUN = Sql(f"select begun_at from plan_move where {_PAIR}")
MOVED = Sql(
    f"insert into plan_move ({_KEY}, moved_at) values ({_KEY_VALUES}, :now)"
    f" on conflict ({_KEY}) do update set moved_at = excluded.moved_at, failed_at = null, reason = null"
)
FAILED = Sql(
    f"insert into plan_move ({_KEY}, failed_at, reason) values ({_KEY_VALUES}, :now, :reason)"
    f" on conflict ({_KEY}) do update set failed_at = excluded.failed_at, reason = excluded.reason"
)
BEGUN_AFTER = Sql(
    f"select {_KEY} from plan_move where ({_KEY}) > ({_KEY_VALUES}) and begun_at is not null and moved_at is null"
    f" order by {_KEY} limit :most"
)
PASS_FENCE = Sql("update stripe_customer set sync_seq = sync_seq + 1 where id = :id and sync_seq = :sync_seq")
MOVE_SUBSCRIPTION = Sql(
    "update subscription set plan = :plan, version = :version, price = :price, amount_minor = :amount_minor"
    " where cell = :cell and customer = :customer and id = :id"
)
MOVES_BY_PAIR = Sql(
    "select from_plan, from_version, to_plan, to_version, count(notified_at) as notified, count(moved_at) as moved,"
    " sum(case when failed_at is not null and moved_at is null then 1 else 0 end) as failed, max(moved_at) as last_moved_at"
    " from plan_move group by from_plan, from_version, to_plan, to_version"
    " order by from_plan, from_version, to_plan, to_version"
)
FAILURES = Sql(
    f"select {_KEY}, failed_at, reason from plan_move where failed_at is not null and moved_at is null"
    " order by failed_at desc, customer limit :most"
)
