"""Long work that a request begins and does not wait for to its end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

PATIENCE_SECONDS = 8.0


class Background:
    """One piece of work of each name at a time, for as long as this process lives. What is cut off is run again by others:
    whatever is begun here has to be safe to run again."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[Any]] = {}

    def is_running(self, name: str) -> bool:
        """Whether this process is at it."""
        return name in self._tasks

    async def begin(self, name: str, work: Callable[[], Coroutine[Any, Any, Any]]) -> bool:
        """Begin it, or join it, and wait a little. True when it is done; raises what it raised by then."""
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = asyncio.create_task(work(), name=name)
            task.add_done_callback(lambda ended: self._ended(name, ended))
        done, _ = await asyncio.wait([task], timeout=PATIENCE_SECONDS)
        if done:
            task.result()
        return bool(done)

    def _ended(self, name: str, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waits is told; the work itself keeps why it stopped
