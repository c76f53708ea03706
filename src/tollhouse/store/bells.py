"""Bells wake this process's own workers at once; whatever other processes write is found by polling."""

import asyncio


class Bells:
    """One bell per kind of background work. Ring after the commit: `bells.inbox.set()`."""

    def __init__(self) -> None:
        self.inbox = asyncio.Event()
        self.outbox = asyncio.Event()
        self.hooks = asyncio.Event()
        self.reconciliation = asyncio.Event()
        self.watch = asyncio.Event()
