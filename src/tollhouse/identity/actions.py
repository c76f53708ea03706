"""What people do to sign in and out, one function per use case.

Those that hash a password take the store, because argon2 must never run inside a transaction; the others take `tx`.
Signing up, verifying an address and resetting a password touch a customer too: they stand in `customers/actions.py`.
"""

from typing import cast

import structlog

from tollhouse.identity import queries
from tollhouse.identity.desk import IdentityDesk
from tollhouse.identity.emails import known_locale, normal_email, plain_text
from tollhouse.identity.model import (
    IDLE_MS,
    RESET_MS,
    SEEN_EVERY_MS,
    SESSION_MS,
    VERIFY_MS,
    NewSession,
    Purpose,
    Session,
    SessionView,
    StaffRole,
    UsedToken,
    User,
    Visitor,
)
from tollhouse.identity.passwords import check_new_password
from tollhouse.identity.seal import new_token
from tollhouse.identity.second_factor import check_code, check_pending, forget_factor, require_no_code
from tollhouse.kernel.errors import Conflict, InvalidRequest, NotAuthenticated, NotFound
from tollhouse.kernel.facts import MailRequested
from tollhouse.kernel.ids import is_id, new_id
from tollhouse.store import Row, Store, Tx, outbox

log = structlog.get_logger(__name__)


# --- users


async def add_user(
    tx: Tx, *, email: str, name: str, locale: str, password_hash: str | None, now: int, verified: bool = False
) -> User:
    """A new user with this normalised address. Raises Conflict `email_taken`."""
    user = User(new_id("usr"), email, name, locale, now, now if verified else None, None, password_hash is not None)
    added = await tx.execute(
        queries.INSERT_USER, id=user.id, email=email, name=name, locale=locale, password_hash=password_hash,
        created_at=now, verified_at=user.verified_at,
    )  # fmt: skip
    if added == 0:
        raise Conflict(
            "somebody has signed up with this e-mail address already", code="email_taken",
            fix="sign in, or ask for a new password",
        )  # fmt: skip
    return user


async def find_user(tx: Tx, email: str) -> User | None:
    """The user with this address, written in any way."""
    row = await tx.fetch_one(queries.FIND_USER, email=normal_email(email))
    return user_from(row) if row is not None else None


async def read_user(tx: Tx, user: str) -> User:
    """Raises NotFound `user_not_found`."""
    row = await tx.fetch_one(queries.READ_USER, id=user)
    if row is None:
        raise NotFound(f"there is no user {user}", code="user_not_found", fix="use the id exactly as it was answered")
    return user_from(row)


async def change_profile(tx: Tx, user: str, *, name: str, locale: str) -> None:
    """The user's own name and language. Raises InvalidRequest."""
    await tx.execute(queries.SET_PROFILE, id=user, name=plain_text(name, "the name"), locale=known_locale(locale, "en"))


def user_from(row: Row) -> User:
    """A user as it was written."""
    return User(
        row["id"], row["email"], row["name"], row["locale"], row["created_at"], row["verified_at"],
        row["staff_role"], row["password_hash"] is not None,
    )  # fmt: skip


# --- signing in and out


async def sign_in(
    store: Store, desk: IdentityDesk, email: str, password: str, now: int, *, visitor: Visitor
) -> NewSession:
    """Open a session. Raises NotAuthenticated `bad_credentials` (in the same time whether the user exists or not),
    CodeNeeded after the right password of somebody who signs in with a code too, and TooManyAttempts with `retry_after`
    (s) after five wrong passwords for one address or twenty from one place."""
    address = _email_or_none(email)
    desk.attempt("sign-in", address, visitor, now)
    async with store.reading() as tx:
        row = await tx.fetch_one(queries.FIND_USER, email=address or "")
    stored = cast("str | None", row["password_hash"]) if row is not None else None
    verdict = await desk.passwords.verify(stored, password)
    if row is None or address is None or not verdict.matches:
        raise _bad_credentials()
    fresh = await desk.passwords.hash(password) if verdict.outdated else None
    async with store.transaction() as tx:
        locked = await tx.fetch_one(queries.LOCK_USER, id=row["id"])
        if locked is None or locked["password_hash"] != stored:
            raise _bad_credentials()  # the password was changed while we were checking the old one
        if fresh is not None:
            await tx.execute(queries.SET_PASSWORD, id=row["id"], password_hash=fresh)
        await require_no_code(tx, desk, user_from(locked), locked["password_hash"], now)
        session = await open_session(tx, desk, row["id"], now, visitor)
    desk.succeeded("sign-in", address, visitor)
    return session


async def sign_in_with_code(
    store: Store, desk: IdentityDesk, pending: str, code: str, now: int, at: int, *, visitor: Visitor
) -> NewSession:
    """Open a session for whoever has the password already (`CodeNeeded.pending`), by a one-time or recovery code.

    Raises NotAuthenticated `wrong_code` or `code_expired`, TooManyAttempts. `at` is the real time.
    """
    async with store.transaction() as tx:
        user = await read_user(tx, await check_pending(tx, desk, pending, now))
        wrong = await check_code(tx, desk, user.id, code, at)
        session = None if wrong is not None else await open_session(tx, desk, user.id, now, visitor)
    if session is None:
        raise wrong or _bad_credentials()
    desk.succeeded("sign-in", user.email, visitor)
    return session


