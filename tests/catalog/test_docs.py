"""The pages about the catalogue name every key that the loader knows, and their examples are right."""

import re
from pathlib import Path

import pytest

from tests.catalog.files import catalog_in, problems_in

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = (DOCS / "reference" / "catalogue.md").read_text("utf-8")
HOW_TO = (DOCS / "how-to" / "write-a-catalogue.md").read_text("utf-8")


def toml_in(page: str) -> str:
    return "\n".join(re.findall(r"```toml\n(.*?)```", page, re.DOTALL))


@pytest.mark.parametrize("page", [REFERENCE, HOW_TO], ids=["reference", "how-to"])
def test_the_examples_are_a_catalogue_without_mistakes(page: str) -> None:
    assert problems_in(toml_in(page)) == []
    assert catalog_in(toml_in(page)).product.name == "Sketchbook"


UNKNOWN = "zzz = 1"
# A place in the reference's example where an unknown key is put, the table that it is then in, and the heading.
PLACES = [
    ('name = "Sketchbook"', f'name = "Sketchbook"\n{UNKNOWN}', "product", "## `[product]`"),
    ('kind = "credits"', f'kind = "credits", {UNKNOWN}', "meters.credits", "## `[meters]`"),
    ('kind = "quota"', f'kind = "quota", {UNKNOWN}', "meters.exports", "## `[meters]`"),
    ('kind = "rate"', f'kind = "rate", {UNKNOWN}', "meters.requests", "## `[meters]`"),
    ('kind = "lease"', f'kind = "lease", {UNKNOWN}', "meters.canvases", "## `[meters]`"),
    ("[actions.draw]", f"[actions.draw]\n{UNKNOWN}", "actions.draw", "## `[actions.NAME]`"),
    ("[tools.poster]", f"[tools.poster]\n{UNKNOWN}", "tools.poster", "## `[tools.NAME]`"),
    ("[plans.studio]", f"[plans.studio]\n{UNKNOWN}", "plans.studio", "## `[plans.NAME]`"),
    ("[packs.refill]", f"[packs.refill]\n{UNKNOWN}", "packs.refill", "## `[packs.NAME]`"),
    ('every = "month"', f'every = "month", {UNKNOWN}', "plans.studio.prices[0]", "### A price"),
    ("amount = 40", f"amount = 40, {UNKNOWN}", "plans.free.credits.credits", "### Credits"),
    ('channel = "email"', f'channel = "email", {UNKNOWN}', "plans.studio.support", "### Support"),
    ("[billing]", f"[billing]\n{UNKNOWN}", "billing", "## `[billing]`"),
]


@pytest.mark.parametrize(("place", "with_unknown", "table", "heading"), PLACES)
def test_every_key_that_is_known_stands_under_its_heading(
    place: str, with_unknown: str, table: str, heading: str
) -> None:
    [problem] = [p for p in problems_in(toml_in(REFERENCE).replace(place, with_unknown, 1)) if p.severity == "error"]
    assert problem.key == f"{table}.zzz"
    known = set(re.split(r", | or ", problem.allowed))
    section = re.split(r"^##", REFERENCE.split(heading + "\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    documented = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    assert known <= documented
    assert heading == "## `[meters]`" or documented == known
