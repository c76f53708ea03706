"""Every version of the schema. Imports each room's tables, so that the one metadata is whole."""

from importlib import import_module

from tollhouse.store import metadata

ROOMS_WITH_TABLES = (
    "store", "catalog", "identity", "ledger", "admission", "customers", "billing", "alerts", "alerts.hooks",
)  # fmt: skip

for room in ROOMS_WITH_TABLES:
    import_module(f"tollhouse.{room}.tables")

__all__ = ["metadata"]