def _email_or_none(text: str) -> str | None:
    try:
        return normal_email(text)
    except InvalidRequest:
        return None


def _bad_credentials() -> NotAuthenticated:
    return NotAuthenticated(
        "the e-mail address or the password is wrong",
        code="bad_credentials",
        fix="try again, or ask for a new password",
    )


async def open_session(tx: Tx, desk: IdentityDesk, user: str, now: int, visitor: Visitor) -> NewSession:
    """A session for a user who has just proven who they are; ends after 30 days, or 7 without use."""
    session = NewSession(new_id("lgn"), user, new_token(), now + SESSION_MS)
    await tx.execute(queries.FORGET_SESSIONS, user=user, now=now - SESSION_MS)
    await tx.execute(
        queries.INSERT_SESSION, digest=desk.seal.digest("session", session.token), id=session.id, user=user, now=now,
        expires_at=session.expires_at, address=_kept(visitor.address, 64), agent=_kept(visitor.agent, 200),
    )  # fmt: skip
    return session


def _kept(text: str, longest: int) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:longest]


async def current_session(store: Store, desk: IdentityDesk, token: str, now: int) -> Session | None:
    """The live session of this cookie value, or None. That it was used is written at most every ten minutes."""
    digest = desk.seal.digest("session", token)
    async with store.reading() as tx:
        row = await tx.fetch_one(queries.READ_SESSION, digest=digest, now=now, idle_since=now - IDLE_MS)
    if row is None:
        return None
    if now - row["seen_at"] >= SEEN_EVERY_MS:
        async with store.transaction() as tx:
            await tx.execute(queries.SEE_SESSION, digest=digest, now=now)
    return Session(
        row["session"], user_from(row), row["opened_at"], row["seen_at"], row["expires_at"],
        row["factor_since"] is not None,
    )  # fmt: skip


async def sign_out(tx: Tx, desk: IdentityDesk, token: str, now: int) -> None:
    """End the session of this cookie value; nothing happens when it has ended already."""
    await tx.execute(queries.REVOKE_SESSION, digest=desk.seal.digest("session", token), now=now)


async def list_sessions(tx: Tx, user: str, now: int) -> list[SessionView]:
    """A user's live sessions, the one used last first."""
    rows = await tx.fetch(queries.LIST_SESSIONS, user=user, now=now, idle_since=now - IDLE_MS)
    return [
        SessionView(r["id"], r["created_at"], r["seen_at"], r["expires_at"], r["address"], r["agent"]) for r in rows
    ]


async def revoke_session(tx: Tx, user: str, session: str, now: int) -> bool:
    """End one of the user's own sessions by its id (`lgn_…`). False when it is not a live one of theirs."""
    return is_id(session, "lgn") and await tx.execute(queries.REVOKE_ONE_SESSION, user=user, id=session, now=now) > 0


async def revoke_sessions(tx: Tx, user: str, now: int, *, but: str = "") -> int:
    """End every session of the user, except the one named. How many."""
    return await tx.execute(queries.REVOKE_OTHER_SESSIONS, user=user, kept=but, now=now)


# --- passwords


async def change_password(
    store: Store, desk: IdentityDesk, session: Session, old: str, new: str, now: int, *, visitor: Visitor
) -> None:
    """Set a new password and end the user's other sessions. Raises NotAuthenticated, InvalidRequest, TooManyAttempts."""
    user = session.user
    check_new_password(new, user.email)
    desk.attempt("sign-in", user.email, visitor, now)
    async with store.reading() as tx:
        row = await tx.fetch_one(queries.READ_USER, id=user.id)
    stored = cast("str | None", row["password_hash"]) if row is not None else None
    verdict = await desk.passwords.verify(stored, old)
    if not verdict.matches:
        raise NotAuthenticated("the present password is wrong", code="bad_credentials", fix="type it again")
    fresh = await desk.passwords.hash(new)
    async with store.transaction() as tx:
        locked = await tx.fetch_one(queries.LOCK_USER, id=user.id)
        if locked is None or locked["password_hash"] != stored:
            raise _bad_credentials()
        await set_password(tx, user.id, fresh, now, keep_session=session.id)
    desk.succeeded("sign-in", user.email, visitor)


async def check_password(
    store: Store, desk: IdentityDesk, user: User, password: str, now: int, *, visitor: Visitor
) -> None:
    """Whoever is signed in knows the password. Raises NotAuthenticated `bad_credentials`, TooManyAttempts."""
    desk.attempt("sign-in", user.email, visitor, now)
    async with store.reading() as tx:
        row = await tx.fetch_one(queries.READ_USER, id=user.id)
    stored = cast("str | None", row["password_hash"]) if row is not None else None
    if not (await desk.passwords.verify(stored, password)).matches:
        raise NotAuthenticated("the present password is wrong", code="bad_credentials", fix="type it again")
    desk.succeeded("sign-in", user.email, visitor)


