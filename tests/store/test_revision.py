"""Which revision a database has is read without Alembic; Alembic itself is the judge of what is read."""

import sqlite3
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from tollhouse.kernel.errors import ConfigurationError
from tollhouse.store import schema
from tollhouse.store.revision import SCRIPTS, require_known, revisions, status


def test_the_names_of_the_migrations_are_alembics_revisions() -> None:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    scripts = ScriptDirectory.from_config(config)
    assert list(revisions()) == [script.revision for script in scripts.walk_revisions()][::-1]
    assert scripts.get_heads() == [revisions()[-1]]


def test_an_empty_database_has_none_and_an_upgraded_one_the_newest(database_url: str) -> None:
    before = status(database_url)
    assert (before.current, before.newest, before.known) == (None, revisions()[-1], True)
    with pytest.raises(ConfigurationError, match="no schema"):
        require_known(before)
    schema.upgrade(database_url, revisions()[0])
    with pytest.raises(ConfigurationError, match="older schema 0001"):
        require_known(status(database_url))
    assert schema.upgrade(database_url).up_to_date
    require_known(status(database_url))


def test_a_revision_of_a_later_version_is_not_known(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'later.db'}"
    schema.upgrade(url)
    with sqlite3.connect(tmp_path / "later.db") as later:
        later.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(ConfigurationError, match="the schema 9999, which this version does not know"):
        require_known(status(url))


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "postgresql://nobody@127.0.0.1:1/none"])
def test_a_database_that_cannot_be_reached_is_told_with_its_fix(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"database cannot be reached|SQLite file cannot be used") as told:
        status(url)
    assert told.value.fix
