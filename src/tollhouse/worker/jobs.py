"""Loops that never end by themselves: each does its work while there is some, then waits for its bell or a pause.

A crash of one loop is logged and the loop goes on; no crash ends the process. `stopping` drains: the round that runs
is finished, no further one begins.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

FIRST_REST_SECONDS = 0.5
LONGEST_REST_SECONDS = 30.0

log = structlog.get_logger(__name__)


class Job(msgspec.Struct, frozen=True):
    """One kind of background work. `round` says whether there may be more at once; `pause_seconds` is the polling."""

    name: str
    round: Callable[[], Awaitable[bool]]
    pause_seconds: float = 1.0
    bell: asyncio.Event | None = None
    copies: int = 1
    drain: Callable[[], Awaitable[None]] | None = None  # finishes what its rounds have begun, when no more follow


async def run_jobs(jobs: Sequence[Job], stopping: asyncio.Event) -> None:
    """Run every job until `stopping` is set and the rounds that run then are done."""
    async with asyncio.TaskGroup() as group:
        for job in jobs:
            for number in range(job.copies):
                group.create_task(_loop(job, stopping), name=f"{job.name}-{number}")


async def _loop(job: Job, stopping: asyncio.Event) -> None:
    failures = 0
    while not stopping.is_set():
        if job.bell is not None:
            job.bell.clear()
        try:
            more = await job.round()
            failures = 0
        except Exception:  # the next round may go better, and the other jobs must not suffer
            failures += 1
            more = False
            log.exception("worker.job_failed", job=job.name, failures=failures)
        if failures:
            rest = min(FIRST_REST_SECONDS * 2 ** min(failures, 10), LONGEST_REST_SECONDS)
            await _wait(rest, stopping)
        elif not more:
            await _wait(job.pause_seconds, stopping, job.bell)
    if job.drain is not None:
        await job.drain()


async def _wait(seconds: float, *events: asyncio.Event | None) -> None:
    """Until one of the events is set, at most so long."""
    waits = [asyncio.ensure_future(event.wait()) for event in events if event is not None]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
