"""The verdict on payments as anybody may ask for it: read at most once a second in a process, however many ask at once."""

import asyncio
import time

from tollhouse.billing.health import PaymentHealth, read_health
from tollhouse.settings import MonitoringSettings
from tollhouse.store import Store

KEPT_SECONDS = 1.0


class LastHealth:
    """Whoever asks while it is being read waits for that one reading. What failed is not kept."""

    def __init__(self) -> None:
        self._reading: asyncio.Task[PaymentHealth] | None = None
        self._good_until = 0.0

    async def read(self, store: Store, settings: MonitoringSettings) -> PaymentHealth:
        """The verdict, at most a second old. Raises what the reading raised."""
        if self._reading is None or (self._reading.done() and time.monotonic() >= self._good_until):
            self._reading = asyncio.create_task(self._read(store, settings))
        return await asyncio.shield(self._reading)

    def forget(self) -> None:
        """The next one who asks is told how it is then."""
        self._reading, self._good_until = None, 0.0

    async def _read(self, store: Store, settings: MonitoringSettings) -> PaymentHealth:
        async with store.reading() as tx:
            found = await read_health(tx, settings, store.clock.now_ms())
        self._good_until = time.monotonic() + KEPT_SECONDS
        return found
