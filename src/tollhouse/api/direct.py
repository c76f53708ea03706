"""The two hot calls answered directly: whole requests of callers that are known, without a task and a scope for each.

`http_protocol.py` comes here with a request that has arrived whole, under a head that was seen before. What is not
plainly good is left to the ordinary handlers in `deciding.py`: nothing has been done then, and they say what is wrong.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

import msgspec

from tollhouse.admission.model import Outcome, RateLimit
from tollhouse.api.asks import AdmitRequest, GoodBatch, Prepared, fingerprint_of, prepare
from tollhouse.api.bodies import decoder_of
from tollhouse.api.deciding import ADMIT, answer_to_error, batch_body, error_item
from tollhouse.api.request_ids import new_request_id
from tollhouse.house import House

GOOD_BATCH = decoder_of(GoodBatch)

Write = Callable[[bytes, bytes], None]
"""Takes the status with its reason, and everything after the server's own header fields."""

HEAD = b"content-type: application/json\r\ncontent-length: %d\r\nx-request-id: %b\r\n\r\n%b"
PROBLEM_HEAD = b"content-type: application/problem+json\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b\r\n%b"
HEAD_WITH_RATE = (
    b"content-type: application/json\r\ncontent-length: %d\r\nx-request-id: %b\r\n"
    b'ratelimit: "%b";r=%d;t=%d\r\nratelimit-policy: "%b";q=%d;w=%d\r\n\r\n%b'
)


class Direct(Protocol):
    """Takes the digest of the caller's key, its Idempotency-Key, a whole body. False: it has done nothing with it."""

    def __call__(self, key_digest: bytes, idempotency_key: str | None, body: bytes, write: Write, /) -> bool: ...


def direct_ways(house: House) -> dict[bytes, Direct]:
    """The two by path."""

    def admit(key_digest: bytes, idempotency_key: str | None, body: bytes, write: Write) -> bool:
        try:
            if house.keys.find_digest(key_digest) is None:
                return False
            request: AdmitRequest = ADMIT.decode(body)
            customer = house.directory.known(request.customer)
            if customer is None:
                return False
            ready = prepare(request, house.admission.prices, idempotency_key)
        except Exception:  # whatever it is, the ordinary handler meets it again and tells it
            return False
        _put(house, Answering(write), request, customer, ready)
        return True

    def admit_batch(key_digest: bytes, idempotency_key: str | None, body: bytes, write: Write) -> bool:
        try:
            if idempotency_key is not None or house.keys.find_digest(key_digest) is None:
                return False
            ready = []
            for request in GOOD_BATCH.decode(body).items:
                customer = house.directory.known(request.customer)
                if customer is None:
                    return False
                ready.append((request, customer, prepare(request, house.admission.prices, None)))
        except Exception:  # whatever it is, the ordinary handler meets it again and tells it
            return False
        gathering = Gathering(len(ready), write)
        for number, (request, customer, prepared) in enumerate(ready):
            _put(house, Item(gathering, number), request, customer, prepared)
        return True

    return {b"/v1/admit": admit, b"/v1/admit/batch": admit_batch}


def _put(house: House, waiter: "Answering | Item", request: AdmitRequest, customer: str, ready: Prepared) -> None:
    mark = fingerprint_of(customer, ready, request.amount is not None)
    house.admission.put(waiter, "admit", customer, ready.charge, ready.key, mark, ready.metadata)


class Answering(msgspec.Struct, eq=False):
    """Waits for one admission and writes its answer."""

    write: Write
    answered: bool = False

    def done(self) -> bool:
        return self.answered

    def set_result(self, outcome: Outcome) -> None:
        self.answered = True
        limit = outcome.limit
        self.write(b"200 OK", _ok(outcome.body) if limit is None else _ok_with_rate(outcome.body, limit))

    def set_exception(self, error: BaseException) -> None:
        self.answered = True
        request_id = new_request_id()
        status, body, extra = answer_to_error(error, "/v1/admit", request_id)
        fields = "".join(f"{name}: {value}\r\n" for name, value in extra.items()).encode()
        phrase = f"{status} {HTTPStatus(status).phrase}".encode()
        self.write(phrase, PROBLEM_HEAD % (len(body), request_id, fields, body))


class Gathering:
    """Waits for all items of a batch and writes their answers in order."""

    def __init__(self, count: int, write: Write) -> None:
        self._answers = [b""] * count
        self._missing = count
        self._write = write

    def set(self, number: int, answer: bytes) -> None:
        """One item's answer; the last one sends them all."""
        self._answers[number] = answer
        self._missing -= 1
        if not self._missing:
            self._write(b"200 OK", _ok(batch_body(self._answers)))


class Item(msgspec.Struct, eq=False):
    """One item of a batch; a bad one is answered with its error and spoils only itself."""

    gathering: Gathering
    number: int
    answered: bool = False

    def done(self) -> bool:
        return self.answered

    def set_result(self, outcome: Outcome) -> None:
        self.answered = True
        self.gathering.set(self.number, outcome.body)

    def set_exception(self, error: BaseException) -> None:
        self.answered = True
        self.gathering.set(self.number, error_item(error, self.number))


def _ok(body: bytes) -> bytes:
    return HEAD % (len(body), new_request_id(), body)


def _ok_with_rate(body: bytes, limit: RateLimit) -> bytes:
    meter = limit.meter.encode()
    return HEAD_WITH_RATE % (
        len(body), new_request_id(), meter, limit.left, limit.back_in_seconds,
        meter, limit.limit, limit.window_seconds, body,
    )  # fmt: skip
