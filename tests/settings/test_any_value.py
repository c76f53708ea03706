"""Whatever an environment variable holds, the answer is settings or a list of mistakes; a secret is never shown."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tollhouse.settings import SETTINGS, Problem, Setting, read_settings
from tollhouse.settings.toml import parse_document

DOCUMENT = parse_document("", "tollhouse.toml")
ENVIRONMENTS = ["development", "staging", "production"]
values = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40) | st.builds(
    str.__add__,
    st.sampled_from(
        ["sk_live_", "sk_test_", "pk_live_", "whsec_", "https://", "postgresql://", "smtp://", "sqlite:///"]
    ),
    st.text("abc:/@[]%.0123456789-_*, ", max_size=40),
)


@pytest.mark.row("S23")
@settings(max_examples=300, deadline=None)
@given(setting=st.sampled_from(SETTINGS), value=values, environment=st.sampled_from(ENVIRONMENTS))
def test_any_text_in_any_variable(setting: Setting, value: str, environment: str) -> None:
    problems: list[Problem] = []
    read = read_settings(DOCUMENT, {"ENVIRONMENT": environment, setting.variable: value}, problems)

    told = "\n".join(map(str, problems))
    assert told.count("\n") == max(len(problems) - 1, 0)
    hidden = value.strip().partition("_")[2] if setting.secret else ""
    if len(hidden) >= 12:
        assert hidden not in told
        assert hidden not in repr(read)