async def set_password(tx: Tx, user: str, password_hash: str | None, now: int, *, keep_session: str = "") -> None:
    """Store a hash (None: only a link lets the user in), end the user's sessions (but one) and make every reset link they were sent worthless."""
    await tx.execute(queries.SET_PASSWORD, id=user, password_hash=password_hash)
    await revoke_sessions(tx, user, now, but=keep_session)
    await tx.execute(queries.USE_ALL_TOKENS, user=user, purpose="reset", now=now)


async def request_password_reset(store: Store, desk: IdentityDesk, email: str, now: int, *, visitor: Visitor) -> None:
    """Send a link for a new password, when a user has this address; the answer is the same when nobody has.

    Raises InvalidRequest for what is no address, TooManyAttempts.
    """
    address = normal_email(email)
    desk.attempt("reset", address, visitor, now)
    async with store.transaction() as tx:
        user = await find_user(tx, address)
        if user is not None:
            await send_link(tx, desk, user, "reset", now)


async def resend_verification(tx: Tx, desk: IdentityDesk, user: User, now: int, *, visitor: Visitor) -> None:
    """Send the link that verifies the address once more; nothing when it is verified. Raises TooManyAttempts."""
    if user.verified_at is None:
        desk.attempt("verify", user.email, visitor, now)
        await send_link(tx, desk, user, "verify", now)


# --- links in e-mails


async def make_link(tx: Tx, desk: IdentityDesk, user: User, purpose: Purpose, now: int) -> str:
    """An address that proves, once and for some time, that its holder reads the user's e-mail."""
    token = new_token()
    lasts = VERIFY_MS if purpose == "verify" else RESET_MS
    await tx.execute(queries.FORGET_TOKENS, user=user.id, now=now - SESSION_MS)
    await tx.execute(
        queries.INSERT_TOKEN, digest=desk.seal.digest(purpose, token), user=user.id, purpose=purpose,
        email=user.email, now=now, expires_at=now + lasts,
    )  # fmt: skip
    return f"{desk.url}/{purpose}?token={token}"


async def send_link(tx: Tx, desk: IdentityDesk, user: User, purpose: Purpose, now: int) -> None:
    """Ask for the e-mail `verify_email` or `reset_password`, with values url, name, product, expires_hours."""
    template, lasts = ("verify_email", VERIFY_MS) if purpose == "verify" else ("reset_password", RESET_MS)
    values = {
        "url": await make_link(tx, desk, user, purpose, now),
        "name": user.name,
        "product": desk.product,
        "expires_hours": str(lasts // 3_600_000),
    }
    await outbox.put(tx, MailRequested(template, user.email, user.locale, values), now=now)


async def read_token(tx: Tx, desk: IdentityDesk, purpose: Purpose, token: str, now: int) -> UsedToken:
    """What a link would prove, without using it. Raises InvalidRequest `link_expired`."""
    row = await tx.fetch_one(queries.READ_TOKEN, digest=desk.seal.digest(purpose, token), purpose=purpose, now=now)
    if row is None:
        raise _link_expired()
    return UsedToken(row["user_id"], row["email"])


async def use_token(tx: Tx, desk: IdentityDesk, purpose: Purpose, token: str, now: int) -> User:
    """Use a link up: its user reads this address, which is verified from now on. Raises InvalidRequest `link_expired`."""
    proven = await read_token(tx, desk, purpose, token, now)
    used = await tx.execute(queries.USE_TOKEN, digest=desk.seal.digest(purpose, token), purpose=purpose, now=now)
    user = await read_user(tx, proven.user)
    if used == 0 or user.email != proven.email:
        raise _link_expired()
    await tx.execute(queries.SET_VERIFIED, id=user.id, now=now)
    return user


def _link_expired() -> InvalidRequest:
    return InvalidRequest(
        "this link was used before, or has expired",
        code="link_expired",
        fix="ask for a new one and use the newest e-mail",
    )


# --- staff


async def vouch_for(tx: Tx, user: str, now: int) -> None:
    """Somebody who is believed says that the user's address is theirs."""
    await tx.execute(queries.SET_VERIFIED, id=user, now=now)


async def set_staff_role(tx: Tx, email: str, role: StaffRole | None, now: int) -> User:
    """Make a user staff, or no longer (which ends their sessions). Raises NotFound `user_not_found`."""
    user = await find_user(tx, email)
    if user is None:
        raise NotFound(f"nobody has signed up as {email}", code="user_not_found", fix="check the e-mail address")
    await tx.execute(queries.SET_STAFF_ROLE, id=user.id, role=role)
    if role is None:
        await forget_factor(tx, user.id)
        await revoke_sessions(tx, user.id, now)
    return await read_user(tx, user.id)


async def list_staff(tx: Tx) -> list[User]:
    """Everybody with a staff role, by address."""
    return [user_from(row) for row in await tx.fetch(queries.LIST_STAFF)]
