"""A batch's columns as texts: what PostgreSQL splits again is what was there, whatever is missing."""

import pytest

from tollhouse.admission.ports import texts


def _split(text: str) -> list[str | None]:
    """As `string_to_array` in the save's function does it."""
    return [None if part == "\x02" else part for part in text.split("\x1f")] if text else []


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ((1, -2, 2**53 - 1, 2**63 - 1), ["1", "-2", "9007199254740991", "9223372036854775807"]),
        ((7, None, 8, None), ["7", None, "8", None]),
        ((None, 7), [None, "7"]),
        (("a,b", "null", ""), ["a,b", "null", ""]),
        ((), []),
        (("a", None), ["a", None]),
        ((None, None), [None, None]),
        ((b"\x00\xff", b"\x10"), ["00ff", "10"]),
        ((b"\x00", None), ["00", None]),
        ((None, b"\x00"), [None, "00"]),
    ],
)
def test_a_column_is_split_into_what_it_was(column: tuple[object, ...], expected: list[str | None]) -> None:
    (text,) = texts([(value,) for value in column], 1)
    assert _split(text) == expected


def test_no_rows_are_as_many_empty_texts() -> None:
    assert texts([], 3) == ["", "", ""]
