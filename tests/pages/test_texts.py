"""Every text of the pages has its French, with the same values in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po

from tests.support.tree import ROOT
from tollhouse.pages import choose_locale, texts_in

SOURCE = ROOT / "src" / "tollhouse"
METHODS = {".html": "jinja2.ext:babel_extract", ".py": "python"}
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}


def texts_of_pages() -> Iterator[tuple[str | tuple[str, ...], Path]]:
    """Each text in templates and code, with its file."""
    for room in ("pages", "web", "admin"):
        for path in sorted((SOURCE / room).rglob("*")):
            if path.suffix in METHODS:
                with path.open("rb") as source:
                    for _, text, _, _ in extract(METHODS[path.suffix], source, KEYWORDS, options={"encoding": "utf-8"}):
                        yield text, path


def test_every_text_has_its_french_and_no_french_is_left_over() -> None:
    with (SOURCE / "pages" / "locale" / "fr.po").open("rb") as source:
        catalog = read_po(source, locale="fr", abort_invalid=True)
    translated = {message.id: message for message in catalog if message.id}
    used = {text for text, _ in texts_of_pages()}
    assert used - translated.keys() == set()
    assert translated.keys() - used == set()
    for message in translated.values():
        assert message.string
        assert not message.fuzzy


def test_french_holds_the_values_of_the_english() -> None:
    with (SOURCE / "pages" / "locale" / "fr.po").open("rb") as source:
        catalog = read_po(source, locale="fr")
    for message in catalog:
        english = message.id if isinstance(message.id, str) else message.id[-1]
        french = [message.string] if isinstance(message.string, str) else list(message.string or ())
        for text in french:
            assert values_in(text) == values_in(english), english


def values_in(text: str) -> set[str]:
    """The places of a text in which a value, or a percent sign, stands."""
    return set(re.findall(r"%\(\w+\)s|%%", text))


def test_texts_take_values() -> None:
    assert texts_in("fr")("%(used)s of %(total)s used", used="5", total="9") == "5 sur 9 utilisés"
    assert texts_in("de")("Plan") == "Plan"


@pytest.mark.parametrize(
    ("wishes", "accepted", "chosen"),
    [
        (("fr", "en"), "en", "fr"),
        ((None, "en_GB"), "fr", "en"),
        ((None,), "de, fr;q=0.8, en;q=0.9", "en"),
        ((None,), "fr;q=0, de", "en"),
        ((None,), "en;q=banana, fr;q=0.1", "fr"),
        ((None,), "", "en"),
        (("../../etc",), "\x00", "en"),
    ],
)
def test_the_language_is_the_first_wish_we_have(wishes: tuple[str | None, ...], accepted: str, chosen: str) -> None:
    assert choose_locale(wishes, accepted, "en") == chosen
