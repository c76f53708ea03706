"""Head and body of an answer leave in one write, in order, and nothing is lost when the connection closes."""

import asyncio

from tollhouse.http_protocol import Gathering


class Wire:
    """A transport that remembers."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.writes.append(data)

    def close(self) -> None:
        self.closed = True

    def get_extra_info(self, name: str) -> str:
        return f"info about {name}"


async def test_what_is_written_in_one_round_leaves_together() -> None:
    wire = Wire()
    gathering = Gathering(wire, asyncio.get_running_loop())
    gathering.write(b"head ")
    gathering.write(b"body")
    assert wire.writes == []
    await asyncio.sleep(0)
    assert wire.writes == [b"head body"]
    gathering.write(b"next")
    await asyncio.sleep(0)
    assert wire.writes == [b"head body", b"next"]


async def test_closing_writes_what_was_gathered_first() -> None:
    wire = Wire()
    gathering = Gathering(wire, asyncio.get_running_loop())
    gathering.write(b"last words")
    gathering.close()
    assert wire.writes == [b"last words"]
    assert wire.closed
    await asyncio.sleep(0)
    assert wire.writes == [b"last words"]


async def test_everything_else_is_the_transports_own() -> None:
    assert Gathering(Wire(), asyncio.get_running_loop()).get_extra_info("peername") == "info about peername"
