"""Texts in English and French. English stands in the templates; `locale/<language>.po` holds the other languages.

The `.po` files are read as they are, at the first use: nothing has to be compiled or kept in step.
"""

import gettext
import io
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALES = ("en", "fr")
NAMES = {"en": "English", "fr": "Français"}


class Texts:
    """The texts of one language. Called with an English text, and values for its `%(name)s`, it answers in its own."""

    def __init__(self, locale: str, translations: gettext.NullTranslations) -> None:
        self.locale = locale
        self.translations = translations

    def __call__(self, text: str, **values: object) -> str:
        translated = self.translations.gettext(text) if text else ""
        return translated % values if values else translated


def N_(text: str) -> str:
    """Marks a text for translation where it is only kept, and translated later."""
    return text


@cache
def texts_in(locale: str) -> Texts:
    """The texts of this language; English for one that we do not have."""
    if locale not in LOCALES or locale == "en":
        return Texts("en", gettext.NullTranslations())
    with files("tollhouse.pages").joinpath("locale", f"{locale}.po").open("rb") as source:
        catalog = read_po(source, locale=locale, abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return Texts(locale, gettext.GNUTranslations(compiled))


def choose_locale(wishes: Iterable[str | None], accept_language: str, default: str) -> str:
    """The first of the wishes that we have, else the best of `Accept-Language` (RFC 9110), else the product's own."""
    for wish in wishes:
        if wish and (locale := _ours(wish)):
            return locale
    weighted: list[tuple[float, int, str]] = []
    for position, item in enumerate(accept_language.split(",")[:20]):
        tag, _, parameters = item.partition(";")
        if locale := _ours(tag.strip()):
            weighted.append((-_weight(parameters), position, locale))
    weighted.sort()
    if weighted and weighted[0][0] < 0:
        return weighted[0][2]
    return _ours(default) or "en"


def _ours(tag: str) -> str | None:
    language = tag.lower().replace("_", "-").split("-")[0]
    return language if language in LOCALES else None


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return max(0.0, min(1.0, float(value)))
    except ValueError:
        return 0.0
