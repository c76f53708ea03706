"""A database that sold minutes is brought to our schema, and every row of its own is still there (row S12)."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Connection

from tests.cli.running import CommandLine
from tests.upgrade.minutes import OLD_TABLES, load, rows, run
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.migrations import metadata, set_aside
from tollhouse.presets import __file__ as presets
from tollhouse.store import schema
from tollhouse.store.revision import status

ASIDE = {"session": "legacy_session", "users": "legacy_users", "ix_session_user": "legacy_ix_session_user"}


@pytest.mark.row("S12")
def test_every_row_of_the_old_tables_is_kept_as_it_was(database_url: str) -> None:
    load(database_url)
    before = {table: rows(database_url, table) for table in OLD_TABLES}
    assert len(before["users"]) == 10
    assert len(before["monthly_usage"]) == 11

    upgraded = schema.upgrade(database_url)
    assert upgraded.up_to_date
    assert upgraded.set_aside == ASIDE
    assert {table: rows(database_url, ASIDE.get(table, table)) for table in OLD_TABLES} == before
    assert rows(database_url, "users") == []  # ours

    again = schema.upgrade(database_url)
    assert again.set_aside == {}
    assert {table: rows(database_url, ASIDE.get(table, table)) for table in OLD_TABLES} == before


@pytest.mark.row("S12")
def test_our_tables_are_whole_beside_the_old_ones(database_url: str) -> None:
    load(database_url)
    schema.upgrade(database_url)
    assert schema.differences(database_url, metadata, only_ours=True) == []
    assert any("legacy_users" in line for line in schema.differences(database_url, metadata))


@pytest.mark.row("S12")
def test_keys_of_old_tables_lead_to_the_renamed_one(database_url: str) -> None:
    load(database_url)
    schema.upgrade(database_url)
    pragma = "pragma foreign_keys = on;" if database_url.startswith("sqlite:") else ""
    stranger = "insert into monthly_usage (user_id, month, minutes_included) values ('nobody', '2025-11', 60);"
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        run(database_url, pragma + stranger)
    run(database_url, pragma + stranger.replace("nobody", "user_2wq1Ada"))


@pytest.mark.row("S12")
def test_an_upgrade_that_fails_on_the_way_leaves_the_old_database_alone(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(database_url)
    before = {table: rows(database_url, table) for table in OLD_TABLES}
    renamed = set_aside.set_aside

    def then_fail(connection: Connection, *_: object) -> None:
        assert renamed(connection, metadata) == ASIDE
        raise ConfigurationError("the power went")

    monkeypatch.setattr(set_aside, "set_aside", then_fail)
    with pytest.raises(ConfigurationError, match="power"):
        schema.upgrade(database_url)
    assert status(database_url).current is None
    assert {table: rows(database_url, table) for table in OLD_TABLES} == before

    monkeypatch.undo()
    assert schema.upgrade(database_url).set_aside == ASIDE
    assert {table: rows(database_url, ASIDE.get(table, table)) for table in OLD_TABLES} == before


@pytest.mark.row("S12")
def test_a_name_that_is_taken_twice_is_told_and_nothing_is_changed(database_url: str) -> None:
    load(database_url, ["create table legacy_users (id integer primary key);"])
    with pytest.raises(ConfigurationError, match="legacy_users is taken") as told:
        schema.upgrade(database_url)
    assert "rename users" in str(told.value.fix)
    assert status(database_url).current is None
    assert len(rows(database_url, "users")) == 10


@pytest.mark.row("S12")
def test_a_view_that_sqlite_cannot_rename_is_told(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.db") as old:
        old.execute("create view customer as select 1 as id")
    with pytest.raises(ConfigurationError, match="something named customer"):
        schema.upgrade(f"sqlite:///{tmp_path / 'old.db'}")


@pytest.mark.row("S12")
def test_the_command_tells_what_it_has_set_aside(tollhouse: CommandLine, database_url: str) -> None:
    load(database_url)
    (tollhouse.directory / "tollhouse.toml").write_text((Path(presets).parent / "aigate.toml").read_text())
    tollhouse.set(DATABASE_URL=database_url, ENVIRONMENT="test")
    assert json.loads(tollhouse("db", "upgrade", "--json").out)["set_aside"] == ASIDE
    assert "up to date" in tollhouse("db", "upgrade").out


def test_a_database_whose_versions_are_another_systems_is_left_alone(tollhouse: CommandLine, database_url: str) -> None:
    load(
        database_url,
        ["create table alembic_version (version_num varchar(32)); insert into alembic_version values ('4f2a');"],
    )
    (tollhouse.directory / "tollhouse.toml").write_text((Path(presets).parent / "aigate.toml").read_text())
    tollhouse.set(DATABASE_URL=database_url, ENVIRONMENT="test")
    said = tollhouse("db", "upgrade")
    assert (said.status, "the schema 4f2a, which this version does not know" in said.err) == (1, True)
    assert len(rows(database_url, "users")) == 10
