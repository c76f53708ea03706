"""Every component by itself: what screen readers are told, and that text never becomes markup."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from markupsafe import Markup

from tests.catalog.files import write
from tollhouse.pages import Pages
from tollhouse.settings import load_settings

EVIL = '"><script>alert(1)</script>'


@pytest.fixture
def ui(tmp_path: Any) -> Any:
    """The components, in English."""
    environ = {"ENVIRONMENT": "test", "SESSION_SECRET": "a-secret-for-tests-of-more-than-32-bytes"}
    pages = Pages(load_settings(write(tmp_path), environ, purpose="data"), "tollhouse.web")
    return pages.environment("en").globals["ui"]


def meter(percent: int, level: str = "calm") -> SimpleNamespace:
    return SimpleNamespace(
        name="credits", label=EVIL, kind="credits", total=100, used=percent, remaining=100 - percent, percent=percent,
        level=level, resets_at=None, minutes=None, words=f"{percent} of 100 used",
    )  # fmt: skip


def test_a_bar_says_in_words_what_it_shows(ui: Any) -> None:
    bar = ui.bar(meter(42))
    assert 'role="meter"' in bar
    assert 'aria-valuenow="42"' in bar
    assert 'aria-valuetext="42 of 100 used"' in bar
    assert 'x="80%"' in bar
    assert "style=" not in bar


@pytest.mark.parametrize(("level", "words"), [("calm", ""), ("high", "Over 80% used"), ("full", "Used up")])
def test_a_colour_never_stands_without_a_word(ui: Any, level: str, words: str) -> None:
    assert words in ui.meter(meter(85, level))
    assert ("badge" in ui.meter(meter(85, level))) == bool(words)


def test_a_field_ties_its_label_hint_and_error_together(ui: Any) -> None:
    field = ui.field("email", "Address", "email", EVIL, hint="a hint", error="wrong")
    assert '<label for="email">' in field
    assert 'aria-invalid="true"' in field
    described = re.search(r'aria-describedby="([^"]+)"', field)
    assert described is not None
    assert f'id="{described[1]}"' in field
    assert "a hint" not in field


def test_a_dialog_has_a_name_and_opens_by_itself_where_asked(ui: Any) -> None:
    dialog = ui.dialog("exhausted", "Credits exhausted", open=True, caller=lambda: Markup("<p>words</p>"))
    assert 'aria-labelledby="exhausted-title"' in dialog
    assert " open data-modal" in dialog
    assert " open" not in ui.dialog("quiet", "Quiet", caller=lambda: "")


def test_toasts_are_read_out(ui: Any) -> None:
    assert 'role="status" aria-live="polite"' in ui.toasts(["Saved."])
    assert "Saved." in ui.toasts(["Saved."])


def test_tabs_say_where_one_is(ui: Any) -> None:
    items = [{"href": "/a", "text": "A", "current": True}, {"href": "/b", "text": "B", "current": False}]
    tabs = ui.tabs(items, "Views")
    assert tabs.count("aria-current") == 1
    assert 'aria-label="Views"' in tabs


def test_text_is_never_markup(ui: Any) -> None:
    shown = [
        ui.badge(EVIL, "good", "check"), ui.stat(EVIL, EVIL, EVIL, EVIL), ui.meter(meter(10)), ui.field("a", EVIL, value=EVIL),
        ui.banner("bad", EVIL, EVIL), ui.empty("log", EVIL, EVIL), ui.code(EVIL, EVIL), ui.toasts([EVIL]),
        ui.dialog("d", EVIL, caller=lambda: ""), ui.tabs([{"href": EVIL, "text": EVIL, "current": True}], EVIL),
        ui.mark(SimpleNamespace(name=EVIL)),
    ]  # fmt: skip
    for piece in shown:
        assert "<script" not in piece
