"""Every statement on customers, members, projects and keys."""

from tollhouse.store import Sql

INSERT_NAME = Sql(
    "insert into customer_name (kind, name, customer) values (:kind, :name, :customer) on conflict (kind, name) do nothing"
)
READ_NAME = Sql("select customer from customer_name where kind = :kind and name = :name")
MOVE_NAME = Sql(
    "update customer_name set customer = :customer where kind = :kind and name = :name and customer = :before"
)

_CUSTOMER = "id, external_id, email, name, city, locale, made_by, created_at, verified_at"
INSERT_CUSTOMER = Sql(
    f"insert into customer (cell, {_CUSTOMER})"
    " values (:cell, :id, :external_id, :email, :name, :city, :locale, :made_by, :created_at, :verified_at)"
)
READ_CUSTOMER = Sql(f"select {_CUSTOMER} from customer where cell = :cell and id = :id")
ADOPT_CUSTOMER = Sql(
    "update customer set external_id = :external_id"
    " where cell = :cell and id = :id and external_id is null and verified_at is not null"
)
VERIFY_CUSTOMER = Sql("update customer set verified_at = :now where cell = :cell and id = :id and verified_at is null")
SET_LANGUAGE = Sql("update customer set locale = :locale where cell = :cell and id = :id")

INSERT_MEMBER = Sql(
    "insert into member (user_id, customer, role, created_at, confirmed_at)"
    " values (:user, :customer, :role, :now, :confirmed_at)"
)
CONFIRM_MEMBER = Sql("update member set confirmed_at = :now where user_id = :user and confirmed_at is null")
READ_MEMBERSHIPS = Sql(
    "select customer, role, confirmed_at from member where user_id = :user order by created_at, customer"
)

INSERT_PROJECT = Sql(
    "insert into project (cell, customer, id, name, created_at) values (:cell, :customer, :id, :name, :now)"
)
INSERT_PROJECT_KEY = Sql(
    "insert into project_key (key, customer, project, created_at) values (:key, :customer, :project, :now)"
)
LIST_PROJECTS = Sql(
    "select p.id, p.name, p.created_at, k.key from project p"
    " join project_key k on k.project = p.id and k.revoked_at is null"
    " where p.cell = :cell and p.customer = :customer order by p.created_at, p.id"
)
READ_PROJECT_KEY = Sql("select customer, project from project_key where key = :key and revoked_at is null")

INSERT_SECRET_KEY = Sql(
    "insert into secret_key (id, digest, name, last4, created_at) values (:id, :digest, :name, :last4, :now)"
)
REVOKE_SECRET_KEY = Sql("update secret_key set revoked_at = :now where id = :id and revoked_at is null")
READ_SECRET_KEY = Sql("select id, name, last4, created_at, revoked_at from secret_key where id = :id")
LIST_SECRET_KEYS = Sql("select id, name, last4, created_at, revoked_at from secret_key order by created_at, id")
LIVE_SECRET_KEYS = Sql("select digest, id, name, last4, created_at from secret_key where revoked_at is null")
BUMP_KEY_CHANGE = Sql(
    "insert into secret_key_change (id, number) values (1, 1)"
    " on conflict (id) do update set number = secret_key_change.number + 1"
)
READ_KEY_CHANGE = Sql("select number from secret_key_change where id = 1")

_RESOLVE = (
    "with asked as ({asked})"
    " select a.reference, n.customer from asked a join customer_name n on n.kind = 'external' and n.name = a.reference"
    " union all"
    " select a.reference, m.customer from asked a join member m on m.user_id = a.reference"
    " where m.confirmed_at is not null"
)
RESOLVE_SQLITE = Sql(_RESOLVE.format(asked="select value as reference from json_each(:references)"))
RESOLVE_POSTGRES = Sql(
    _RESOLVE.format(asked="select value as reference from json_array_elements_text(cast(:references as json)) as value")
)

_FOUND = "c.id, c.external_id, c.email, c.name, c.city, c.locale, c.made_by, c.created_at, c.verified_at"
_NEWEST_FIRST = "order by c.created_at desc, c.id desc limit :most"
_WITH_ACCOUNT = "from customer c join account a on a.cell = c.cell and a.customer = c.id and a.scope = ''"
_BEFORE = "(c.created_at < :before or (c.created_at = :before and c.id < :before_id))"
LIST_CUSTOMERS = Sql(f"select {_FOUND}, a.state {_WITH_ACCOUNT} where {_BEFORE} {_NEWEST_FIRST}")
SEARCH_CUSTOMERS = Sql(
    f"select {_FOUND}, a.state {_WITH_ACCOUNT} where {_BEFORE}"
    " and (lower(c.email) like :like escape '!' or lower(c.name) like :like escape '!'"
    f" or c.external_id = :exact or c.id = :exact) {_NEWEST_FIRST}"
)
COUNT_CUSTOMERS = Sql("select count(*) as number from customer")
