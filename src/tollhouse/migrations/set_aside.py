"""A database that was another system's before it is ours: what bears one of our names is set aside as `legacy_…`.

Only where Tollhouse has never been, and in the transaction that makes its tables: whoever looks sees either all of the old
names or all of the new ones. Rows are not touched, keys of other tables keep leading to the renamed one, and what bears
no name of ours stays as it is.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, MetaData, inspect

from tollhouse.kernel.errors import ConfigurationError

PREFIX = "legacy_"
VERSIONS = "alembic_version"

_RELATIONS = (
    "select relname, relkind from pg_class where relnamespace = current_schema()::regnamespace"
    " and relkind in ('r', 'p', 'v', 'm', 'S', 'f', 'i', 'I') order by relkind <> 'r', relname"
)
_OBJECTS = "select name, type from sqlite_master where name not like 'sqlite_%' order by type <> 'table', name"
_INDEX = "select sql from sqlite_master where type = 'index' and name = ?"


def set_aside(connection: Connection, tables: MetaData) -> dict[str, str]:
    """Rename what is in the way of our tables; the new names by the old ones. Nothing where Tollhouse has been already.

    Raises ConfigurationError when a name is taken that would be needed.
    """
    if inspect(connection).has_table(VERSIONS):
        return {}
    on_sqlite = connection.dialect.name == "sqlite"
    there = {str(row[0]): str(row[1]) for row in connection.exec_driver_sql(_OBJECTS if on_sqlite else _RELATIONS)}
    ours = set(_names(tables))
    moved = {name: PREFIX + name for name in there if name.lower() in ours}
    for name, aside in moved.items():
        if aside in there:
            raise _taken(name, aside)
        if on_sqlite and there[name] == "index":
            _rename_index(connection, name, aside)
        elif on_sqlite and there[name] != "table":
            raise _taken(name, None)
        else:  # on PostgreSQL this renames a view or an index as well, and with the index the constraint that it serves
            connection.exec_driver_sql(f"alter table {_quoted(name)} rename to {_quoted(aside)}")
    return moved


def _names(tables: MetaData) -> Iterable[str]:
    """Every name that our tables take up: their own, those of their indexes and constraints."""
    for table in tables.tables.values():
        yield table.name
        yield from (str(index.name) for index in table.indexes)
        yield from (str(constraint.name) for constraint in table.constraints if constraint.name)
        yield f"pk_{table.name}"


def _rename_index(connection: Connection, name: str, aside: str) -> None:
    """SQLite cannot: the index is made anew, as its text stands now that its table may have another name."""
    sql = str(connection.exec_driver_sql(_INDEX, (name,)).scalar_one())
    connection.exec_driver_sql(f"drop index {_quoted(name)}")
    connection.exec_driver_sql(sql.replace(name, aside, 1))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _taken(name: str, aside: str | None) -> ConfigurationError:
    why = f", and {aside} is taken as well" if aside else " and cannot rename"
    return ConfigurationError(
        f"the database has something named {name} already, which Tollhouse needs{why}",
        setting="DATABASE_URL",
        fix=f"rename {name} to a name of your own, or use an empty database",
    )
