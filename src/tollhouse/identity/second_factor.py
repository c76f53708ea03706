"""One-time codes beside the password (TOTP, RFC 6238), and the recovery codes in their place.

begin_factor(tx, desk, user, at) -> secret          confirm_factor(store, desk, session, code, at) -> recovery codes
require_no_code(tx, desk, user, hash, now)          check_code(store, desk, user, code, at)
change_factor(store, desk, user, code, at, off=…)   forget_factor(tx, user)

A code is good once, in its own half minute and the one before and after; attempts are counted in the database, so that
neither another process nor a restart gives more of them. `at` is the real time, whatever the test clock says.
"""

import hmac
import secrets

import msgspec
import pyotp

from tollhouse.identity import factor_queries as queries
from tollhouse.identity.desk import IdentityDesk
from tollhouse.identity.model import Session, User
from tollhouse.kernel.clock import MINUTE, SECOND
from tollhouse.kernel.errors import ConfigurationError, Conflict, NotAllowed, NotAuthenticated, TooManyAttempts
from tollhouse.store import Row, Store, Tx

STEP_MS = 30 * SECOND
WINDOW_STEPS = 1
FREE_FAILURES = 5
FIRST_PAUSE_MS = 30 * SECOND
LONGEST_PAUSE_MS = 15 * MINUTE
PENDING_MS = 10 * MINUTE
RECOVERY_CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is read as another
_HALF = 5


class CodeNeeded(NotAuthenticated):
    """The password was right, and the user signs in with a code too. `pending` proves the first half for ten minutes."""

    default_code = "code_needed"

    def __init__(self, pending: str) -> None:
        super().__init__("a one-time code is needed to sign in", fix="send the code of the authenticator app")
        self.pending = pending


class FactorState(msgspec.Struct, frozen=True):
    """How a user's second factor stands. `secret` only while it waits for its first code; `codes_left` of the ten."""

    since: int | None = None
    secret: str | None = None
    codes_left: int = 0

    def __repr__(self) -> str:
        return f"FactorState(since={self.since!r}, codes_left={self.codes_left})"


async def factor_of(tx: Tx, desk: IdentityDesk, user: User) -> FactorState:
    """For the user's own page."""
    row = await tx.fetch_one(queries.READ, user=user.id)
    if row is None:
        return FactorState()
    if row["confirmed_at"] is None:
        return FactorState(secret=desk.seal.unlock("second-factor", user.id, bytes(row["sealed"])))
    left = await tx.fetch_one(queries.COUNT_LEFT, user=user.id)
    return FactorState(row["confirmed_at"], codes_left=int(left["number"]) if left is not None else 0)


def address_of(secret: str, user: User, product: str) -> str:
    """What the QR code says: `otpauth://totp/…`, as authenticator apps read it."""
    return pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=product)


async def begin_factor(tx: Tx, desk: IdentityDesk, user: User, at: int) -> None:
    """Make a secret, which is asked for once a code of it was typed. Raises Conflict when one is in force."""
    sealed = desk.seal.lock("second-factor", user.id, pyotp.random_base32())
    if not await tx.execute(queries.BEGIN, user=user.id, sealed=sealed, at=at):
        raise Conflict("a second factor is in force already", code="factor_in_force", fix="turn it off first")


async def confirm_factor(store: Store, desk: IdentityDesk, session: Session, code: str, at: int, now: int) -> list[str]:
    """From now on the user signs in with a code too; their other sessions end. The recovery codes, told this once.

    Raises NotAuthenticated `wrong_code`, TooManyAttempts, Conflict when it was not begun.
    """
    user = session.user
    async with store.transaction() as tx:
        await tx.fetch_one(queries.LOCK_USER, user=user.id)
        row = await tx.fetch_one(queries.LOCK, user=user.id)
        if row is None or row["confirmed_at"] is not None:
            raise Conflict("nothing waits to be confirmed", code="factor_not_begun", fix="begin again")
        taken = await _take(tx, desk, row, user.id, code, at, recovery=False)
        codes = []
        if taken is None:
            await tx.execute(queries.CONFIRM, user=user.id, at=at)
            await tx.execute(queries.END_OTHER_SESSIONS, user=user.id, kept=session.id, now=now)
            codes = await _new_recovery_codes(tx, desk, user.id)
    if taken is not None:
        raise taken
    return codes


async def require_no_code(tx: Tx, desk: IdentityDesk, user: User, password_hash: str | None, now: int) -> None:
    """Raises CodeNeeded for somebody who has just proven the password and signs in with a code too."""
    row = await tx.fetch_one(queries.READ, user=user.id)
    if row is not None and row["confirmed_at"] is not None:
        proof = f"{user.id}.{now + PENDING_MS}.{_fingerprint(desk, password_hash)}"
        raise CodeNeeded(desk.seal.sign("pending", proof))


