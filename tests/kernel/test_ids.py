"""Ids are unique, sorted by their making, and tell where an entry stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.kernel.ids import decode, encode, entry_address, entry_id, is_id, new_id

SEQUENCES = st.integers(0, 16**10 - 1)


@given(st.integers(0, 32**26 - 1))
def test_a_number_comes_back_from_its_letters(number: int) -> None:
    assert decode(encode(number, 26)) == number
    assert len(encode(number, 26)) == 26


@given(SEQUENCES, SEQUENCES)
def test_letters_sort_as_their_numbers_do(one: int, other: int) -> None:
    assert (encode(one, 10) < encode(other, 10)) == (one < other)


@pytest.mark.parametrize("text", ["i", "l", "o", "u", "A", "-", "é", " "])
def test_letters_that_are_easily_mistaken_are_none_of_ours(text: str) -> None:
    with pytest.raises(ValueError, match="not base 32"):
        decode(text)


def test_new_ids_differ_and_are_version_7_of_the_standard() -> None:
    made = [new_id("cus") for _ in range(2_000)]
    assert len(set(made)) == len(made)
    assert all(is_id(identifier, "cus") for identifier in made)
    numbers = [decode(identifier[4:]) for identifier in made]
    assert {number >> 76 & 0xF for number in numbers} == {7}
    assert {number >> 62 & 0b11 for number in numbers} == {0b10}
    times = [number >> 80 for number in numbers]
    assert times == sorted(times)


@given(SEQUENCES)
def test_an_entrys_id_leads_to_its_place_in_the_book(seq: int) -> None:
    customer = new_id("cus")
    identifier = entry_id("adm", customer, seq)
    assert entry_address(identifier, "adm") == (customer, seq)
    assert entry_address(identifier, "hld") is None


@given(st.text(max_size=50))
def test_no_text_of_a_client_breaks_the_reading_of_ids(text: str) -> None:
    assert entry_address(text, "adm") is None
    assert entry_address(f"adm_{text}", "adm") is None or len(text) == 36
    assert is_id(text, "cus") is False or text.startswith("cus_")


@pytest.mark.parametrize("seq", ["+00000000a", "0x0000000a", "00_000000a", "000000000A", " 00000000a", "-00000000a"])
def test_an_entry_has_one_id_only(seq: str) -> None:
    customer = new_id("cus")
    assert entry_address(f"adm_{customer[4:]}000000000a", "adm") == (customer, 10)
    assert entry_address(f"adm_{customer[4:]}{seq}", "adm") is None


def test_an_id_with_letters_that_are_none_of_ours_leads_nowhere() -> None:
    assert entry_address("adm_" + "u" * 36, "adm") is None
    assert not is_id("cus_" + "u" * 26, "cus")
