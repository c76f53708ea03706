"""Catalogue files for tests: a small right one, and ways to put mistakes into it."""

from pathlib import Path

from tollhouse.catalog import Catalog
from tollhouse.catalog.load import read_catalog
from tollhouse.settings.problems import Problem
from tollhouse.settings.toml import parse_document

FILE = "tollhouse.toml"
RIGHT = """\
[product]
name = "AI Gate"

[meters]
sessions   = { kind = "quota", period = "month", minutes_each = 2 }
requests   = { kind = "rate", per = "minute" }
concurrent = { kind = "lease", ttl = "90s" }
projects   = { kind = "count" }
credits    = { kind = "credits", decimals = 3 }

[actions.realtime_session]
cost = { sessions = 1 }

[plans.free]
credits = { credits = 100 }
limits = { sessions = 100, requests = 100, concurrent = 1, projects = 1 }

[plans.starter]
prices = [{ amount = 2900, currency = "usd", every = "month" }]
credits = { credits = 1000 }
limits = { sessions = 5000 }
support = { channel = "email", answer_within = "48h" }
"""


def problems_in(text: str, **price_ids: str) -> list[Problem]:
    """Everything that the loader has to say about this file."""
    return read_catalog(parse_document(text, FILE), price_ids)[1]


def catalog_in(text: str, **price_ids: str) -> Catalog:
    """The catalogue of a file without mistakes."""
    catalog, problems = read_catalog(parse_document(text, FILE), price_ids)
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    if errors:
        raise AssertionError("\n".join(errors))
    return catalog


def catalog_of(without: tuple[str, ...] = ()) -> Catalog:
    """The right catalogue, without the plans or meters named."""
    text = RIGHT
    if "starter" in without:
        text = text[: text.index("[plans.starter]")]
    if "sessions" in without:
        text = text.replace("sessions   = {", "visits = {").replace("sessions = ", "visits = ")
    return catalog_in(text)


def write(directory: Path, text: str = RIGHT) -> Path:
    """The text as a tollhouse.toml in the directory."""
    path = directory / FILE
    path.write_text(text, "utf-8")
    return path
