"""Prefixed identifiers: `cus_`, `usr_`, `adm_`… followed by 26 characters of Crockford's base 32.

New ids are UUIDv7 (RFC 9562): sorted by the millisecond of their making. Ids of entries carry their address instead
(customer and position in its book), so that they are found without an index of their own (docs/decisions/0007).
"""

import os
import re
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_BODY_LENGTH = 26
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]


def encode(number: int, length: int) -> str:
    """`number` in base 32, `length` characters, most significant first."""
    pairs = _PAIRS
    parts = []
    for _ in range(length // 2):
        parts.append(pairs[number & 1023])
        number >>= 10
    if length % 2:
        parts.append(_ALPHABET[number & 31])
    parts.reverse()
    return "".join(parts)


def decode(text: str) -> int:
    """The number that `encode` wrote. Raises ValueError for any other character."""
    number = 0
    for letter in text:
        value = _VALUES.get(letter)
        if value is None:
            raise ValueError(f"{text!r} is not base 32")
        number = number * 32 + value
    return number


def new_id(prefix: str) -> str:
    """A fresh id such as `cus_01j…`; unique without coordination, sortable by the time of its making."""
    milliseconds = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(10))
    number = (
        (milliseconds << 80)
        | (0x7 << 76)
        | ((tail >> 68) << 64 & (0xFFF << 64))
        | (0b10 << 62)
        | (tail & ((1 << 62) - 1))
    )
    return f"{prefix}_{encode(number, _BODY_LENGTH)}"


_FORM = re.compile(r"([a-z]+)_[0-9a-hjkmnp-tv-z]{26}")


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` has the form of an id with this prefix (it may still name nothing)."""
    match = _FORM.fullmatch(text)
    return match is not None and match[1] == prefix


def entry_id(prefix: str, customer: str, seq: int) -> str:
    """The id of the entry at position `seq` in the customer's book: prefix, the customer's body, the position."""
    return f"{prefix}_{customer[4:]}{seq:010x}"


def entry_address(identifier: str, prefix: str) -> tuple[str, int] | None:
    """(customer, seq) of an id made by `entry_id`; None when it has another form."""
    body = identifier[len(prefix) + 1 :]
    if not identifier.startswith(prefix + "_") or len(body) != _BODY_LENGTH + 10:
        return None
    try:
        decode(body[:_BODY_LENGTH])
        seq = int(body[_BODY_LENGTH:], 16)
    except ValueError:
        return None
    customer = "cus_" + body[:_BODY_LENGTH]
    # Python reads more than we write (signs, underscores, capitals): an entry has one id only.
    return (customer, seq) if seq >= 0 and entry_id(prefix, customer, seq) == identifier else None
