"""The design system that every page shares: stylesheet, components, texts, formats, and the headers that guard them."""

from tollhouse.pages.assets import Assets, load_assets
from tollhouse.pages.rendering import Pages, Person, Shell
from tollhouse.pages.security import new_nonce, origin_of
from tollhouse.pages.texts import LOCALES, Texts, choose_locale, texts_in

__all__ = [
    "LOCALES",
    "Assets",
    "Pages",
    "Person",
    "Shell",
    "Texts",
    "choose_locale",
    "load_assets",
    "new_nonce",
    "origin_of",
    "texts_in",
]
