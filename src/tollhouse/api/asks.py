"""Requests to decide, from JSON to what admission takes: names resolved, amounts scaled, texts checked before queueing."""

from collections.abc import Mapping
from decimal import Decimal
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec

from tollhouse.admission.model import HoldTerms
from tollhouse.catalog.model import Action, Catalog
from tollhouse.kernel.durations import parse_duration
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.kernel.units import scale

MOST_METADATA_BYTES = 2_048
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


class BatchRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """1 to 1,000 admissions, decided in order."""

    items: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=1_000)]


class Prepared(msgspec.Struct, frozen=True):
    """A request whose action is known, whose cost is scaled and whose texts can be stored."""

    action: str
    cost: dict[str, int]
    key: str | None
    metadata: str | None


def prepare(request: AdmitRequest | HoldRequest, catalog: Catalog, header_key: str | None) -> Prepared:
    """Check and scale. Raises InvalidRequest with the fix."""
    action = action_named(request.action, catalog)
    cost = action.cost if request.amount is None else priced(action, request.amount, catalog)
    metadata = None if request.metadata is None else checked_metadata(request.metadata)
    return Prepared(action.name, cost, one_key(request.key, header_key), metadata)


def action_named(name: str, catalog: Catalog) -> Action:
    """The catalogue's action. Raises InvalidRequest naming some that exist."""
    action = catalog.actions.get(name)
    if action is None:
        known = ", ".join(list(catalog.actions)[:12])
        raise InvalidRequest(f"there is no action {name!r}", code="unknown_action", fix=f"name one of: {known}")
    return action


def priced(action: Action, amounts: Mapping[str, Decimal], catalog: Catalog) -> dict[str, int]:
    """The action's cost with the caller's amounts in it. Raises InvalidRequest where the catalogue does not let it."""
    cost = dict(action.cost)
    for meter, amount in amounts.items():
        if meter not in action.priced_by_caller:
            allowed = ", ".join(action.priced_by_caller) or "none of its meters"
            raise InvalidRequest(
                f"the action {action.name!r} does not take an amount of {meter!r} from the caller",
                code="amount_not_allowed", meter=meter,
                fix=f"leave it out, or set `priced_by` of the action in the catalogue (now: {allowed})",
            )  # fmt: skip
        cost[meter] = scaled(amount, meter, catalog)
    return {meter: amount for meter, amount in cost.items() if amount}


def scaled(amount: Decimal, meter: str, catalog: Catalog) -> int:
    """A client's amount on a meter, scaled. Raises InvalidRequest for unknown meters, negatives, too many decimals."""
    known = catalog.meters.get(meter)
    if known is None:
        raise InvalidRequest(f"there is no meter {meter!r}", code="unknown_meter", fix="name one of: " + ", ".join(catalog.meters))
    try:
        value = scale(amount, known.decimals)
    except ValueError as error:
        raise InvalidRequest(
            f"{meter}: {error}", code="invalid_amount", meter=meter,
            fix=f"send 0 or more with at most {known.decimals} decimals, below 2^53 when scaled",
        ) from None  # fmt: skip
    if value < 0:
        raise InvalidRequest(f"{meter}: the amount is negative", code="invalid_amount", meter=meter, fix="send 0 or more")
    return value


def one_key(in_body: str | None, in_header: str | None) -> str | None:
    """The idempotency key, from the body or the header. Raises InvalidRequest when it is malformed or both differ."""
    if in_body is not None and in_header is not None and in_body != in_header:
        raise InvalidRequest("the body's key and the Idempotency-Key header differ", code="invalid_key", fix="send one of them")
    key = in_body if in_body is not None else in_header
    if key is not None and not (1 <= len(key) <= 200 and key.isprintable() and not key.startswith("~")):
        raise InvalidRequest(
            "the key is not 1 to 200 printable characters, or begins with ~", code="invalid_key",
            fix="send a key such as a request id or a UUID",
        )  # fmt: skip
    return key


def checked_metadata(metadata: Mapping[str, Any]) -> str:
    """Metadata as JSON text. Raises InvalidRequest past 2 kB or for numbers that JSON text cannot carry on."""
    try:
        text = _canonical(metadata).decode()
    except (ValueError, OverflowError, TypeError, RecursionError):
        raise InvalidRequest("the metadata cannot be stored", code="invalid_metadata", fix="send texts and small numbers") from None
    if len(text) > MOST_METADATA_BYTES:
        raise InvalidRequest(
            f"the metadata is {len(text)} characters long", code="invalid_metadata", fix=f"keep it within {MOST_METADATA_BYTES}"
        )
    return text


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
    digest = blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode())
        elif part is not None:
            digest.update(_canonical(part))
        digest.update(b"\0")
    return digest.digest()
