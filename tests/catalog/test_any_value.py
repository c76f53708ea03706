"""Whatever stands in the file, the answer is a catalogue or a list of mistakes, never a traceback."""

import copy
import datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.catalog.files import RIGHT
from tollhouse.catalog.load import read_catalog
from tollhouse.cli.init import preset_text
from tollhouse.settings import Problem, read_settings
from tollhouse.settings.toml import Document, KeyPath, parse_document

MAXIMAL = parse_document(
    RIGHT
    + '[tools.poster]\ntitle = "Poster"\ncost = { credits = 2 }\nframe_url = "/poster"\n'
    + preset_text("upiik")[preset_text("upiik").index("[settings]") :],
    "tollhouse.toml",
)
anything = st.recursive(
    st.none().map(lambda _: "")
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.decimals()
    | st.sampled_from(
        [Decimal("1e400"), Decimal("NaN"), Decimal("-Infinity"), Decimal("0.1"), 0, -1, "unlimited", "caller"]
    )
    | st.text(max_size=8)
    | st.sampled_from([datetime.datetime(2026, 1, 1), datetime.date(2026, 1, 1), datetime.time(1, 2)]),  # noqa: DTZ001
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.row("S23")
@settings(max_examples=300, deadline=None)
@given(path=st.sampled_from(sorted(MAXIMAL.lines, key=str)), value=anything)
def test_a_wrong_value_anywhere_is_a_mistake_or_a_meaning(path: KeyPath, value: object) -> None:
    document = Document(MAXIMAL.file, copy.deepcopy(MAXIMAL.values), MAXIMAL.lines)
    parent: object = document.values
    for part in path[:-1]:
        parent = parent[part]  # type: ignore[index]
    parent[path[-1]] = value  # type: ignore[index]
    problems: list[Problem] = []

    read = read_settings(document, {}, problems, purpose="plans")
    catalog, found = read_catalog(document, read.stripe.prices)

    for problem in (*problems, *found):
        assert problem.line is not None or problem.file == "environment"
        assert problem.found
        assert problem.fix
        assert "\n" not in str(problem)
    if not problems and not found:
        assert catalog.free_plan in catalog.plans
