"""`tollhouse db upgrade|current|check`: the schema's versions."""

import typer

from tollhouse.cli.config import configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json
from tollhouse.migrations import metadata
from tollhouse.store import revision, schema


def register(app: typer.Typer) -> None:
    """Adds `db` with its commands."""
    group = typer.Typer(
        help="The database's schema: upgrade, current, check.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("upgrade")(upgrade)
    group.command("current")(current)
    group.command("check")(check)
    app.add_typer(group, name="db")


def _url(config: ConfigOption) -> str:
    return configuration(config, "data").settings.database_url.reveal()


def upgrade(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Bring the schema to this version's. Safe to run again, and from two places at once.

    Tables that another system has here under our names are kept under others (legacy_…); the rest of its is not touched.
    """
    url = _url(config)
    before = revision.status(url)
    if not before.known:
        revision.require_known(before)
    done = schema.upgrade(url)
    after = done.status
    if as_json:
        emit_json({"before": before.current, "after": after.current, "set_aside": done.set_aside})
        return
    for name, aside in done.set_aside.items():
        emit(f"kept {name}, which was here before, as {aside}")
    if before.current == after.current:
        emit(f"the schema is up to date: {after.current}")
    else:
        emit(f"upgraded from {before.current or 'nothing'} to {after.current}")


def current(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Which version of the schema the database has, and which one this version of Tollhouse wants."""
    found = revision.status(_url(config))
    if as_json:
        emit_json(found)
    else:
        emit(f"{found.current or 'none'}" + ("" if found.up_to_date else f" (this version wants {found.newest})"))


def check(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Compare the live schema with the tables in the code. Exit status 1 when they differ."""
    url = _url(config)
    revision.require_known(revision.status(url))
    different = schema.differences(url, metadata, only_ours=True)
    if as_json:
        emit_json({"differences": different})
    else:
        for difference in different:
            emit(difference)
        if not different:
            emit("the schema is as the code says")
    if different:
        raise typer.Exit(1)
