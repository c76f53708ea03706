"""Forms are believed only when our own page made them for this visitor."""

from __future__ import annotations

import pytest

from tests.web.street import Person, Street, hidden_fields

FORMS: tuple[tuple[str, dict[str, str]], ...] = (
    ("/app/projects", {"name": "Stolen"}),
    ("/app/tools/app-builder", {"key": "0123456789abcdef"}),
    ("/app/billing/checkout", {"plan": "starter"}),
    ("/app/billing/portal", {}),
    ("/app/settings/profile", {"name": "Mallory", "locale": "fr"}),
    ("/app/settings/password", {"present": "x", "password": "y" * 12}),
    ("/app/settings/sessions", {}),
    ("/logout", {}),
    ("/verify/again", {}),
)


@pytest.mark.parametrize(("action", "fields"), FORMS, ids=[action for action, _ in FORMS])
async def test_a_form_without_its_token_changes_nothing(ada: Person, action: str, fields: dict[str, str]) -> None:
    before = (await ada.open("/app/usage.csv")).text
    answer = await ada.client.post(action, data=fields)
    assert answer.status_code == 403
    assert "Load it again and send the form once more" in answer.text
    assert (await ada.open("/app/usage.csv")).text == before


async def test_a_token_of_another_visitor_is_worthless(aurion: Street, ada: Person) -> None:
    async with aurion.somebody() as mallory:
        await mallory.sign_up("mallory@example.com")
        token = hidden_fields((await mallory.open("/app/projects")).text, "/app/projects")["csrf"]
    answer = await ada.client.post("/app/projects", data={"csrf": token, "name": "Stolen"})
    assert answer.status_code == 403


async def test_a_token_from_before_signing_in_is_worthless_after(ada: Person, aurion: Street) -> None:
    async with aurion.somebody() as other:
        token = hidden_fields((await other.open("/login")).text, "/login")["csrf"]
        await other.sign_up("other@example.com")
        answer = await other.client.post("/app/projects", data={"csrf": token, "name": "Mine"})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("origin", "host", "believed"),
    [
        ("https://evil.example", "127.0.0.1:8787", False),
        ("null", "127.0.0.1:8787", False),
        ("http://127.0.0.1:8787", "127.0.0.1:8787", True),
        ("http://127.0.0.1:8787", "inner-name:9000", True),  # behind a proxy that writes the host anew
    ],
)
async def test_only_forms_sent_by_our_own_site_are_believed(
    ada: Person, origin: str, host: str, believed: bool
) -> None:
    fields = hidden_fields((await ada.open("/app/settings")).text, "/app/settings/profile") | {
        "name": "A",
        "locale": "en",
    }
    answer = await ada.client.post("/app/settings/profile", data=fields, headers={"Origin": origin, "Host": host})
    assert answer.status_code == (303 if believed else 403)


async def test_a_huge_form_is_refused(ada: Person) -> None:
    answer = await ada.client.post("/login", data={"email": "a" * 100_000})
    assert answer.status_code == 413
    assert "That was too much at once" in answer.text
