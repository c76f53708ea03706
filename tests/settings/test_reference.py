"""The reference page, the table and the struct know the same settings."""

from pathlib import Path

import msgspec

from tollhouse.settings import SETTINGS, Settings
from tollhouse.settings.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def fields(struct: type[msgspec.Struct], prefix: str = "") -> set[str]:
    found = set()
    for field in msgspec.structs.fields(struct):
        if (
            isinstance(field.type, type)
            and issubclass(field.type, msgspec.Struct)
            and field.type.__module__ == Settings.__module__
        ):
            found |= fields(field.type, f"{prefix}{field.name}.")
        else:
            found.add(prefix + field.name)
    return found


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text("utf-8") == reference(), (
        "run: python -m tollhouse.settings.reference > docs/reference/settings.md"
    )


def test_every_setting_is_on_the_page_under_its_variable() -> None:
    page = PAGE.read_text("utf-8")
    assert [setting.variable for setting in SETTINGS if f"### `{setting.variable}`" not in page] == []


def test_the_table_and_the_struct_have_the_same_settings() -> None:
    table = [setting.path for setting in SETTINGS]
    assert len(table) == len(set(table))
    assert set(table) == fields(Settings) - {"stripe.prices"}


def test_no_secret_has_a_default() -> None:
    assert [
        setting.variable
        for setting in SETTINGS
        if setting.secret and (setting.default, setting.default_local) != (None, None)
    ] == []
