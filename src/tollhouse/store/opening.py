"""From a database URL to an open store."""

from urllib.parse import unquote, urlsplit

from tollhouse.kernel.errors import ConfigurationError
from tollhouse.store.postgres import PostgresStore
from tollhouse.store.sqlite import SqliteStore

AnyStore = SqliteStore | PostgresStore


async def open_store(database_url: str) -> AnyStore:
    """Open `sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://…`, with its clock measured once.

    Raises ConfigurationError for another scheme, ConnectionLost when the server does not answer.
    """
    scheme = urlsplit(database_url).scheme
    store: AnyStore
    if scheme == "sqlite":
        store = SqliteStore(sqlite_path(database_url))
    elif scheme in ("postgresql", "postgres"):
        store = await PostgresStore.open(database_url)
    else:
        raise ConfigurationError(
            f"database_url begins with {scheme!r}",
            setting="DATABASE_URL",
            fix="write sqlite:///tollhouse.db or postgresql://user@host/database",
        )
    await store.measure_clock()
    return store


def sqlite_path(database_url: str) -> str:
    """The file behind a `sqlite:///…` URL."""
    return unquote(database_url.removeprefix("sqlite:///"))
