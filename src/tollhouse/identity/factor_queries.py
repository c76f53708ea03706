"""Every statement on second factors and recovery codes."""

from tollhouse.store import Sql

_FACTOR = "sealed, created_at, confirmed_at, last_step, failures, blocked_until"
READ = Sql(f"select {_FACTOR} from second_factor where user_id = :user")
LOCK = Sql(f"select {_FACTOR} from second_factor where user_id = :user [[for update]]")
LOCK_USER = Sql("select password_hash from users where id = :user [[for update]]")
BEGIN = Sql(
    "insert into second_factor (user_id, sealed, created_at, last_step, failures, blocked_until)"
    " values (:user, :sealed, :at, 0, 0, 0) on conflict (user_id) do update set sealed = excluded.sealed,"
    " created_at = excluded.created_at where second_factor.confirmed_at is null"
)
CONFIRM = Sql("update second_factor set confirmed_at = :at where user_id = :user and confirmed_at is null")
TAKEN = Sql("update second_factor set last_step = :last_step, failures = 0, blocked_until = 0 where user_id = :user")
FAILED = Sql("update second_factor set failures = :failures, blocked_until = :blocked_until where user_id = :user")
FORGET = Sql("delete from second_factor where user_id = :user")
KEEP_CODE = Sql("insert into recovery_code (user_id, digest) values (:user, :digest)")
USE_CODE = Sql("update recovery_code set used_at = :at where user_id = :user and digest = :digest and used_at is null")
COUNT_LEFT = Sql("select count(*) as number from recovery_code where user_id = :user and used_at is null")
FORGET_CODES = Sql("delete from recovery_code where user_id = :user")
END_OTHER_SESSIONS = Sql(
    "update session set revoked_at = :now where user_id = :user and id <> :kept and revoked_at is null"
)
