"""The product that admission's tests sell: every kind of meter, small limits, a plan above the free one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.support.serving import SESSION_SECRET
from tollhouse.catalog import Catalog, Configuration, load_configuration
from tollhouse.catalog.load import load_catalog

TOML = """
[product]
name = "AI Gate"

[meters]
credits    = { kind = "credits", decimals = 3 }
images     = { kind = "credits" }
sessions   = { kind = "quota", period = "month", minutes_each = 2 }
exports    = { kind = "quota", period = "day" }
requests   = { kind = "rate", per = "minute" }
concurrent = { kind = "lease", ttl = "90s" }
projects   = { kind = "count" }

[actions.spend]
cost = { credits = 1 }
[actions.launch]
cost = { credits = 50 }
[actions.chat]
cost = { credits = 0.5 }
priced_by = ["credits"]
[actions.realtime_session]
cost = { sessions = 1, concurrent = 1, requests = 1 }
[actions.track]
cost = { sessions = 1 }
[actions.ping]
cost = { requests = 1 }
[actions.export]
cost = { exports = 1 }
[actions.render]
cost = { images = 1 }
[actions.film]
cost = { credits = 10, concurrent = 1, exports = 1 }
priced_by = ["credits"]
[actions.create_project]
cost = { projects = 1 }

[tools.app-builder]
title = "App Builder"
cost = { credits = 50 }

[plans.free]
credits = { credits = 100 }
limits = { sessions = 100, exports = 3, requests = 6, concurrent = 1, projects = 1 }

[plans.starter]
prices = [{ amount = 900, currency = "usd", every = "month" }]
credits = { credits = 1_000, images = 5 }
limits = { sessions = 5_000, exports = 30, requests = 1_000, concurrent = 5, projects = 3 }

[plans.pro]
prices = [{ amount = 9_900, currency = "usd", every = "month" }]
credits = { credits = 5_000 }
limits = { sessions = "unlimited", exports = "unlimited", requests = "unlimited", concurrent = "unlimited", projects = 10 }
"""


def catalog_of(toml: str = TOML) -> Catalog:
    """The catalogue that this text describes."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "tollhouse.toml")
        path.write_text(toml)
        return load_catalog(path)


def configuration_of(database_url: str, toml: str = TOML, **environ: str) -> Configuration:
    """Settings and catalogue of an installation on this database."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "tollhouse.toml")
        path.write_text(toml)
        variables = {
            "ENVIRONMENT": "test",
            "SESSION_SECRET": SESSION_SECRET,
            "DATABASE_URL": database_url,
            "HOME": os.environ.get("HOME", "/"),
            **environ,
        }
        return load_configuration(path, variables)
