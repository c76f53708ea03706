"""Slots are kept while a block runs and given back at its end; holds are settled, or released when the block fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.sdk.conftest import KEY, URL
from tollhouse_sdk import (
    AsyncTollhouse,
    ConnectionFailed,
    LeaseLost,
    MockTransport,
    Refused,
    Request,
    Response,
    Retries,
    Tollhouse,
    json_response,
)

LEASE = {"expires_at": "2027-01-31T00:00:00Z", "heartbeat_every": 0.005}
ADMITTED = {"allowed": True, "id": "adm_1", "replayed": False, "meters": {}, "lease": LEASE}
HELD = {"allowed": True, "id": "hld_1", "replayed": False, "meters": {}, "expires_at": "2027-01-31T00:00:00Z"}
ENDED = {"id": "adm_1", "ended_at": "2027-01-31T00:00:00Z", "seconds": 3, "meters": {}}
LOST = json_response({"status": 410, "code": "lease_lost", "detail": "the slot was lost"}, 410)
REFUSED = {"allowed": False, "id": None, "reason": {"code": "concurrency_exhausted"}}


class Gate:
    """A server with one slot. `beats` counts heartbeats; `beaten` is set at the third."""

    def __init__(self, heartbeat: Callable[[int], Response] | None = None) -> None:
        self.paths: list[str] = []
        self.bodies: list[Any] = []
        self.beats = 0
        self.beaten = threading.Event()
        self._heartbeat = heartbeat
        self.transport = MockTransport(self._answer)

    def _answer(self, request: Request) -> Response:
        path = request.url.removeprefix(URL)
        if path.endswith("/heartbeat"):
            self.beats += 1
            if self.beats >= 3:
                self.beaten.set()
            return self._heartbeat(self.beats) if self._heartbeat else json_response({"id": "adm_1", "lease": LEASE})
        self.paths.append(path)
        self.bodies.append(None if request.body is None else msgspec.json.decode(request.body))
        if path == "/v1/admit":
            return json_response(ADMITTED)
        if path == "/v1/holds":
            return json_response(HELD)
        if path.endswith("/end"):
            return json_response(ENDED)
        return json_response({"id": "hld_1", "status": path.rsplit("/", 1)[1]})

    def blocking(self) -> Tollhouse:
        return Tollhouse(URL, KEY, transport=self.transport, retries=Retries(attempts=1))

    def asyncio(self) -> AsyncTollhouse:
        return AsyncTollhouse(URL, KEY, transport=self.transport, retries=Retries(attempts=1))


def test_a_thread_keeps_the_slot_and_the_end_gives_it_back() -> None:
    gate = Gate()
    with gate.blocking() as client, client.session("ada", "realtime_session") as slot:
        assert slot.id == "adm_1"
        assert gate.beaten.wait(10)
        assert not slot.lost
    assert gate.paths == ["/v1/admit", "/v1/admissions/adm_1/end"]


async def test_a_task_keeps_the_slot_and_the_end_gives_it_back() -> None:
    gate = Gate()
    async with gate.asyncio() as client, client.session("ada", "realtime_session") as slot:
        assert slot.id == "adm_1"
        assert await asyncio.to_thread(gate.beaten.wait, 10)
        assert not slot.lost
    assert gate.paths == ["/v1/admit", "/v1/admissions/adm_1/end"]


def test_a_slot_that_is_lost_is_known_inside_and_not_ended_again() -> None:
    gate = Gate(lambda _: LOST)
    with gate.blocking() as client, client.session("ada", "realtime_session") as slot:
        assert slot.wait_lost(10)
        assert slot.lost
        with pytest.raises(LeaseLost):
            slot.raise_if_lost()
    assert gate.paths == ["/v1/admit"]
    assert gate.beats == 1


async def test_a_slot_that_is_lost_is_known_to_the_task_as_well() -> None:
    gate = Gate(lambda _: LOST)
    async with gate.asyncio() as client, client.session("ada", "realtime_session") as slot:
        await asyncio.wait_for(slot.wait_lost(), 10)
        assert slot.lost
        with pytest.raises(LeaseLost):
            slot.raise_if_lost()
    assert gate.paths == ["/v1/admit"]


def test_a_missed_heartbeat_is_not_a_lost_slot() -> None:
    """The network fails twice; the third heartbeat finds the slot as it was."""

    def weather(beat: int) -> Response:
        if beat < 3:
            raise ConnectionFailed("reset")
        return json_response({"id": "adm_1", "lease": LEASE})

    gate = Gate(weather)
    with gate.blocking() as client, client.session("ada", "realtime_session") as slot:
        assert gate.beaten.wait(10)
        assert not slot.lost
    assert gate.paths[-1].endswith("/end")


def test_nothing_runs_when_the_slot_is_refused() -> None:
    transport = MockTransport(lambda _: json_response(REFUSED))
    with Tollhouse(URL, KEY, transport=transport) as client:
        with pytest.raises(Refused, match="concurrency_exhausted"), client.session("ada", "realtime_session"):
            pytest.fail("the block was entered")
        with pytest.raises(Refused), client.held("ada", "chat"):
            pytest.fail("the block was entered")


def test_an_error_of_the_block_passes_and_the_slot_comes_back() -> None:
    gate = Gate()
    with gate.blocking() as client, pytest.raises(ZeroDivisionError), client.session("ada", "realtime_session"):
        _ = 1 / 0
    assert gate.paths[-1] == "/v1/admissions/adm_1/end"


def test_a_hold_is_settled_at_what_the_block_said() -> None:
    gate = Gate()
    with gate.blocking() as client, client.held("ada", "chat", amount={"credits": 20}, ttl="5m") as held:
        held.costs({"credits": 7})
    assert gate.paths == ["/v1/holds", "/v1/holds/hld_1/settle"]
    assert gate.bodies[0]["ttl"] == "5m"
    assert gate.bodies[1] == {"amount": {"credits": 7}}
    assert held.result is not None
    assert held.result.status == "settle"


async def test_a_hold_without_a_word_costs_what_was_held() -> None:
    gate = Gate()
    async with gate.asyncio() as client, client.held("ada", "chat") as held:
        assert held.id == "hld_1"
    assert gate.bodies[1] == {"amount": {}}


async def test_a_hold_is_released_when_the_block_fails() -> None:
    gate = Gate()
    async with gate.asyncio() as client:

        async def stream() -> None:
            async with client.held("ada", "chat") as held:
                held.costs({"credits": 7})
                _ = 1 / 0

        with pytest.raises(ZeroDivisionError):
            await stream()
    assert gate.paths == ["/v1/holds", "/v1/holds/hld_1/release"]


async def test_a_hold_is_released_when_the_block_is_cancelled() -> None:
    gate = Gate()
    entered = asyncio.Event()

    async def stream() -> None:
        async with gate.asyncio() as client, client.held("ada", "chat"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stream())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert gate.paths[-1] == "/v1/holds/hld_1/release"


def test_a_release_that_fails_does_not_hide_the_blocks_error() -> None:
    def answer(request: Request) -> Response:
        if request.url.endswith("/release"):
            raise ConnectionFailed("reset")
        return json_response(HELD)

    client = Tollhouse(URL, KEY, transport=MockTransport(answer), retries=Retries(attempts=1))
    with pytest.raises(ZeroDivisionError) as raised, client.held("ada", "chat"):
        _ = 1 / 0
    assert "the hold hld_1 was not released" in raised.value.__notes__[0]


def test_a_slot_has_no_admission_before_its_block() -> None:
    slot = Gate().blocking().session("ada", "realtime_session")
    with pytest.raises(RuntimeError, match="enter the `with` block first"):
        _ = slot.id
