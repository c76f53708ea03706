"""Every statement on users, sessions and e-mail tokens."""

from tollhouse.store import Sql

_USER = "u.id, u.email, u.name, u.locale, u.password_hash, u.staff_role, u.created_at, u.verified_at"

INSERT_USER = Sql(
    "insert into users (id, email, name, locale, password_hash, created_at, verified_at)"
    " values (:id, :email, :name, :locale, :password_hash, :created_at, :verified_at) on conflict (email) do nothing"
)
READ_USER = Sql(f"select {_USER} from users u where u.id = :id")
LOCK_USER = Sql(f"select {_USER} from users u where u.id = :id [[for update]]")
FIND_USER = Sql(f"select {_USER} from users u where u.email = :email")
LIST_STAFF = Sql(f"select {_USER} from users u where u.staff_role is not null order by u.email")
SET_PASSWORD = Sql("update users set password_hash = :password_hash where id = :id")
SET_PROFILE = Sql("update users set name = :name, locale = :locale where id = :id")
SET_VERIFIED = Sql("update users set verified_at = :now where id = :id and verified_at is null")
SET_STAFF_ROLE = Sql("update users set staff_role = :role where id = :id")

INSERT_SESSION = Sql(
    "insert into session (digest, id, user_id, created_at, seen_at, expires_at, address, agent)"
    " values (:digest, :id, :user, :now, :now, :expires_at, :address, :agent)"
)
READ_SESSION = Sql(
    f"select s.id as session, s.created_at as opened_at, s.seen_at, s.expires_at, {_USER},"
    " (select f.confirmed_at from second_factor f where f.user_id = u.id) as factor_since"
    " from session s join users u on u.id = s.user_id"
    " where s.digest = :digest and s.revoked_at is null and s.expires_at > :now and s.seen_at > :idle_since"
)
SEE_SESSION = Sql("update session set seen_at = :now where digest = :digest and revoked_at is null and seen_at < :now")
LIST_SESSIONS = Sql(
    "select id, created_at, seen_at, expires_at, address, agent from session where user_id = :user"
    " and revoked_at is null and expires_at > :now and seen_at > :idle_since order by seen_at desc, id desc"
)
REVOKE_SESSION = Sql("update session set revoked_at = :now where digest = :digest and revoked_at is null")
REVOKE_ONE_SESSION = Sql(
    "update session set revoked_at = :now where user_id = :user and id = :id and revoked_at is null"
)
REVOKE_OTHER_SESSIONS = Sql(
    "update session set revoked_at = :now where user_id = :user and id <> :kept and revoked_at is null"
)
FORGET_SESSIONS = Sql("delete from session where user_id = :user and expires_at < :now")

INSERT_TOKEN = Sql(
    "insert into email_token (digest, user_id, purpose, email, created_at, expires_at)"
    " values (:digest, :user, :purpose, :email, :now, :expires_at)"
)
READ_TOKEN = Sql(
    "select user_id, email from email_token"
    " where digest = :digest and purpose = :purpose and used_at is null and expires_at > :now"
)
USE_TOKEN = Sql(
    "update email_token set used_at = :now"
    " where digest = :digest and purpose = :purpose and used_at is null and expires_at > :now"
)
USE_ALL_TOKENS = Sql(
    "update email_token set used_at = :now where user_id = :user and purpose = :purpose and used_at is null"
)
FORGET_TOKENS = Sql("delete from email_token where user_id = :user and expires_at < :now")
