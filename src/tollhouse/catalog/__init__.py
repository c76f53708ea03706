"""What is sold and what limits it: meters, actions, plans and their versions, prices. Checked once, immutable."""

from tollhouse.catalog.actions import publish, refresh
from tollhouse.catalog.load import Configuration, load_catalog, load_configuration
from tollhouse.catalog.model import (
    Action,
    Catalog,
    Every,
    Grant,
    LotMode,
    Meter,
    MeterKind,
    Pack,
    PackPrice,
    PlanVersion,
    Price,
    Product,
    Support,
    Tool,
)

__all__ = [
    "Action",
    "Catalog",
    "Configuration",
    "Every",
    "Grant",
    "LotMode",
    "Meter",
    "MeterKind",
    "Pack",
    "PackPrice",
    "PlanVersion",
    "Price",
    "Product",
    "Support",
    "Tool",
    "load_catalog",
    "load_configuration",
    "publish",
    "refresh",
]
