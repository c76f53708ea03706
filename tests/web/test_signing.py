"""Signing up, in and out by the forms."""

from __future__ import annotations

import pytest

from tests.web.street import PASSWORD, Person, Street
from tollhouse.customers.actions import create_or_get
from tollhouse.customers.model import NewCustomer


@pytest.mark.row("A1")
async def test_ada_signs_up_and_has_her_credits_at_once(aurion: Street) -> None:
    async with aurion.somebody() as ada:
        done = await ada.sign_up()
        assert (done.status_code, done.headers["location"]) == (303, "/app")
        page = await ada.open("/app")
    assert page.status_code == 200
    assert '<span class="figure figure-display" data-live="credits:remaining">100</span>' in page.text
    assert (await aurion.meter(await aurion.customer("ada@example.com"), "credits")).remaining == 100


async def test_a_wrong_form_comes_back_with_what_was_typed_and_why(aurion: Street) -> None:
    async with aurion.somebody() as ada:
        answer = await ada.submit("/signup", "/signup", name="Ada", email="ada@example.com", password="short")
    assert answer.status_code == 422
    assert 'value="ada@example.com"' in answer.text
    assert "short" not in answer.text.split("<main")[1]
    assert "Use 10 to 200 characters" in answer.text
    assert 'id="password" name="password" type="password" value=""' in answer.text


async def test_an_address_signs_up_once(aurion: Street, ada: Person) -> None:
    async with aurion.somebody("fr") as other:
        answer = await other.sign_up()
    assert answer.status_code == 409
    assert "Cette adresse a déjà un compte" in answer.text


async def test_who_chose_a_plan_comes_back_to_it(aurion: Street) -> None:
    async with aurion.somebody() as ada:
        done = await ada.sign_up(path="/signup?plan=starter&every=month")
    assert done.headers["location"] == "/pricing?plan=starter&every=month"


async def test_ada_signs_out_and_in_again(aurion: Street, ada: Person) -> None:
    await ada.submit("/app", "/logout")
    away = await ada.open("/app/billing?checkout=success")
    assert away.headers["location"] == "/login?next=%2Fapp%2Fbilling%3Fcheckout%3Dsuccess"
    back = await ada.submit(away.headers["location"], "/login", email="ADA@example.com", password=PASSWORD)
    assert back.headers["location"] == "/app/billing?checkout=success"
    assert (await ada.open("/app")).status_code == 200


async def test_a_wrong_password_tells_nothing_about_the_address(aurion: Street, ada: Person) -> None:
    async with aurion.somebody() as thief:
        known = await thief.submit("/login", "/login", email="ada@example.com", password="wrong password")
        unknown = await thief.submit("/login", "/login", email="nobody@example.com", password="wrong password")
    assert known.status_code == unknown.status_code == 401
    assert "The e-mail address or the password is wrong." in known.text
    assert "The e-mail address or the password is wrong." in unknown.text


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_nobody_is_sent_to_another_site(aurion: Street, ada: Person, path: str) -> None:
    async with aurion.somebody() as other:
        done = await other.submit("/login", "/login", email="ada@example.com", password=PASSWORD, next=path)
    assert done.headers["location"] == "/app"


async def test_the_link_of_the_e_mail_needs_a_click_and_works_once(aurion: Street, ada: Person) -> None:
    link = await aurion.link("verify_email")
    assert "Confirm your e-mail address" in (await ada.open("/app")).text
    await ada.open(link)
    assert "Confirm your e-mail address" in (await ada.open("/app")).text
    assert "Your address is confirmed" in (await ada.submit(link, "/verify")).text
    assert "Confirm your e-mail address" not in (await ada.open("/app")).text
    again = await ada.submit(link, "/verify")
    assert (again.status_code, "was used before" in again.text) == (422, True)


async def test_a_forgotten_password_is_replaced_and_ends_every_session(aurion: Street, ada: Person) -> None:
    async with aurion.somebody() as elsewhere:
        asked = await elsewhere.submit("/reset", "/reset", email="ada@example.com")
        assert "Look into your inbox" in asked.text
        done = await elsewhere.submit(await aurion.link("reset_password"), "/reset", password="a wholly new password")
        assert done.headers["location"] == "/login?done=password"
        signed_in = await elsewhere.submit(
            "/login", "/login", email="ada@example.com", password="a wholly new password"
        )
        assert signed_in.status_code == 303
    assert (await ada.open("/app")).headers["location"].startswith("/login")


async def test_asking_for_an_unknown_address_says_the_same(aurion: Street) -> None:
    async with aurion.somebody() as stranger:
        asked = await stranger.submit("/reset", "/reset", email="nobody@example.com")
    assert (asked.status_code, "Look into your inbox" in asked.text) == (200, True)
    assert await aurion.mails() == []


async def test_a_customer_of_the_server_waits_until_the_address_is_proven(aurion: Street) -> None:
    async with aurion.house.store.transaction() as tx:
        new = NewCustomer("ada@example.com", "user_42")
        made = await create_or_get(tx, aurion.house.catalog, new, aurion.house.store.clock.now_ms())
    async with aurion.somebody() as ada:
        await ada.sign_up()
        for path in ("/app", "/app/usage", "/app/usage.csv", "/app/billing", "/app/live"):
            closed = await ada.open(path)
            assert closed.status_code == 403
            assert "One step is left" in closed.text
        await ada.submit(await aurion.link("verify_email"), "/verify")
        assert (await ada.open("/app")).status_code == 200
    assert await aurion.customer("ada@example.com") == made.customer
