"""The server of the rows 'no store': `python -m bench.server PORT CONFIG`. Only the save is other than that of `serve`."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvicorn

from tollhouse.admission import desk
from tollhouse.admission.batch import Batch
from tollhouse.admission.model import Ask, Loaded
from tollhouse.admission.ports import Port, open_port
from tollhouse.catalog.load import load_configuration
from tollhouse.http_protocol import OneWriteProtocol
from tollhouse.serving import Server
from tollhouse.settings.logs import configure_logging
from tollhouse.store.opening import AnyStore


class NoStore:
    """Loads for real, once per customer; a save returns at once."""

    def __init__(self, port: Port) -> None:
        self._port = port

    async def load(self, customers: Sequence[str], asks: Sequence[Ask], now: int, *, lock: bool = False) -> Loaded:
        return await self._port.load(customers, asks, now, lock=lock)

    async def newer(self, copies: Mapping[str, int]) -> dict[str, tuple[int, str]]:
        return await self._port.newer(copies)

    async def save(self, batch: Batch) -> set[str]:
        return batch.customers

    async def free(self, customers: Sequence[str]) -> set[str]:
        return set(customers)

    async def close(self) -> None:
        await self._port.close()


def without_store(store: AnyStore) -> Port:
    """The port of the 'no store' rows."""
    return NoStore(open_port(store))


def main() -> None:
    port, path = int(sys.argv[1]), Path(sys.argv[2])
    vars(desk)["open_port"] = without_store
    configuration = load_configuration(path, os.environ)
    configure_logging(configuration.settings)
    uvicorn.run(
        Server(configuration), host="127.0.0.1", port=port, loop="uvloop", http=OneWriteProtocol, access_log=False, proxy_headers=False,
        log_level="warning", server_header=False, backlog=2048,
    )  # fmt: skip


if __name__ == "__main__":
    main()
