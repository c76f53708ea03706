"""Background loops: woken by a bell, not stopped by a crash, drained at the end."""

from __future__ import annotations

import asyncio

from tollhouse.worker.jobs import Job, run_jobs


async def until(condition: asyncio.Event) -> None:
    await asyncio.wait_for(condition.wait(), 5)


async def test_a_bell_wakes_its_job_long_before_the_pause_is_over() -> None:
    bell, stopping = asyncio.Event(), asyncio.Event()
    begun, woken = asyncio.Event(), asyncio.Event()

    async def work() -> bool:
        (woken if begun.is_set() else begun).set()
        return False

    running = asyncio.create_task(run_jobs([Job("post", work, 3_600, bell)], stopping))
    await until(begun)
    bell.set()
    await until(woken)
    stopping.set()
    await asyncio.wait_for(running, 5)


async def test_a_crash_stops_neither_its_own_job_nor_the_others() -> None:
    stopping, recovered, other = asyncio.Event(), asyncio.Event(), asyncio.Event()
    failures = 0

    async def crashing() -> bool:
        nonlocal failures
        failures += 1
        if failures == 1:
            raise ZeroDivisionError
        recovered.set()
        return False

    async def sound() -> bool:
        other.set()
        return False

    jobs = [Job("crashing", crashing, 3_600), Job("sound", sound, 3_600)]
    running = asyncio.create_task(run_jobs(jobs, stopping))
    await until(recovered)
    await until(other)
    stopping.set()
    await asyncio.wait_for(running, 5)


async def test_what_rounds_have_begun_is_drained_when_no_more_follow() -> None:
    stopping, begun = asyncio.Event(), asyncio.Event()
    drained: list[bool] = []

    async def work() -> bool:
        assert drained == []
        begun.set()
        return False

    async def drain() -> None:
        drained.append(stopping.is_set())

    running = asyncio.create_task(run_jobs([Job("hooks", work, 0.01, drain=drain)], stopping))
    await until(begun)
    stopping.set()
    await asyncio.wait_for(running, 5)
    assert drained == [True]


async def test_stopping_lets_the_round_that_runs_finish() -> None:
    stopping, begun, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()
    finished = []

    async def long_round() -> bool:
        begun.set()
        await go_on.wait()
        finished.append(True)
        return True

    running = asyncio.create_task(run_jobs([Job("long", long_round)], stopping))
    await until(begun)
    stopping.set()
    await asyncio.sleep(0)
    assert not running.done()
    go_on.set()
    await asyncio.wait_for(running, 5)
    assert finished == [True]


async def test_work_that_is_left_is_done_without_a_pause() -> None:
    stopping = asyncio.Event()
    left = [1, 2, 3, 4, 5]

    async def work() -> bool:
        left.pop()
        if not left:
            stopping.set()
        return bool(left)

    await asyncio.wait_for(run_jobs([Job("work", work, 3_600)], stopping), 5)
    assert left == []
