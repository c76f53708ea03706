"""Every statement on endpoints, events, deliveries and attempts."""

from tollhouse.store import Sql

_ENDPOINT = (
    "id, url, description, events, created_at, created_by, secret_at, disabled_at, disabled_why, failing_since,"
    " old_secret_until"
)
_DELIVERY = "d.endpoint, d.event, v.type, v.customer, d.status, d.attempts, d.created_at, d.due_at, d.done_at, d.answered, d.error"
_DUE = "status = 'waiting' and due_at <= :now and (claimed_until is null or claimed_until <= :now)"
_MINE = "endpoint = :endpoint and event = :event and claim = :claim and status = 'waiting'"

INSERT_ENDPOINT = Sql(
    "insert into hook_endpoint (id, url, description, events, secret, secret_at, created_at, created_by)"
    " values (:id, :url, :description, :events, :secret, :now, :now, :by_whom)"
)
ENDPOINTS = Sql(f"select {_ENDPOINT} from hook_endpoint order by created_at, id")
ENDPOINT = Sql(f"select {_ENDPOINT} from hook_endpoint where id = :id")
LOCK_ENDPOINTS = Sql(f"select {_ENDPOINT} from hook_endpoint order by created_at, id [[for share]]")
LOCK_ENDPOINT = Sql(f"select {_ENDPOINT} from hook_endpoint where id = :id [[for update]]")
SECRETS = Sql("select url, secret, old_secret, old_secret_until, disabled_at from hook_endpoint where id = :id")
ROTATE = Sql(
    "update hook_endpoint set old_secret = case when cast(:until as bigint) is not null then secret end,"
    " secret = :secret, secret_at = :now, old_secret_until = :until where id = :id"
)
DISABLE = Sql("update hook_endpoint set disabled_at = :now, disabled_why = :why where id = :id and disabled_at is null")
ENABLE = Sql(
    "update hook_endpoint set disabled_at = null, disabled_why = null, failing_since = null"
    " where id = :id and disabled_at is not null"
)
FAILING = Sql("update hook_endpoint set failing_since = :now where id = :id and failing_since is null")
ANSWERING = Sql("update hook_endpoint set failing_since = null where id = :id and failing_since is not null")
REMOVE_ATTEMPTS = Sql("delete from hook_attempt where endpoint = :id")
REMOVE_DELIVERIES = Sql("delete from hook_delivery where endpoint = :id")
REMOVE_ENDPOINT = Sql("delete from hook_endpoint where id = :id")

INSERT_EVENT = Sql(
    "insert into hook_event (id, type, customer, payload, created_at) values (:id, :type, :customer, :payload, :at)"
    " on conflict (id) do nothing"
)
EVENT = Sql("select id, type, customer, payload, created_at from hook_event where id = :id")
INSERT_DELIVERY = Sql(
    "insert into hook_delivery (endpoint, event, status, attempts, created_at, due_at, done_at, error)"
    " values (:endpoint, :event, :status, 0, :now, :now, :done_at, :error) on conflict (endpoint, event) do nothing"
)

ENDPOINTS_DUE = Sql(
    "select id from hook_endpoint where disabled_at is null and exists ("
    f"select 1 from hook_delivery where hook_delivery.endpoint = hook_endpoint.id and {_DUE}) order by id"
)
_LOCK = (
    "select d.event, d.attempts, v.payload from hook_delivery d join hook_event v on v.id = d.event"
    " where d.endpoint = :endpoint{one} and d.status = 'waiting' and d.due_at <= :now"
    " and (d.claimed_until is null or d.claimed_until <= :now)"
    " order by d.due_at, d.event limit :most [[for update of d skip locked]]"
)
LOCK_DUE = Sql(_LOCK.format(one=""))
LOCK_ONE = Sql(_LOCK.format(one=" and d.event = :event"))
CLAIM = Sql(
    "update hook_delivery set claim = :claim, claimed_until = :until where endpoint = :endpoint and event = :event"
)
DELIVERED = Sql(
    "update hook_delivery set status = 'delivered', attempts = attempts + 1, done_at = :now, answered = :answered,"
    f" error = null, claim = null, claimed_until = null where {_MINE}"
)
RETRY = Sql(
    "update hook_delivery set attempts = attempts + 1, due_at = :due_at, answered = :answered, error = :error,"
    f" claim = null, claimed_until = null where {_MINE}"
)
GIVE_UP = Sql(
    "update hook_delivery set status = 'failed', attempts = attempts + 1, done_at = :now, answered = :answered,"
    f" error = :error, claim = null, claimed_until = null where {_MINE}"
)
RELEASE = Sql(
    "update hook_delivery set claim = null, claimed_until = null"
    " where endpoint = :endpoint and claim = :claim and status = 'waiting'"
)
INSERT_ATTEMPT = Sql(
    "insert into hook_attempt (id, endpoint, event, at, took_ms, answered, error, answer)"
    " values (:id, :endpoint, :event, :at, :took_ms, :answered, :error, :answer)"
)
FAIL_WAITING = Sql(
    "update hook_delivery set status = 'failed', done_at = :now, error = coalesce(error, :error), claim = null,"
    " claimed_until = null where endpoint = :endpoint and status = 'waiting'"
)

REPLAY_ONE = Sql(
    "update hook_delivery set status = 'waiting', attempts = 0, due_at = :now, done_at = null, claim = null,"
    " claimed_until = null where endpoint = :endpoint and event = :event"
)
REPLAY_FAILED = Sql(
    "update hook_delivery set status = 'waiting', attempts = 0, due_at = :now, done_at = null, claim = null,"
    " claimed_until = null where endpoint = :endpoint and created_at >= :since and (status = 'failed'"
    " or (status = 'waiting' and attempts > 0 and (claimed_until is null or claimed_until <= :now)))"
)
COUNT_FAILED = Sql(
    "select count(*) as failed, min(created_at) as oldest from hook_delivery"
    " where endpoint = :endpoint and status = 'failed' and done_at >= :since"
)
COUNTS = Sql(
    "select status, count(*) as number from hook_delivery where endpoint = :endpoint and created_at >= :since group by status"
)
DELIVERY = Sql(
    f"select {_DELIVERY} from hook_delivery d join hook_event v on v.id = d.event"
    " where d.endpoint = :endpoint and d.event = :event"
)
_LIST = (
    f"select {_DELIVERY} from hook_delivery d join hook_event v on v.id = d.event"
    " where d.endpoint = :endpoint{status} and (d.created_at < :at or (d.created_at = :at and d.event < :event))"
    " order by d.created_at desc, d.event desc limit :most"
)
DELIVERIES = Sql(_LIST.format(status=""))
DELIVERIES_OF_STATUS = Sql(_LIST.format(status=" and d.status = :status"))
ATTEMPTS = Sql(
    "select at, took_ms, answered, error, answer from hook_attempt where event = :event and endpoint = :endpoint"
    " order by at desc, id desc limit :most"
)

_OLD = "(select id from hook_event where created_at < :before order by created_at limit :most)"
FORGET_ATTEMPTS = Sql(f"delete from hook_attempt where event in {_OLD}")
FORGET_DELIVERIES = Sql(f"delete from hook_delivery where event in {_OLD}")
FORGET_EVENTS = Sql(f"delete from hook_event where id in {_OLD}")
