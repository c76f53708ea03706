"""Requests to decide, from JSON to what admission takes: names resolved, amounts scaled, texts checked before queueing."""

from collections.abc import Mapping
from decimal import Decimal
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec

from tollhouse.admission.model import HoldTerms
from tollhouse.admission.pricing import Charge, PriceList
from tollhouse.kernel.durations import parse_duration
from tollhouse.kernel.errors import InvalidRequest

MOST_METADATA_BYTES = 2_048
MOST_METADATA_LEVELS = 32
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]

_canonical = msgspec.json.Encoder(order="deterministic", decimal_format="string").encode


class AdmitRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """May this customer do this now? `amount` only for meters that the catalogue lets the caller price."""

    customer: Text
    action: Text
    key: str | None = None
    amount: dict[str, Decimal] | None = None
    metadata: dict[str, Any] | None = None


class CheckRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As AdmitRequest, without a key: nothing is debited."""

    customer: Text
    action: Text
    amount: dict[str, Decimal] | None = None
    metadata: dict[str, Any] | None = None


class HoldRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Debit now, settle later. `ttl` such as 60s; `on_expiry` says what happens when nobody settles."""

    customer: Text
    action: Text
    key: str | None = None
    amount: dict[str, Decimal] | None = None
    metadata: dict[str, Any] | None = None
    ttl: str = "60s"
    on_expiry: Literal["return", "charge"] = "return"


ITEMS = msgspec.Meta(min_length=1, max_length=1_000)


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """1 to 1,000 admissions, decided in order."""

    items: Annotated[list[msgspec.Raw], ITEMS]


class GoodBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch whose items are all well formed, read at once."""

    items: Annotated[list[AdmitRequest], ITEMS]


class Prepared(msgspec.Struct, frozen=True):
    """A request whose action is known, whose cost is scaled and whose texts can be stored."""

    charge: Charge
    key: str | None
    metadata: str | None


def prepare(request: AdmitRequest | HoldRequest, prices: PriceList, header_key: str | None) -> Prepared:
    """Check and scale. Raises InvalidRequest with the fix."""
    charge = prices.charge(request.action, request.amount)
    metadata = None if request.metadata is None else checked_metadata(request.metadata)
    return Prepared(charge, one_key(request.key, header_key), metadata)


def fingerprint_of(customer: str, ready: Prepared, priced: bool, *more: object) -> bytes:
    """The fingerprint of an admission or a hold; the cost is in it only where the caller named it."""
    if ready.metadata is None and not priced and not more:  # as below, written out for the hot path
        return blake2b(f"{customer}\0{ready.charge.action}\0\0".encode(), digest_size=16).digest()
    return fingerprint(customer, ready.charge.action, ready.metadata, ready.charge.cost if priced else None, *more)


def one_key(in_body: str | None, in_header: str | None) -> str | None:
    """The idempotency key, from the body or the header (a Latin-1 text of its bytes, as servers give headers).

    Raises InvalidRequest `invalid_key` when it is malformed or both differ.
    """
    if in_header is not None and not in_header.isascii():
        in_header = _utf8(in_header)
    if in_body is not None and in_header is not None and in_body != in_header:
        raise InvalidRequest(
            "the body's key and the Idempotency-Key header differ", code="invalid_key", fix="send one of them"
        )
    key = in_body if in_body is not None else in_header
    if key is not None and not (1 <= len(key) <= 200 and key.isprintable() and not key.startswith("~")):
        raise InvalidRequest(
            "the key is not 1 to 200 printable characters, or begins with ~", code="invalid_key",
            fix="send a key such as a request id or a UUID",
        )  # fmt: skip
    return key


def _utf8(header: str) -> str:
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        raise InvalidRequest(
            "the Idempotency-Key header is not UTF-8", code="invalid_key",
            fix="send a key such as a request id or a UUID, in UTF-8 as in a body",
        ) from None  # fmt: skip


def checked_metadata(metadata: Mapping[str, Any]) -> str:
    """Metadata as JSON text. Raises InvalidRequest past 2 kB, past 32 levels, or for numbers too large for JSON."""
    try:
        text = _canonical(metadata).decode()
    except (ValueError, OverflowError, TypeError, RecursionError):
        raise InvalidRequest(
            "the metadata cannot be stored", code="invalid_metadata", fix="send texts and small numbers"
        ) from None
    # What is stored has to be read again by everybody, however deep in a program: nesting is bounded well below that.
    if text.count("[") + text.count("{") > MOST_METADATA_LEVELS and _levels(metadata) > MOST_METADATA_LEVELS:
        raise InvalidRequest(
            f"the metadata is nested more than {MOST_METADATA_LEVELS} levels deep", code="invalid_metadata",
            fix="send a flat object",
        )  # fmt: skip
    if len(text) > MOST_METADATA_BYTES:
        raise InvalidRequest(
            f"the metadata is {len(text)} characters long",
            code="invalid_metadata",
            fix=f"keep it within {MOST_METADATA_BYTES}",
        )
    return text


def _levels(metadata: object) -> int:
    """How deep it is nested."""
    level, here = 0, [metadata]
    while here:
        level += 1
        inner = [part for node in here for part in (node.values() if isinstance(node, Mapping) else node)]  # type: ignore[attr-defined]
        here = [part for part in inner if isinstance(part, dict | list)]
    return level


def terms_of(request: HoldRequest) -> HoldTerms:
    """How long the hold lasts. Raises InvalidRequest for a ttl without unit."""
    return HoldTerms(duration(request.ttl, "ttl"), request.on_expiry)


def duration(text: str, field: str) -> int:
    """Milliseconds of a duration in a request. Raises InvalidRequest."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidRequest(f"{field}: {error}", code=f"invalid_{field}", fix=f'send {field} such as "60s"') from None


def fingerprint(*parts: object) -> bytes:
    """16 bytes that stand for the whole request but its key, path ids included (rule 12)."""
    pieces = [part.encode() if isinstance(part, str) else b"" if part is None else _canonical(part) for part in parts]
    return blake2b(b"\0".join(pieces), digest_size=16).digest()
