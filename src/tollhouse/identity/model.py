"""Who signs in, as typed structs. Times are milliseconds since 1970 in UTC."""

from typing import Literal

import msgspec

from tollhouse.kernel.clock import DAY, HOUR, MINUTE

SESSION_MS = 30 * DAY
IDLE_MS = 7 * DAY
SEEN_EVERY_MS = 10 * MINUTE
VERIFY_MS = 3 * DAY
RESET_MS = HOUR

Purpose = Literal["verify", "reset"]
StaffRole = Literal["admin"]


class User(msgspec.Struct, frozen=True):
    """A person who signs in. `email` is normalised; `staff_role` opens /admin."""

    id: str
    email: str
    name: str
    locale: str
    created_at: int
    verified_at: int | None = None
    staff_role: StaffRole | None = None
    has_password: bool = True


class Session(msgspec.Struct, frozen=True):
    """A live session and its user. `second_factor`: the user signs in with a code too, and did so for this session."""

    id: str
    user: User
    created_at: int
    seen_at: int
    expires_at: int
    second_factor: bool = False


class NewSession(msgspec.Struct, frozen=True):
    """A session just opened. `token` goes into the cookie `th_session` and is kept nowhere else."""

    id: str
    user: str
    token: str
    expires_at: int

    def __repr__(self) -> str:
        return f"NewSession({self.id!r}, {self.user!r})"


class SessionView(msgspec.Struct, frozen=True):
    """A session as its user sees it in the settings."""

    id: str
    created_at: int
    seen_at: int
    expires_at: int
    address: str
    agent: str


class Visitor(msgspec.Struct, frozen=True):
    """From where somebody calls: the client's address and the browser's name for itself."""

    address: str
    agent: str = ""


class UsedToken(msgspec.Struct, frozen=True):
    """What the token of an e-mail proved: that this user reads this address."""

    user: str
    email: str
