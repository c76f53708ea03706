"""A form counts only from our own page, in the same browser: its token is bound to the session or to the visitor."""

from __future__ import annotations

import pytest

from tests.customers.world import SECRET
from tollhouse.identity.seal import Seal, new_token
from tollhouse.kernel.errors import NotAllowed


def refused(seal: Seal, token: str, *, session: str | None = None, visitor: str | None = None) -> bool:
    try:
        seal.check_form(token, session=session, visitor=visitor)
    except NotAllowed as refusal:
        return refusal.code == "form_expired"
    return False


def test_a_form_of_this_session_counts() -> None:
    seal, session = Seal(SECRET), new_token()
    first, second = seal.form_token(session), seal.form_token(session)
    assert first != second
    assert not refused(seal, first, session=session)
    assert not refused(seal, second, session=session)


def test_a_form_of_another_session_does_not() -> None:
    seal = Seal(SECRET)
    assert refused(seal, seal.form_token(new_token()), session=new_token())


def test_before_signing_in_a_form_is_bound_to_a_cookie_of_ours() -> None:
    seal = Seal(SECRET)
    cookie = seal.new_visitor()
    assert not refused(seal, seal.form_token(cookie), visitor=cookie)
    assert refused(seal, seal.form_token(cookie), visitor=seal.new_visitor())
    assert refused(seal, seal.form_token(cookie))


def test_a_cookie_that_somebody_planted_is_not_ours() -> None:
    seal = Seal(SECRET)
    planted = "attacker.signature"
    assert refused(seal, seal.form_token(planted), visitor=planted)
    other = Seal("another secret of more than 32 bytes").new_visitor()
    assert refused(seal, seal.form_token(other), visitor=other)


def test_once_signed_in_the_visitors_token_counts_no_more() -> None:
    seal, session = Seal(SECRET), new_token()
    cookie = seal.new_visitor()
    assert refused(seal, seal.form_token(cookie), session=session, visitor=cookie)


@pytest.mark.parametrize("token", ["", "x", "é", "====", "a" * 10_000, "\x00", "\ud800"])
def test_what_is_no_token_is_refused(token: str) -> None:
    assert refused(Seal(SECRET), token, session="a session")
    assert refused(Seal(SECRET), token, visitor=token)
    assert refused(Seal(SECRET), token, session=token)


def test_a_digest_of_one_use_is_none_of_another() -> None:
    seal = Seal(SECRET)
    assert len({seal.digest("session", "t"), seal.digest("verify", "t"), seal.digest("reset", "t")}) == 3
    assert "secret" not in repr(seal)
