"""Every statement of alerts."""

from tollhouse.store import Sql

_FIELDS = "id, key, severity, title, detail, fix, happened, opened_at, last_at, told_at, reminded_at, ended_at, told_by"
OPEN = Sql(
    "insert into alert (id, key, severity, title, detail, fix, happened, last_fact, opened_at, last_at)"
    " values (:id, :key, :severity, :title, :detail, :fix, 1, :fact, :now, :now)"
    " on conflict (key) where ended_at is null do update set happened = alert.happened + 1, last_at = excluded.last_at,"
    " title = excluded.title, detail = excluded.detail, fix = excluded.fix, last_fact = excluded.last_fact,"
    " told_at = case when excluded.severity = 'critical' and alert.severity <> 'critical' then null"
    " else alert.told_at end, severity = excluded.severity"
    " where alert.last_fact is null or alert.last_fact <> excluded.last_fact"
)
OPEN_ONES = Sql(f"select {_FIELDS} from alert where ended_at is null order by opened_at, id limit :most")
NEWEST = Sql(f"select {_FIELDS} from alert order by opened_at desc, id desc limit :most")
# What happened once more since it was looked at is not over.
END = Sql("update alert set ended_at = :now where id = :id and ended_at is null and happened = :happened")
TO_OPEN = Sql(f"select {_FIELDS} from alert where told_at is null and ended_at is null order by opened_at, id")
LAST_LETTER = Sql("select max(told_at) as at from alert")
TO_REMIND = Sql(
    f"select {_FIELDS} from alert where ended_at is null and reminded_at is null and told_at <= :before"
    " order by opened_at, id"
)
TO_END = Sql(
    f"select {_FIELDS} from alert where ended_at is not null and told_at is not null and end_told_at is null"
    " order by opened_at, id"
)
LOCK = {found: Sql(f"{found.text} [[for update skip locked]]") for found in (TO_OPEN, TO_REMIND, TO_END)}
TOLD = Sql("update alert set told_at = :now, told_by = :channels where id = :id")
REMINDED = Sql("update alert set reminded_at = :now where id = :id")
END_TOLD = Sql("update alert set end_told_at = :now where id = :id")

# What still is as an alert says.
PARKED_OF = Sql("select 1 as one from inbox where source = 'stripe' and subject = :name and status = 'parked' limit 1")
REFUSED_WAITING = Sql(
    "select 1 as one from inbox where source || '' = 'stripe' and status = 'parked' and attempts = 0"
    " order by received_at, id limit 1"
)
# Asked once for all alerts of the kind, and only while there is one.
UNMAPPED = Sql("select distinct price as name from subscription where plan is null and ended_at is null")
SECOND = Sql("select id as name from subscription where second_since is not null and ended_at is null")
