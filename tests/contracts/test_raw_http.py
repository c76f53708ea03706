"""Requests as only a broken or hostile client writes them, byte by byte: each is answered, and the server goes on."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import requests

from tests.support.serving import RunningServer

MIB = 1024 * 1024
Answer = tuple[int, dict[str, str], bytes]


def exchange(server: RunningServer, raw: bytes) -> Answer:
    """Send these bytes, read until the server closes: status, headers, body."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        # It may have answered, and closed, before it had read everything.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(raw)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                received += part
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split()[1]) if first else 0, headers, body


def request(server: RunningServer, path: str, body: bytes, *more: str, length: int | None = None) -> bytes:
    """A POST with the secret key; the connection is closed afterwards."""
    lines = [
        f"POST {path} HTTP/1.1",
        "host: tollhouse",
        "connection: close",
        f"authorization: Bearer {server.secret_key}",
    ]
    if not any(line.startswith("transfer-encoding") for line in more):
        lines.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, *more, "", ""]).encode() + body


def in_chunks(body: bytes, size: int) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])


@pytest.fixture(scope="module")
def ada(server: RunningServer) -> str:
    """A customer with 100 credits."""
    made = requests.post(
        f"{server.url}/v1/customers", json={"external_id": "ada", "email": "ada@example.com"},
        headers={"authorization": f"Bearer {server.secret_key}"}, timeout=30,
    )  # fmt: skip
    return str(made.json()["id"])


def used(server: RunningServer, customer: str) -> Any:
    """Credits used so far, by the customer's own figures."""
    answer = requests.get(
        f"{server.url}/v1/customers/{customer}", headers={"authorization": f"Bearer {server.secret_key}"}, timeout=30
    )
    return answer.json()["meters"]["credits"]["used"]


def test_a_body_in_small_chunks_is_one_body(server: RunningServer, ada: str) -> None:
    before = used(server, ada)
    body = json.dumps({"customer": ada, "action": "one", "key": "chunks"}).encode()
    for path, wanted in (("/v1/admit", body), ("/v1/admit/batch", b'{"items":[%s]}' % body), ("/v1/check", None)):
        sent = json.dumps({"customer": ada, "action": "one"}).encode() if wanted is None else wanted
        raw = request(server, path, in_chunks(sent, 3), "transfer-encoding: chunked")
        status, _, answer = exchange(server, raw)
        assert (status, b'"allowed":true' in answer) == (200, True), answer
    assert used(server, ada) == before + 1


@pytest.mark.parametrize("path", ["/v1/admit", "/v1/admit/batch", "/v1/check", "/webhooks/stripe"])
def test_a_body_of_5_mib_is_413_whether_its_length_is_told_or_not(server: RunningServer, path: str) -> None:
    body = b'{"customer":"' + b"x" * (5 * MIB) + b'"}'
    told = request(server, path, body)
    chunked = request(server, path, in_chunks(body, 65_536), "transfer-encoding: chunked")
    for raw in (told, chunked):
        status, headers, answer = exchange(server, raw)
        assert (status, headers["content-type"]) == (413, "application/problem+json")
        assert json.loads(answer)["code"] == "body_too_large"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "\xff"])
def test_json_is_read_whatever_its_label(server: RunningServer, ada: str, kind: str) -> None:
    body = json.dumps({"customer": ada, "action": "one"}).encode()
    for path in ("/v1/admit", "/v1/check"):
        raw = request(server, path, body, f"content-type: {kind}")
        status, _, answer = exchange(server, raw)
        assert (status, json.loads(answer)["allowed"]) == (200, True)


@pytest.mark.parametrize("path", ["/v1/admit", "/v1/check"])
def test_the_last_of_two_equal_fields_counts(server: RunningServer, ada: str, path: str) -> None:
    body = b'{"customer":"nobody","customer":"ada","action":"unknown","action":"one"}'
    status, _, answer = exchange(server, request(server, path, body))
    assert (status, json.loads(answer)["debits"]) == (200, {"credits": 1})


def test_a_request_that_stops_half_way_takes_nothing(server: RunningServer, ada: str) -> None:
    before = used(server, ada)
    body = json.dumps({"customer": ada, "action": "one", "key": "half"}).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(request(server, "/v1/admit", body, length=len(body) + 1))
    assert used(server, ada) == before
    status, _, answer = exchange(server, request(server, "/v1/admit", body))
    assert (status, json.loads(answer)["replayed"]) == (200, False)


HEADERS: dict[str, Callable[[str], str]] = {
    "a control character": lambda key: "idempotency-key: a\x01b",
    "not ASCII": lambda key: "idempotency-key: clé",
    "200 characters too many": lambda key: "idempotency-key: " + "k" * 400,
    "ours": lambda key: "idempotency-key: ~mine",
}


@pytest.mark.parametrize("what", HEADERS)
@pytest.mark.parametrize("path", ["/v1/admit", "/v1/holds"])
def test_a_strange_idempotency_key_is_a_clients_error_or_a_key(
    server: RunningServer, ada: str, path: str, what: str
) -> None:
    body = json.dumps({"customer": ada, "action": "one"}).encode()
    status, _, _ = exchange(server, request(server, path, body, HEADERS[what]("")))
    assert status in ((200, 422) if what == "not ASCII" else (400, 422))


def test_a_thousand_fields_and_deep_metadata_are_refused_as_such(server: RunningServer, ada: str) -> None:
    wide = msgspec.json.encode({"customer": ada, "action": "one", **{f"field{n}": n for n in range(1_000)}})
    deep = b'{"customer":"ada","action":"one","metadata":{"a":' + b"[" * 900 + b"]" * 900 + b"}}"
    for body, code in ((wide, "invalid_request"), (deep, "invalid_metadata")):
        for path in ("/v1/admit", "/v1/check", "/v1/holds"):
            status, _, answer = exchange(server, request(server, path, body))
            assert (status, json.loads(answer)["code"]) == (422, code)
    assert requests.get(f"{server.url}/health", timeout=30).json()["status"] == "ok"
