"""Background work: inside `serve`, or apart by `tollhouse worker`. Everything is claimed, so any number may run.

await work(house, stopping)           until `stopping` is set
"""

from tollhouse.worker.working import jobs_of, work

__all__ = ["jobs_of", "work"]
