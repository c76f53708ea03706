"""The JSON documents that the sandbox keeps: what they are, how they are copied and compared."""

from typing import Any

import msgspec

# Everything kept here is Stripe's own JSON: the document is the edge, and its shape is proven by tests against the SDK.
Doc = dict[str, Any]

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, Any])


def encode(document: object) -> bytes:
    """The document as JSON bytes."""
    return _encoder.encode(document)


def snapshot(document: Doc) -> Doc:
    """A copy that shares nothing with the original."""
    return _decoder.decode(_encoder.encode(document))


def difference(before: Doc, after: Doc) -> Doc:
    """Stripe's `previous_attributes`: the old value of every field that changed; in nested objects only those that changed."""
    changed: Doc = {}
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            changed[key] = difference(old, new)
        else:
            changed[key] = old
    return changed


def listed(items: list[Doc], url: str, *, has_more: bool = False) -> Doc:
    """Stripe's list object around the given items."""
    return {"object": "list", "data": items, "has_more": has_more, "url": url}


def merged_metadata(present: dict[str, str], change: dict[str, str] | None) -> dict[str, str]:
    """Stripe's merge: named keys are set, empty ones removed, all removed when the whole is cleared."""
    if change is None:
        return {}
    merged = {**present, **change}
    return {key: value for key, value in merged.items() if value != ""}
