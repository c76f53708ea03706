"""What an installation is told, where from, and how every mistake is answered."""

from pathlib import Path

import pytest

from tollhouse.settings import ConfigurationProblems, Problem, Settings, load_settings
from tollhouse.settings.load import Purpose

SECRET = "k7Qm2vX9sT4wZ1nB8yR5uE3hJ6cF0gLd"  # 32 characters, made up for these tests
FILE = """\
[plans.starter]
prices = [{ amount = 900, currency = "usd", every = "month" }]

[settings]
log_level = "warning"
workers = 2

[environments.staging]
url = "https://staging.example.com"
database_url = "postgresql://db.internal/tollhouse"
log_level = "debug"
mail_from = "Example <noreply@example.com>"
smtp_url = "smtp://mail.internal"

[environments.production]
url = "https://app.example.com"
database_url = "postgresql://db.internal/tollhouse"
mail_from = "noreply@example.com"
smtp_url = "smtp://mail.internal"
"""
DEVELOPMENT = {"SESSION_SECRET": SECRET, "TOLLHOUSE_WORKERS": "1"}
STAGING = {
    "ENVIRONMENT": "staging",
    "SESSION_SECRET": SECRET,
    "STRIPE_SECRET_KEY": "sk_test_abc",
    "STRIPE_WEBHOOK_SECRET": "whsec_0123456789abcdef",
}
PRODUCTION = STAGING | {"ENVIRONMENT": "production", "STRIPE_SECRET_KEY": "sk_live_abc"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tollhouse.toml"
    path.write_text(FILE)
    return path


def problems(
    path: Path, environ: dict[str, str], purpose: Purpose = "serve", dotenv: Path | None = None
) -> list[Problem]:
    with pytest.raises(ConfigurationProblems) as caught:
        load_settings(path, environ, purpose=purpose, dotenv=dotenv)
    return list(caught.value.problems)


def only(path: Path, environ: dict[str, str], purpose: Purpose = "serve") -> Problem:
    [problem] = problems(path, environ, purpose)
    return problem


class TestWhereValuesComeFrom:
    def test_the_environment_is_stronger_than_its_table_and_that_than_the_common_one(self, file: Path) -> None:
        assert load_settings(file, STAGING).log_level == "debug"
        assert load_settings(file, PRODUCTION).log_level == "warning"
        assert load_settings(file, STAGING | {"LOG_LEVEL": "error"}).log_level == "error"

    def test_an_empty_variable_counts_as_not_set(self, file: Path) -> None:
        assert load_settings(file, STAGING | {"LOG_LEVEL": ""}).log_level == "debug"

    def test_development_needs_no_more_than_a_session_secret(self, file: Path) -> None:
        settings = load_settings(file, DEVELOPMENT)
        assert settings.environment == "development"
        assert settings.url == "http://127.0.0.1:8787"
        assert settings.database_url.reveal() == "sqlite:///tollhouse.db"
        assert settings.stripe.secret_key is None

    def test_a_secret_can_stand_in_a_file(self, file: Path, tmp_path: Path) -> None:
        held = tmp_path / "session_secret"
        held.write_text(SECRET + "\n")
        environ = DEVELOPMENT | {"SESSION_SECRET": "", "SESSION_SECRET_FILE": str(held)}
        secret = load_settings(file, environ).web.session_secret
        assert secret is not None
        assert secret.reveal() == SECRET

    def test_a_file_that_cannot_be_read_is_named(self, file: Path, tmp_path: Path) -> None:
        environ = STAGING | {"SESSION_SECRET": "", "SESSION_SECRET_FILE": str(tmp_path / "nowhere")}
        problem = only(file, environ)
        assert problem.key == "SESSION_SECRET_FILE"
        assert "nowhere (No such file or directory)" in problem.found

    def test_a_value_and_a_file_for_it_are_one_too_many(self, file: Path, tmp_path: Path) -> None:
        held = tmp_path / "session_secret"
        held.write_text(SECRET)
        problem = only(file, STAGING | {"SESSION_SECRET_FILE": str(held)})
        assert problem.found == "both SESSION_SECRET and SESSION_SECRET_FILE"

    def test_development_reads_dotenv_and_nothing_else_does(self, file: Path, tmp_path: Path) -> None:
        dotenv = tmp_path / ".env"
        dotenv.write_text(f'# mine\nexport SESSION_SECRET="{SECRET}"\nTOLLHOUSE_WORKERS=1 # one\nLOG_LEVEL=error\n')
        assert load_settings(file, {}, dotenv=dotenv).log_level == "error"
        assert load_settings(file, {"LOG_LEVEL": "info"}, dotenv=dotenv).log_level == "info"
        assert load_settings(file, STAGING, dotenv=dotenv).log_level == "debug"

    def test_a_mistake_in_dotenv_is_told_with_its_line(self, file: Path, tmp_path: Path) -> None:
        dotenv = tmp_path / ".env"
        dotenv.write_text(f"SESSION_SECRET={SECRET}\nTOLLHOUSE_WORKERS=1\n\nENVIRONMENT=production\nPORT=eighty\n")
        told = [(problem.file, problem.line, problem.key) for problem in problems(file, {}, dotenv=dotenv)]
        assert told == [(str(dotenv), 4, "ENVIRONMENT"), (str(dotenv), 5, "PORT")]

    def test_webhook_secrets_rotate_two_at_a_time(self, file: Path) -> None:
        environ = STAGING | {"STRIPE_WEBHOOK_SECRET": "whsec_new_0123456789, whsec_old_0123456789"}
        secrets = load_settings(file, environ).stripe.webhook_secrets
        assert [secret.reveal() for secret in secrets] == ["whsec_new_0123456789", "whsec_old_0123456789"]

    def test_a_signing_secret_that_is_too_short_is_told_apart_from_one_of_another_form(self, file: Path) -> None:
        short = only(file, STAGING | {"STRIPE_WEBHOOK_SECRET": "whsec_wrong"})
        assert "11 characters, too short" in short.found
        assert "at least 16 characters" in short.fix
        other = only(file, STAGING | {"STRIPE_WEBHOOK_SECRET": "we_0123456789abcdef"})
        assert "does not begin with whsec_" in other.found

    @pytest.mark.row("A2")
    def test_prices_are_named_by_variables_and_by_the_file(self, file: Path) -> None:
        file.write_text(FILE + 'stripe_prices = { starter = "price_fromfile", plus-yearly = "price_plus" }\n')
        settings = load_settings(file, PRODUCTION | {"STRIPE_PRICE_STARTER": "price_live1"})
        assert settings.stripe.prices == {"STARTER": "price_live1", "PLUS_YEARLY": "price_plus"}

    def test_durations_are_read_as_the_runbook_writes_them(self, file: Path) -> None:
        assert (
            load_settings(file, STAGING | {"STRIPE_RATE_LIMIT_WINDOW": "900000"}).stripe.rate_limit_window_ms == 900_000
        )
        assert load_settings(file, STAGING | {"STRIPE_RATE_LIMIT_WINDOW": "15m"}).stripe.rate_limit_window_ms == 900_000


class TestMistakes:
    def test_all_are_told_at_once_with_place_and_fix(self, file: Path) -> None:
        file.write_text(
            '[settings]\nlog_levl = "info"\nport = "eighty"\n\n[environments.staging]\nurl = "example.com/app"\n'
        )
        told = problems(file, STAGING | {"CORS_MODE": "open", "SESSION_SECRET": "short"})
        places = [(problem.line, problem.key) for problem in told]
        assert places == [
            (2, "settings.log_levl"),
            (3, "settings.port"),
            (6, "environments.staging.url"),
            (None, "DATABASE_URL"),
            (None, "SESSION_SECRET"),
            (None, "CORS_MODE"),
            (None, "SMTP_URL"),
            (None, "MAIL_FROM"),
        ]
        assert told[0].fix == "did you mean log_level?"
        assert all(problem.found and problem.allowed and problem.fix for problem in told)

    def test_one_reads_as_one_line(self, file: Path) -> None:
        file.write_text(FILE.replace("workers = 2", "workers = 200"))
        assert str(only(file, STAGING)) == (
            f"{file}:6: settings.workers: found 200; allowed: a whole number from 1 to 64. "
            "fix: write a whole number from 1 to 64"
        )

    def test_the_tables_of_other_environments_are_checked_too(self, file: Path) -> None:
        file.write_text(FILE + 'port = 70_000\n[environments.qa]\nlog_level = "loud"\n')
        assert [problem.key for problem in problems(file, STAGING)] == [
            "environments.production.port",
            "environments.qa.log_level",
        ]

    @pytest.mark.parametrize(("name", "meant"), [("prod", "production"), ("stagin", "staging"), ("live", "production")])
    def test_an_environment_that_nobody_declared_is_refused(self, file: Path, name: str, meant: str) -> None:
        [first, *_] = [p for p in problems(file, DEVELOPMENT | {"ENVIRONMENT": name}) if p.key == "ENVIRONMENT"]
        assert first.fix == f"set ENVIRONMENT={meant}"

    def test_a_short_name_for_production_cannot_be_declared_around_its_rules(self, file: Path) -> None:
        file.write_text(FILE + "[environments.prod]\n")
        told = problems(file, STAGING | {"ENVIRONMENT": "prod"})
        assert {"environments.prod", "ENVIRONMENT"} <= {problem.key for problem in told}

    @pytest.mark.parametrize(
        "line",
        [
            f'session_secret = "{SECRET}"',
            'stripe_secret_key = "sk_test_abc"',
            'database_url = "postgresql://app:hunter2@db.internal/tollhouse"',
            'smtp_url = "smtps://app:hunter2@mail.internal"',
        ],
    )
    def test_secrets_never_come_from_the_file_and_are_not_shown(self, file: Path, line: str) -> None:
        file.write_text(f"[settings]\n{line}\n")
        [problem, *_] = problems(file, STAGING)
        assert problem.line == 2
        assert problem.allowed == "no secrets in this file"
        assert line.split('"')[1] not in str(problem)
        assert "hunter2" not in str(problem)

    @pytest.mark.row("S23")
    @pytest.mark.parametrize("variable", ["SESSION_SECRET", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"])
    def test_a_missing_secret_is_named_with_the_way_to_set_it(self, file: Path, variable: str) -> None:
        problem = only(file, STAGING | {variable: ""})
        assert problem.key == variable
        assert problem.found == "nothing"
        assert f"set {variable} in the environment of staging, or {variable}_FILE" in problem.fix

    def test_a_file_that_sells_nothing_needs_no_stripe(self, file: Path) -> None:
        file.write_text(FILE.split("\n\n", 1)[1])
        assert (
            load_settings(file, STAGING | {"STRIPE_SECRET_KEY": "", "STRIPE_WEBHOOK_SECRET": ""}).stripe.secret_key
            is None
        )

    def test_work_on_the_database_needs_the_database_alone(self, file: Path) -> None:
        environ = {"ENVIRONMENT": "staging"}
        assert load_settings(file, environ, purpose="data").database_url.reveal().startswith("postgresql://")
        file.write_text("")
        assert only(file, environ, purpose="data").key == "DATABASE_URL"

    @pytest.mark.parametrize(
        ("value", "found"),
        [("short", "5 bytes"), ("é" * 15, "30 bytes"), ("a" * 40, "the same few characters repeated")],
    )
    @pytest.mark.parametrize("variable", ["SESSION_SECRET", "ADMIN_API_KEY"])
    def test_weak_signing_secrets_are_refused_and_never_shown(
        self, file: Path, variable: str, value: str, found: str
    ) -> None:
        problem = only(file, STAGING | {variable: value})
        assert (problem.key, problem.found) == (variable, found)
        assert value not in str(problem)

    @pytest.mark.row("S23")
    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("STRIPE_SECRET_KEY", "pk_test_abc"),
            ("STRIPE_PUBLISHABLE_KEY", "sk_test_abc"),
            ("STRIPE_WEBHOOK_SECRET", "sk_test_0123456789"),
            ("STRIPE_PRICE_STARTER", "prod_abc"),
        ],
    )
    def test_a_value_in_the_wrong_place_is_recognised(self, file: Path, variable: str, value: str) -> None:
        problem = only(file, STAGING | {variable: value})
        assert problem.key == variable
        assert problem.fix.startswith("copy ")

    @pytest.mark.parametrize("value", ["mysql://h/d", "sqlite://", "sqlite:///:memory:", "postgresql://h", "nonsense"])
    def test_other_databases_are_refused(self, file: Path, value: str) -> None:
        assert only(file, STAGING | {"DATABASE_URL": value}).key == "DATABASE_URL"

    def test_the_spellings_of_other_tools_are_understood(self, file: Path) -> None:
        settings = load_settings(file, STAGING | {"DATABASE_URL": "postgres://u:p@h:5432/d"})
        assert settings.database_url.reveal() == "postgresql://u:p@h:5432/d"


@pytest.mark.row("G10")
class TestTheRulesOfProduction:
    def test_a_right_production_starts(self, file: Path) -> None:
        settings = load_settings(file, PRODUCTION | {"AUTH_COOKIE_DOMAIN": "example.com", "DEMO": "false"})
        assert settings.production

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("CORS_MODE", "public"),
            ("ALLOWED_ORIGINS", "*"),
            ("ALLOWED_ORIGINS", "https://www.example.com,http://localhost:3000"),
            ("ALLOWED_ORIGINS", "https://127.0.0.1:3000"),
            ("ALLOWED_ORIGINS", "http://www.example.com"),
            ("TOLLHOUSE_URL", "http://app.example.com"),
            ("TOLLHOUSE_URL", "https://localhost:8787"),
            ("TOLLHOUSE_URL", "https://[::1]:8787"),
            ("AUTH_COOKIE_DOMAIN", "example.org"),
            ("AUTH_COOKIE_DOMAIN", "other.example.com"),
            ("AUTH_COOKIE_DOMAIN", "com"),
            ("TOLLHOUSE_DOMAIN", "example.org"),
            ("DEMO", "true"),
            ("TEST_CLOCK", "1"),
            ("STRIPE_API_BASE", "http://127.0.0.1:8788"),
        ],
    )
    def test_what_it_refuses(self, file: Path, variable: str, value: str) -> None:
        told = problems(file, PRODUCTION | {variable: value})
        assert {problem.key for problem in told} <= {variable, "environments.production.url"}
        assert all("fix" in str(problem) for problem in told)

    @pytest.mark.row("S23")
    def test_demo_mode_left_on_says_what_to_unset(self, file: Path) -> None:
        assert only(file, PRODUCTION | {"DEMO": "true"}).fix == "unset DEMO and restart"

    def test_the_same_holds_for_every_production(self, file: Path) -> None:
        file.write_text(FILE.replace("environments.production", "environments.production-eu"))
        environ = PRODUCTION | {"ENVIRONMENT": "production-eu", "DEMO": "true"}
        assert only(file, environ).key == "DEMO"

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("STRIPE_SECRET_KEY", "sk_test_abc"),
            ("STRIPE_SECRET_KEY", "rk_test_abc"),
            ("STRIPE_PUBLISHABLE_KEY", "pk_test_a"),
        ],
    )
    def test_test_keys_are_refused_in_production(self, file: Path, variable: str, value: str) -> None:
        problem = only(file, PRODUCTION | {variable: value})
        assert (problem.key, problem.found, problem.allowed) == (variable, "a test key", "a live key in production")

    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("STRIPE_SECRET_KEY", "sk_live_abc"),
            ("STRIPE_SECRET_KEY", "rk_live_abc"),
            ("STRIPE_PUBLISHABLE_KEY", "pk_live_a"),
        ],
    )
    @pytest.mark.parametrize("environment", ["staging", "development", "demo"])
    def test_live_keys_are_refused_everywhere_else(
        self, file: Path, environment: str, variable: str, value: str
    ) -> None:
        environ = STAGING | {"ENVIRONMENT": environment, "TOLLHOUSE_WORKERS": "1", variable: value}
        assert only(file, environ).found == "a live key"

    def test_staging_may_do_what_the_runbook_does(self, file: Path) -> None:
        environ = STAGING | {
            "CORS_MODE": "public",
            "ALLOWED_ORIGINS": "https://staging.example.com,http://localhost:3000",
            "AUTH_COOKIE_DOMAIN": "",
            "AUTH_TRUST_HOST": "true",
        }
        settings = load_settings(file, environ)
        assert settings.web.cors_mode == "public"
        assert settings.web.allowed_origins == ("https://staging.example.com", "http://localhost:3000")
        assert settings.web.trust_host

    def test_origins_and_address_lie_under_the_environments_domain(self, file: Path) -> None:
        file.write_text(FILE + 'domain = "example.com"\nallowed_origins = ["https://www.example.com"]\n')
        assert load_settings(file, PRODUCTION).web.domain == "example.com"
        told = problems(file, PRODUCTION | {"ALLOWED_ORIGINS": "https://notexample.com"})
        assert [problem.allowed for problem in told] == ["origins under example.com"]

    def test_a_star_among_the_origins_is_not_a_list(self, file: Path) -> None:
        assert "name each origin, or set CORS_MODE=public" in only(file, STAGING | {"ALLOWED_ORIGINS": "*"}).fix


def test_several_workers_need_postgresql(file: Path) -> None:
    problem = only(file, STAGING | {"DATABASE_URL": "sqlite:///x.db"})
    assert (problem.key, problem.line) == ("settings.workers", 6)


def test_one_secret_for_two_purposes_is_refused(file: Path) -> None:
    assert only(file, STAGING | {"ADMIN_API_KEY": SECRET}).found == "the same value as SESSION_SECRET"


def test_every_setting_has_a_place_in_the_struct(file: Path) -> None:
    settings: Settings = load_settings(file, PRODUCTION)
    assert settings.server.port == 8787
    assert settings.admission.lanes is None
    assert settings.admission.cached_customers == 20_000
    assert settings.hooks.allow_private is False
