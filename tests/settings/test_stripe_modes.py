"""Live keys only in production, test keys only elsewhere, and a rehearsal that cannot reach Stripe (U12, promise 8)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import tollhouse  # noqa: F401 (a fixture)
from tests.cli.running import CommandLine
from tests.settings.test_settings import DEVELOPMENT, FILE, PRODUCTION, STAGING, file, only  # noqa: F401 (a fixture)
from tollhouse.settings import load_settings

REHEARSAL = DEVELOPMENT | {
    "ENVIRONMENT": "rehearsal",
    "STRIPE_SECRET_KEY": "sk_live_abc",
    "STRIPE_API_BASE": "http://127.0.0.1:8788",
}


@pytest.mark.row("U12")
@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize(
    ("environ", "found", "allowed"),
    [
        (PRODUCTION | {"STRIPE_SECRET_KEY": "sk_test_abc"}, "a test key", "a live key in production"),
        (PRODUCTION | {"STRIPE_SECRET_KEY": "rk_test_abc"}, "a test key", "a live key in production"),
        (STAGING | {"STRIPE_SECRET_KEY": "sk_live_abc"}, "a live key", "a test key in staging"),
        (DEVELOPMENT | {"STRIPE_SECRET_KEY": "sk_live_abc"}, "a live key", "a test key in development"),
        (REHEARSAL | {"STRIPE_SECRET_KEY": "sk_test_abc"}, "a test key", "a live key in rehearsal"),
    ],
)
def test_nothing_starts_on_the_other_modes_key(
    tollhouse: CommandLine,  # noqa: F811
    command: str,
    environ: dict[str, str],
    found: str,
    allowed: str,
) -> None:
    (tollhouse.directory / "tollhouse.toml").write_text(FILE + "\n[meters]\n")
    tollhouse.set(**environ)
    ran = tollhouse(command)
    assert ran.status == 1
    assert f"environment: STRIPE_SECRET_KEY: found {found}; allowed: {allowed}" in ran.err
    assert "fix: set STRIPE_SECRET_KEY to the " in ran.err
    assert environ["STRIPE_SECRET_KEY"] not in ran.err + ran.out


@pytest.mark.row("U12")
def test_a_production_of_another_name_is_production(file: Path) -> None:  # noqa: F811
    text = FILE.replace("[environments.production]", "[environments.production-eu]")
    file.write_text(text)
    problem = only(file, PRODUCTION | {"ENVIRONMENT": "production-eu", "STRIPE_SECRET_KEY": "sk_test_abc"})
    assert (problem.found, problem.allowed) == ("a test key", "a live key in production-eu")


@pytest.mark.row("U12")
def test_a_rehearsal_has_live_keys_and_a_sandbox_on_the_same_machine(file: Path) -> None:  # noqa: F811
    settings = load_settings(file, REHEARSAL)
    assert settings.live_keys
    assert not settings.production
    assert only(file, REHEARSAL | {"STRIPE_API_BASE": ""}).found.startswith("nothing")
    for elsewhere in ("https://api.stripe.com", "http://10.0.0.3:8788", "https://127.0.0.1.example.com"):
        problem = only(file, REHEARSAL | {"STRIPE_API_BASE": elsewhere})
        assert (problem.key, problem.allowed) == ("STRIPE_API_BASE", "a sandbox on this machine in rehearsal")
        assert "tollhouse-sandbox serve --mode live" in problem.fix


def test_an_account_is_named_by_its_id(file: Path) -> None:  # noqa: F811
    assert load_settings(file, STAGING | {"STRIPE_ACCOUNT": "acct_1Sabc"}).stripe.account == "acct_1Sabc"
    assert load_settings(file, STAGING).stripe.account is None
    assert only(file, STAGING | {"STRIPE_ACCOUNT": "Example Ltd"}).key == "STRIPE_ACCOUNT"
