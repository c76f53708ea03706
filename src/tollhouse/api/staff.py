"""Who calls `/v1/admin`: somebody with a staff role and a session, or a machine of ours with ADMIN_API_KEY."""

import hmac

from tollhouse.api.callers import count_stranger
from tollhouse.api.sessions import AnyRequest, current_user
from tollhouse.house import House
from tollhouse.kernel.errors import NotAllowed, NotAuthenticated

MACHINE = "ADMIN_API_KEY"


async def staff_caller(house: House, request: AnyRequest) -> str:
    """Who it is, for the record: an e-mail address, or the name of the key.

    Raises NotAuthenticated, NotAllowed (`not_staff`, `second_factor_required`, `form_expired`), TooManyAttempts.
    """
    given = request.headers.get("authorization")
    if given is None:
        session = (await current_user(house, request)).session
        user = session.user
        if user.staff_role is None:
            raise NotAllowed("this is for staff", code="not_staff", fix="ask somebody to run `tollhouse staff add`")
        if house.settings.web.staff_totp == "required" and not session.second_factor:
            raise NotAllowed(
                "staff sign in with a one-time code here", code="second_factor_required",
                fix="set it up on /admin/security",
            )  # fmt: skip
        return user.email
    kind, _, key = given.partition(" ")
    known = house.settings.admin_api_key
    if known is None or kind.lower() != "bearer" or not hmac.compare_digest(key.encode(), known.reveal().encode()):
        count_stranger(house, request.scope)
        raise NotAuthenticated(
            "the key is not ADMIN_API_KEY of this environment", fix="send `Authorization: Bearer …` with ADMIN_API_KEY"
        )
    return MACHINE
