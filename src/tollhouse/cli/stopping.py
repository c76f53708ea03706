"""Long work that may be told to stop: it finishes what it is at, says how far it came, and is run again to go on."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPED = 130


@contextmanager
def told_to_stop() -> Iterator[asyncio.Event]:
    """Set by SIGTERM or ctrl-c for the time of the block; a second one ends the process at once."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    caught = (signal.SIGTERM, signal.SIGINT)

    def stop() -> None:
        stopping.set()
        for number in caught:
            loop.remove_signal_handler(number)

    for number in caught:
        loop.add_signal_handler(number, stop)
    try:
        yield stopping
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
