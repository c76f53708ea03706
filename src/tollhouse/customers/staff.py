"""Staff: users with a role, made by whoever runs the installation."""

import msgspec

from tollhouse.catalog.model import Catalog
from tollhouse.customers.actions import add_owner, address_proven, checked_sign_up
from tollhouse.customers.model import SignUp
from tollhouse.identity import actions as identity
from tollhouse.identity.desk import IdentityDesk
from tollhouse.identity.model import StaffRole, User
from tollhouse.kernel.errors import Conflict, InvalidRequest
from tollhouse.store import Tx


class StaffAdded(msgspec.Struct, frozen=True):
    """A user with a role. `link`, where one was asked for, leads once to choosing a password, within the hour."""

    user: User
    created: bool
    link: str | None = None

    def __repr__(self) -> str:
        return f"StaffAdded({self.user!r}, created={self.created})"


async def add_staff(
    tx: Tx, desk: IdentityDesk, catalog: Catalog, form: SignUp, now: int, *,
    password_hash: str | None, with_link: bool, role: StaffRole = "admin",
) -> StaffAdded:  # fmt: skip
    """Give a role to the user with this address, made if needed like any other user, with a customer of its own.

    A password or a link replaces whatever let the user in before, and the address counts as verified: the operator
    vouches for it. Raises Conflict `email_not_verified` for somebody who signed up with an address that nobody has proven,
    when neither is given; InvalidRequest for a new user without either.
    """
    checked = checked_sign_up(form, catalog)
    user = await identity.find_user(tx, checked.email)
    vouched = password_hash is not None or with_link
    created = user is None
    if user is None:
        if not vouched:
            raise InvalidRequest("a new user needs a way to sign in", fix="give a password, or ask for a link")
        user, _ = await add_owner(tx, catalog, checked, password_hash, now, verified=True, made_by="staff")
    elif vouched:
        await identity.set_password(tx, user.id, password_hash, now)
        await identity.vouch_for(tx, user.id, now)
        await address_proven(tx, desk, catalog, user, now, welcome=False)
    elif user.verified_at is None:
        raise Conflict(
            f"nobody has proven that {user.email} is theirs", code="email_not_verified",
            fix="let them verify the address first, or replace the password with --link or --password-stdin",
        )  # fmt: skip
    user = await identity.set_staff_role(tx, user.email, role, now)
    link = await identity.make_link(tx, desk, user, "reset", now) if with_link else None
    return StaffAdded(user, created, link)