async def check_pending(tx: Tx, desk: IdentityDesk, pending: str, now: int) -> str:
    """The user who has proven the password, which is still the same. Raises NotAuthenticated `code_expired`."""
    user, _, rest = (desk.seal.signed("pending", pending) or "").partition(".")
    until, _, fingerprint = rest.partition(".")
    row = await tx.fetch_one(queries.LOCK_USER, user=user) if until.isdecimal() and int(until) > now else None
    if row is None or not hmac.compare_digest(_fingerprint(desk, row["password_hash"]), fingerprint):
        raise NotAuthenticated("the password was typed too long ago", code="code_expired", fix="sign in again")
    return user


async def check_code(tx: Tx, desk: IdentityDesk, user: str, code: str, at: int) -> NotAllowed | TooManyAttempts | None:
    """Take a code or recovery code of this user, once. What was wrong with it is for the caller to raise, after the
    transaction has kept that it was tried.
    """
    row = await tx.fetch_one(queries.LOCK, user=user)
    if row is None or row["confirmed_at"] is None:
        return None
    return await _take(tx, desk, row, user, code, at, recovery=True)


async def change_factor(store: Store, desk: IdentityDesk, user: User, code: str, at: int, *, off: bool) -> list[str]:
    """Turn it off, or give ten new recovery codes in place of the old ones; a code proves that it is the user.

    Raises NotAuthenticated `wrong_code`, TooManyAttempts.
    """
    codes: list[str] = []
    async with store.transaction() as tx:
        wrong = await check_code(tx, desk, user.id, code, at)
        if wrong is None and off:
            await forget_factor(tx, user.id)
        elif wrong is None:
            codes = await _new_recovery_codes(tx, desk, user.id)
    if wrong is not None:
        raise wrong
    return codes


async def forget_factor(tx: Tx, user: str) -> bool:
    """The password alone lets this user in again. Whether there was anything to forget."""
    await tx.execute(queries.FORGET_CODES, user=user)
    return await tx.execute(queries.FORGET, user=user) > 0


async def _take(
    tx: Tx, desk: IdentityDesk, row: Row, user: str, code: str, at: int, *, recovery: bool
) -> NotAllowed | TooManyAttempts | None:
    """None when the code is right: it is used up, and the failures are forgotten. Else one failure more is kept."""
    if at < row["blocked_until"]:
        seconds = -(-(row["blocked_until"] - at) // SECOND)
        return TooManyAttempts("too many wrong codes", fix=f"try again in {seconds} s", retry_after=seconds)
    typed = "".join(code.split()).replace("-", "").lower()
    secret = desk.seal.unlock("second-factor", user, bytes(row["sealed"]))
    if secret is None:
        raise ConfigurationError(
            "the second factor was sealed with another SESSION_SECRET", setting="SESSION_SECRET",
            fix="set the former secret again, or run `tollhouse staff totp reset EMAIL`",
        )  # fmt: skip
    step = _step_of(secret, typed, at)
    if step is not None and step > row["last_step"]:
        await tx.execute(queries.TAKEN, user=user, last_step=step)
        return None
    if recovery and step is None and await _use_recovery_code(tx, desk, user, typed, at):
        await tx.execute(queries.TAKEN, user=user, last_step=row["last_step"])
        return None
    failures = row["failures"] + 1
    beyond = failures - FREE_FAILURES
    blocked_until = at + min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << min(beyond, 20)) if beyond >= 0 else 0
    await tx.execute(queries.FAILED, user=user, failures=failures, blocked_until=blocked_until)
    return NotAuthenticated(
        "this code is wrong, or was used before", code="wrong_code", fix="wait for the next code of the app"
    )


def _step_of(secret: str, typed: str, at: int) -> int | None:
    """The half minute that this code belongs to, within the window; compared in the same time whatever it is."""
    present, found = at // STEP_MS, None
    code = pyotp.HOTP(secret)
    for step in range(present - WINDOW_STEPS, present + WINDOW_STEPS + 1):
        if hmac.compare_digest(code.at(step).encode(), typed.encode("utf-8", "surrogatepass")):
            found = step
    return found


async def _use_recovery_code(tx: Tx, desk: IdentityDesk, user: str, typed: str, at: int) -> bool:
    digest = desk.seal.digest("recovery", f"{user} {typed}")
    return await tx.execute(queries.USE_CODE, user=user, digest=digest, at=at) > 0


async def _new_recovery_codes(tx: Tx, desk: IdentityDesk, user: str) -> list[str]:
    codes = ["".join(secrets.choice(_LETTERS) for _ in range(2 * _HALF)) for _ in range(RECOVERY_CODES)]
    await tx.execute(queries.FORGET_CODES, user=user)
    await tx.execute_many(
        queries.KEEP_CODE,
        [{"user": user, "digest": desk.seal.digest("recovery", f"{user} {code}")} for code in codes],
    )
    return [f"{code[:_HALF]}-{code[_HALF:]}" for code in codes]


def _fingerprint(desk: IdentityDesk, password_hash: str | None) -> str:
    """Tells one stored hash from the next, and nothing of it."""
    return desk.seal.digest("pending", password_hash or "").hex()[:32]
