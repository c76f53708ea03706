"""Staff set up a one-time code on their page, and are asked for it from then on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pyotp
import pytest

from tests.web.street import PASSWORD, Person, Street, opened
from tollhouse.identity.actions import set_staff_role
from tollhouse.store import Sql

GRACE = "grace@example.com"
PAGE = "/admin/security"


@pytest.fixture
async def strict(schema_url: str, tmp_path: Path) -> AsyncIterator[Street]:
    """A product whose staff have to have a second factor."""
    async with opened(schema_url, "aurion", tmp_path, STAFF_TOTP="required") as street:
        yield street


async def make_staff(street: Street, email: str = GRACE) -> None:
    async with street.house.store.transaction() as tx:
        await set_staff_role(tx, email, "admin", street.house.store.clock.now_ms())


async def begin(person: Person) -> str:
    """As far as the QR code; the key that stands beneath it."""
    assert (await person.submit(PAGE, f"{PAGE}/begin", password=PASSWORD)).headers["location"] == PAGE
    page = (await person.open(PAGE)).text
    assert "<svg" in page
    typed = re.search(r'<code class="break">([A-Z2-7 ]+)</code>', page)
    assert typed
    return typed[1].replace(" ", "")


def code(street: Street, secret: str, steps: int = 0) -> str:
    """Its code now, or of so many half minutes later: one that is not over when the clock moves on meanwhile."""
    return pyotp.TOTP(secret).at(street.house.store.clock.real_ms() // 1000 + 30 * steps)


def codes_on(page: httpx.Response) -> list[str]:
    """The recovery codes that it shows."""
    letters = "[abcdefghjkmnpqrstuvwxyz2-9]{5}"
    return re.findall(rf"\b{letters}-{letters}\b", page.text)


async def turn_on(person: Person) -> tuple[str, list[str]]:
    """The secret and the recovery codes."""
    secret = await begin(person)
    shown = await person.submit(PAGE, f"{PAGE}/confirm", code=code(person.street, secret))
    assert shown.status_code == 200
    return secret, codes_on(shown)


async def sign_in(person: Person, path: str = "/login", **more: str) -> str:
    """Type the password; where that leads."""
    answer = await person.submit(path, "/login", email=GRACE, password=PASSWORD, **more)
    return str(answer.headers.get("location", answer.status_code))


async def test_staff_turn_it_on_and_sign_in_with_it(aurion: Street, grace: Person) -> None:
    assert (await grace.submit(PAGE, f"{PAGE}/begin", password="wrong password")).status_code == 401
    secret = await begin(grace)
    assert (await grace.submit(PAGE, f"{PAGE}/confirm", code="000000")).status_code == 401
    shown = await grace.submit(PAGE, f"{PAGE}/confirm", code=code(aurion, secret))
    codes = codes_on(shown)
    assert len(codes) == 10
    assert codes_on(await grace.open(PAGE)) == []
    assert secret not in (await grace.open(PAGE)).text
    assert (await grace.open("/admin")).status_code == 200

    async with aurion.somebody() as again:
        assert await sign_in(again, "/login?next=/admin/refusals") == "/login/code?next=%2Fadmin%2Frefusals"
        assert (await again.open("/admin")).headers["location"].startswith("/login")
        wrong = await again.submit("/login/code?next=/admin/refusals", "/login/code", code="000000")
        assert (wrong.status_code, "wrong, or was used before" in wrong.text) == (401, True)
        right = await again.submit(
            "/login/code?next=/admin/refusals", "/login/code", code=code(aurion, secret, 1), next="/admin/refusals"
        )
        assert right.headers["location"] == "/admin/refusals"
        assert (await again.open("/admin/refusals")).status_code == 200
    async with aurion.somebody() as replaying:
        await sign_in(replaying)
        again_code = await replaying.submit("/login/code", "/login/code", code=code(aurion, secret, 1))
        assert again_code.status_code == 401
        assert (await replaying.submit("/login/code", "/login/code", code=codes[0])).status_code == 303
        assert "9 recovery codes are left" in (await replaying.open(PAGE)).text


async def test_the_code_page_alone_leads_nowhere(aurion: Street, grace: Person) -> None:
    await turn_on(grace)
    async with aurion.somebody() as stranger:
        assert (await stranger.open("/login/code")).headers["location"] == "/login"
        stranger.client.cookies.set("th_pending", "usr_1.9999999999999.x.y")
        answer = await stranger.submit("/login/code", "/login/code", code="000000")
        assert answer.headers["location"] == "/login?done=expired"
        assert "That took more than ten minutes" in (await stranger.open("/login?done=expired")).text
        assert "That took more" not in (await stranger.open("/login")).text


async def test_new_recovery_codes_and_turning_it_off_take_a_code(aurion: Street, grace: Person) -> None:
    secret, codes = await turn_on(grace)
    assert (await grace.submit(PAGE, f"{PAGE}/off", code="000000")).status_code == 401
    fresh = await grace.submit(PAGE, f"{PAGE}/codes", code=codes[0])
    assert not set(codes_on(fresh)) & set(codes)
    assert len(codes_on(fresh)) == 10
    off = await grace.submit(PAGE, f"{PAGE}/off", code=code(aurion, secret, 1))
    assert "second factor is off" in off.text
    async with aurion.somebody() as again:
        assert await sign_in(again) == "/app"


async def test_customers_have_no_such_page(ada: Person) -> None:
    assert (await ada.open(PAGE)).status_code == 403


async def test_where_it_is_required_no_staff_page_opens_before(strict: Street) -> None:
    async with strict.somebody() as grace:
        await grace.sign_up(GRACE)
        await make_staff(strict)
        for page in ("/admin", "/admin/webhooks", "/admin/reconciliation", "/admin/customers/x/quotes"):
            assert (await grace.open(page)).headers["location"] == PAGE
        assert "A second factor is required here" in (await grace.open(PAGE)).text
        async with strict.house.store.reading() as tx:
            before = await tx.fetch(Sql("select count(*) as number from reconciliation"))
        form = re.search(r'name="csrf" value="([^"]+)"', (await grace.open(PAGE)).text)
        assert form
        refused = await grace.client.post("/admin/reconciliation", data={"csrf": form[1], "mode": "show"})
        assert refused.headers["location"] == PAGE
        async with strict.house.store.reading() as tx:
            after = await tx.fetch(Sql("select count(*) as number from reconciliation"))
        assert before[0]["number"] == after[0]["number"] == 0
        await turn_on(grace)
        assert (await grace.open("/admin")).status_code == 200
        assert f"{PAGE}/off" not in (await grace.open(PAGE)).text
