"""`tollhouse init` writes what a new project needs, and no secret that nobody asked for."""

import stat

import pytest

from tests.cli.running import CommandLine
from tollhouse.cli.init import PRESETS
from tollhouse.settings import SETTINGS, load_settings
from tollhouse.settings.sources import read_dotenv


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_read_at_once(tollhouse: CommandLine, preset: str) -> None:
    assert tollhouse("init", "--preset", preset).status == 0
    assert tollhouse("plans", "check").out == "tollhouse.toml: no mistakes\n"


def test_the_example_names_each_secret_and_holds_none(tollhouse: CommandLine) -> None:
    tollhouse("init", "shop")
    text = (tollhouse.directory / "shop" / ".env.example").read_text()
    for setting in SETTINGS:
        if setting.secret:
            assert f"{setting.variable}=\n" in text
            assert setting.generate in text
    assert set(read_dotenv(tollhouse.directory / "shop" / ".env.example").values.values()) == {""}
    assert not (tollhouse.directory / "shop" / ".env").exists()
    assert "*.env" in (tollhouse.directory / "shop" / ".gitignore").read_text().splitlines()


def test_secrets_for_development_are_made_when_asked_for(tollhouse: CommandLine) -> None:
    answer = tollhouse("init", "--with-secrets")
    dotenv = tollhouse.directory / ".env"
    assert stat.S_IMODE(dotenv.stat().st_mode) == 0o600
    assert ".env" in (tollhouse.directory / ".gitignore").read_text().splitlines()
    secret = load_settings(tollhouse.directory / "tollhouse.toml", {}, dotenv=dotenv).web.session_secret
    assert secret is not None
    assert secret.reveal() not in answer.out + answer.err

    tollhouse("init", "--with-secrets", "--force")
    other = load_settings(tollhouse.directory / "tollhouse.toml", {}, dotenv=dotenv).web.session_secret
    assert other != secret


def test_what_git_ignores_already_stays(tollhouse: CommandLine) -> None:
    ignore = tollhouse.directory / ".gitignore"
    ignore.write_text("node_modules\n.env")
    tollhouse("init", "--with-secrets")
    assert ignore.read_text().splitlines() == [
        "node_modules", ".env", "*.env", "*.db", "*.db-wal", "*.db-shm", "backups/",
    ]  # fmt: skip


def test_files_are_written_over_only_when_forced(tollhouse: CommandLine) -> None:
    tollhouse("init")
    file = tollhouse.directory / "tollhouse.toml"
    file.write_text("# mine\n")

    refused = tollhouse("init", "--preset", "upiik")
    assert refused.status == 1
    assert "tollhouse.toml and .env.example" in refused.err
    assert "\nfix: add --force" in refused.err
    assert file.read_text() == "# mine\n"

    assert tollhouse("init", "--preset", "upiik", "--force").status == 0
    assert "Upiik" in file.read_text()


def test_an_unknown_preset_is_answered_with_the_one_that_was_meant(tollhouse: CommandLine) -> None:
    refused = tollhouse("init", "--preset", "aurio")
    assert (refused.status, refused.out) == (1, "")
    assert refused.err == "error: there is no preset 'aurio'\nfix: did you mean aurion?\n"
    assert list(tollhouse.directory.iterdir()) == []


def test_a_directory_that_cannot_be_written_is_told(tollhouse: CommandLine) -> None:
    (tollhouse.directory / "taken").write_text("a file")
    refused = tollhouse("init", "taken")
    assert refused.status == 1
    assert "fix: name a directory" in refused.err
