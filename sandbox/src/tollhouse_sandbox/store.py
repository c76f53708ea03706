"""One store for every document, in memory, written through to SQLite when a file is given."""

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from tollhouse_sandbox.documents import Doc, encode

# Fields by which documents are looked up, so that a customer's lists cost nothing when there are many customers.
INDEXED: dict[str, tuple[str, ...]] = {
    "customer": ("email", "test_clock"),
    "price": ("lookup_key", "product"),
    "checkout.session": ("customer", "subscription"),
    "subscription": ("customer",),
    "subscription_schedule": ("customer",),
    "invoice": ("customer", "subscription_id"),
    "invoice_payment": ("invoice",),
    "invoiceitem": ("customer", "invoice"),
    "payment_intent": ("customer",),
    "payment_method": ("customer",),
    "setup_intent": ("customer",),
    "charge": ("customer", "payment_intent"),
    "refund": ("charge", "payment_intent"),
    "dispute": ("charge", "payment_intent"),
    "promotion_code": ("coupon_id",),
    "tax_id": ("customer",),
    "event": ("type",),
    "delivery": ("event",),
}


def _lookup_value(document: Doc, field: str) -> str | None:
    if field == "subscription_id":
        details = (document.get("parent") or {}).get("subscription_details") or {}
        value = details.get("subscription")
    elif field == "coupon_id":
        value = (document.get("promotion") or {}).get("coupon")
    else:
        value = document.get(field)
    return value if isinstance(value, str) else None


class Store:
    """Documents by kind and id, oldest first. Changed documents reach the file at `save`."""

    def __init__(self, path: str | None = None) -> None:
        self._tables: dict[str, dict[str, Doc]] = {}
        self._indexes: dict[tuple[str, str], dict[str, dict[str, None]]] = {}
        self._values: dict[tuple[str, str], tuple[str | None, ...]] = {}
        self._changed: dict[tuple[str, str], None] = {}
        self._file = _open(path) if path else None
        if self._file:
            self._load(self._file)

    def get(self, kind: str, key: str) -> Doc | None:
        """The document itself, not a copy; None when there is none."""
        table = self._tables.get(kind)
        return table.get(key) if table else None

    def put(self, kind: str, document: Doc) -> Doc:
        """Keeps a new or changed document under its `id`."""
        key = document["id"]
        self._tables.setdefault(kind, {})[key] = document
        self._index(kind, key, document)
        if self._file:
            self._changed[(kind, key)] = None
        return document

    def delete(self, kind: str, key: str) -> None:
        """Forgets the document."""
        self._tables.get(kind, {}).pop(key, None)
        self._unindex(kind, key)
        if self._file:
            self._changed[(kind, key)] = None

    def newest(self, kind: str) -> Iterator[Doc]:
        """Every document of a kind, newest first."""
        return reversed(self._tables.get(kind, {}).values())

    def oldest(self, kind: str) -> Iterable[Doc]:
        """Every document of a kind, oldest first."""
        return list(self._tables.get(kind, {}).values())

    def where(self, kind: str, field: str, value: str) -> list[Doc]:
        """The documents whose indexed field has that value, newest first."""
        table = self._tables.get(kind, {})
        keys = self._indexes.get((kind, field), {}).get(value, {})
        return [table[key] for key in reversed(keys)]

    def kinds(self) -> list[str]:
        """The kinds of which there is at least one document."""
        return sorted(kind for kind, table in self._tables.items() if table)

    def count(self, kind: str) -> int:
        """How many documents of a kind there are."""
        return len(self._tables.get(kind, {}))

    def clear(self) -> None:
        """Forgets everything, in the file too."""
        for table in (self._tables, self._indexes, self._values, self._changed):
            table.clear()
        if self._file:
            self._file.execute("DELETE FROM documents")

    def save(self) -> None:
        """Commits what changed since the last save, in one transaction."""
        if self._file is None or not self._changed:
            return
        changed, self._changed = self._changed, {}
        written: list[tuple[str, str, bytes]] = []
        removed: list[tuple[str, str]] = []
        for kind, key in changed:
            document = self.get(kind, key)
            if document is None:
                removed.append((kind, key))
            else:
                written.append((kind, key, encode(document)))
        self._file.execute("BEGIN IMMEDIATE")
        self._file.executemany("DELETE FROM documents WHERE kind = ? AND id = ?", removed)
        self._file.executemany(
            "INSERT INTO documents (kind, id, body) VALUES (?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            written,
        )
        self._file.execute("COMMIT")

    def close(self) -> None:
        """Saves and closes the file."""
        self.save()
        if self._file:
            self._file.close()
            self._file = None

    def _load(self, file: sqlite3.Connection) -> None:
        decoder = msgspec.json.Decoder(Doc)
        for kind, key, body in file.execute("SELECT kind, id, body FROM documents ORDER BY seq"):
            document = decoder.decode(body)
            self._tables.setdefault(kind, {})[key] = document
            self._index(kind, key, document)

    def _index(self, kind: str, key: str, document: Doc) -> None:
        fields = INDEXED.get(kind)
        if not fields:
            return
        values = tuple(_lookup_value(document, field) for field in fields)
        if self._values.get((kind, key)) == values:
            return
        self._unindex(kind, key)
        self._values[(kind, key)] = values
        for field, value in zip(fields, values, strict=True):
            if value is not None:
                self._indexes.setdefault((kind, field), {}).setdefault(value, {})[key] = None

    def _unindex(self, kind: str, key: str) -> None:
        values = self._values.pop((kind, key), ())
        for field, value in zip(INDEXED.get(kind, ()), values, strict=False):
            if value is not None:
                self._indexes[(kind, field)][value].pop(key, None)


def _open(path: str) -> sqlite3.Connection:
    file = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = NORMAL")
    file.execute(
        "CREATE TABLE IF NOT EXISTS documents (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL,"
        " id TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (kind, id))"
    )
    return file
