"""Every call of the contract, from arguments to an HTTP request and from the answer to a struct. No I/O.

Both clients send what is built here, so they cannot differ.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Generic, TypeVar
from urllib.parse import quote

import msgspec

from tollhouse_sdk.errors import ApiError, UnexpectedAnswer, class_of
from tollhouse_sdk.models import (
    Admission,
    Amounts,
    Ask,
    BatchAnswer,
    Catalog,
    CheckoutPage,
    Customer,
    Ended,
    EntryPage,
    Grant,
    Heartbeat,
    Hold,
    HoldResult,
    OnExpiry,
    Paid,
    Project,
    ProjectList,
    Refund,
)
from tollhouse_sdk.transport import Response

Answer = TypeVar("Answer")

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Call(msgspec.Struct, Generic[Answer], frozen=True):
    """One call. `key` is its idempotency key, the same at every attempt."""

    method: str
    path: str
    decode: Callable[[bytes], Answer]
    body: bytes | None = None
    key: str | None = None

    def read(self, response: Response) -> Answer:
        """The answer as a struct. Raises ApiError, UnexpectedAnswer."""
        if not 200 <= response.status < 300:
            raise _error(response, self.key)
        try:
            return self.decode(response.body)
        except msgspec.MsgspecError as error:
            raise UnexpectedAnswer(
                f"the answer to {self.method} {self.path} is not of Tollhouse's shape: {error}",
                fix="check the address of the client",
                key=self.key,
            ) from error


def new_key() -> str:
    """An idempotency key that nobody else has."""
    return f"sdk-{uuid.uuid4().hex}"


def admit(
    customer: str, action: str, key: str | None, amount: Amounts | None, metadata: Mapping[str, object] | None
) -> Call[Admission]:
    """Decide and debit."""
    key = new_key() if key is None else key
    body = {"customer": customer, "action": action, "key": key, "amount": exact(amount), "metadata": metadata}
    return _post("/v1/admit", Admission, body, key)


def admit_batch(items: Sequence[Ask]) -> Call[list[BatchAnswer]]:
    """Decide and debit many, in order."""
    keyed = [
        msgspec.structs.replace(item, key=new_key() if item.key is None else item.key, amount=exact(item.amount))
        for item in items
    ]
    return Call("POST", "/v1/admit/batch", _batch, _encode({"items": keyed}))


def check(customer: str, action: str, amount: Amounts | None, metadata: Mapping[str, object] | None) -> Call[Admission]:
    """Decide without a debit."""
    body = {"customer": customer, "action": action, "amount": exact(amount), "metadata": metadata}
    return _post("/v1/check", Admission, body)


def heartbeat(admission: str) -> Call[Heartbeat]:
    """Keep a slot."""
    return _post(f"/v1/admissions/{_part(admission)}/heartbeat", Heartbeat)


def end(admission: str) -> Call[Ended]:
    """Give a slot back."""
    return _post(f"/v1/admissions/{_part(admission)}/end", Ended)


def refund(admission: str, reason: str, key: str | None, amount: Amounts | Decimal | int | None) -> Call[Refund]:
    """Give back all or part."""
    key = new_key() if key is None else key
    given = exact(amount) if amount is None or isinstance(amount, Mapping) else _exact(amount)
    body = {"amount": given, "key": key, "reason": reason}
    return _post(f"/v1/admissions/{_part(admission)}/refund", Refund, body, key)


def hold(
    customer: str,
    action: str,
    ttl: str,
    on_expiry: OnExpiry,
    key: str | None,
    amount: Amounts | None,
    metadata: Mapping[str, object] | None,
) -> Call[Hold]:
    """Debit now, settle later."""
    key = new_key() if key is None else key
    body = {
        "customer": customer, "action": action, "key": key, "amount": exact(amount), "metadata": metadata,
        "ttl": ttl, "on_expiry": on_expiry,
    }  # fmt: skip
    return _post("/v1/holds", Hold, body, key)


def settle(hold_id: str, amount: Amounts) -> Call[HoldResult]:
    """The final cost."""
    return _post(f"/v1/holds/{_part(hold_id)}/settle", HoldResult, {"amount": exact(amount)})


def extend(hold_id: str, ttl: str) -> Call[HoldResult]:
    """Keep a hold open."""
    return _post(f"/v1/holds/{_part(hold_id)}/extend", HoldResult, {"ttl": ttl})


def release(hold_id: str) -> Call[HoldResult]:
    """Give all of a hold back."""
    return _post(f"/v1/holds/{_part(hold_id)}/release", HoldResult)


def catalog() -> Call[Catalog]:
    """What is sold."""
    return _get("/v1/catalog", Catalog)


def checkout(
    customer: str, plan: str | None, pack: str | None, interval: str | None, currency: str | None, email: str | None
) -> Call[CheckoutPage]:
    """A page to pay on. Raises ValueError unless either a plan or a pack is named."""
    if (plan is None) == (pack is None):
        raise ValueError("name a plan or a pack; fix: pass plan='…' or pack='…', one of the two")
    body = {
        "user_id": customer, "plan": plan, "pack": pack, "interval": interval, "currency": currency, "email": email,
    }  # fmt: skip
    return _post("/billing/checkout", CheckoutPage, body)


def create_customer(
    email: str, external_id: str | None, name: str | None, city: str | None, locale: str | None
) -> Call[Customer]:
    """Create or get."""
    body = {"email": email, "external_id": external_id, "name": name, "city": city, "locale": locale}
    return _post("/v1/customers", Customer, body)


def get_customer(customer: str) -> Call[Customer]:
    """Plan, standing and meters."""
    return _get(f"/v1/customers/{_part(customer)}", Customer)


def create_project(customer: str, name: str, key: str | None) -> Call[Project]:
    """One more project."""
    key = new_key() if key is None else key
    return _post(f"/v1/customers/{_part(customer)}/projects", Project, {"name": name, "key": key}, key)


def list_projects(customer: str) -> Call[ProjectList]:
    """A customer's projects."""
    return _get(f"/v1/customers/{_part(customer)}/projects", ProjectList)


