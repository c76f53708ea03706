"""Background work: inside `serve`, or apart by `tollhouse worker`. Everything is claimed, so any number may run.

async with working(house): …          beside the server; leaving the block drains
await work(house, stopping)           a process of its own
"""

from tollhouse.worker.working import jobs_of, work, working

__all__ = ["jobs_of", "work", "working"]
