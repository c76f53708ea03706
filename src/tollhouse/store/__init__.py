"""Engines, transactions, cells, inbox and outbox. Holds no other room's tables."""

from tollhouse.store.cells import CELLS, cell_of
from tollhouse.store.engine import Row, Store, Tx, Value
from tollhouse.store.errors import ConnectionLost, Duplicate, LockedByAnother, StoreFailure
from tollhouse.store.opening import open_store
from tollhouse.store.sql import Sql
from tollhouse.store.tables import metadata

__all__ = [
    "CELLS",
    "ConnectionLost",
    "Duplicate",
    "LockedByAnother",
    "Row",
    "Sql",
    "Store",
    "StoreFailure",
    "Tx",
    "Value",
    "cell_of",
    "metadata",
    "open_store",
]