def list_entries(customer: str, after: str | None, limit: int) -> Call[EntryPage]:
    """A page of the book."""
    cursor = "" if after is None else f"&after={_part(after)}"
    return _get(f"/v1/customers/{_part(customer)}/entries?limit={limit}{cursor}", EntryPage)


def grant(
    customer: str,
    meter: str,
    amount: Decimal | int,
    reason: str,
    key: str | None,
    expires_at: datetime | None,
    paid: Paid | None,
) -> Call[Grant]:
    """A lot of credits."""
    if expires_at is not None and expires_at.tzinfo is None:
        raise ValueError("expires_at has no time zone; fix: pass a datetime with tzinfo, such as datetime.now(UTC)")
    key = new_key() if key is None else key
    body = {
        "meter": meter, "amount": _exact(amount), "reason": reason, "key": key, "expires_at": expires_at, "paid": paid,
    }  # fmt: skip
    return _post(f"/v1/customers/{_part(customer)}/grants", Grant, body, key)


def exact(amount: Amounts | None) -> dict[str, Decimal | int] | None:
    """Amounts as they are sent. Raises TypeError for a float, which is not exact."""
    return None if amount is None else {meter: _exact(value) for meter, value in amount.items()}


def _exact(value: object) -> Decimal | int:
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise TypeError(f"the amount {value!r} is not exact; fix: pass an int or a Decimal, such as Decimal('12.5')")
    return value


def _part(text: str) -> str:
    return quote(text, safe="")


def _post(
    path: str, shape: type[Answer], body: Mapping[str, object] | None = None, key: str | None = None
) -> Call[Answer]:
    sent = None if body is None else _encode({name: value for name, value in body.items() if value is not None})
    return Call("POST", path, msgspec.json.Decoder(shape).decode, sent, key)


def _get(path: str, shape: type[Answer]) -> Call[Answer]:
    return Call("GET", path, msgspec.json.Decoder(shape).decode)


class _Batch(msgspec.Struct, frozen=True):
    items: list[msgspec.Raw]


class _Failed(msgspec.Struct, frozen=True):
    error: dict[str, object] | None = None


_decode_batch = msgspec.json.Decoder(_Batch).decode
_decode_failed = msgspec.json.Decoder(_Failed).decode
_decode_admission = msgspec.json.Decoder(Admission).decode
_decode_problem = msgspec.json.Decoder(dict[str, object]).decode


def _batch(body: bytes) -> list[BatchAnswer]:
    answers: list[BatchAnswer] = []
    for item in _decode_batch(body).items:
        problem = _decode_failed(item).error
        answers.append(_decode_admission(item) if problem is None else _api_error(_status(problem), problem, None))
    return answers


def _status(problem: Mapping[str, object]) -> int:
    status = problem.get("status")
    return status if isinstance(status, int) else 500


def _error(response: Response, key: str | None) -> ApiError | UnexpectedAnswer:
    if response.status < 400:
        return UnexpectedAnswer(
            f"the server answered {response.status}, to {response.headers.get('location', 'nowhere')}",
            fix="give the client the address that answers itself",
            key=key,
        )
    try:
        problem = _decode_problem(response.body)
    except msgspec.MsgspecError:  # a proxy's own page
        problem = {}
    retry_after = response.headers.get("retry-after", "")
    if retry_after.isdecimal():
        problem.setdefault("retry_after", int(retry_after))
    return _api_error(response.status, problem, key)


def _api_error(status: int, problem: Mapping[str, object], key: str | None) -> ApiError:
    known = ("type", "title", "status", "detail", "code", "fix")
    fix = problem.get("fix")
    return class_of(status)(
        status,
        str(problem.get("code", f"http_{status}")),
        str(problem.get("detail", f"the server answered {status}")),
        fix=fix if isinstance(fix, str) else None,
        fields={name: value for name, value in problem.items() if name not in known},
        key=key,
    )
