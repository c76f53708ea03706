"""Ids in Stripe's form: a prefix and a random part."""

import secrets

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def random_text(length: int) -> str:
    """Unguessable letters and digits."""
    return "".join(_ALPHABET[byte % 62] for byte in secrets.token_bytes(length))


def new_id(prefix: str, length: int = 24) -> str:
    """A new id such as `sub_…`."""
    return f"{prefix}_{random_text(length)}"
