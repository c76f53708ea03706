"""The store alone, without HTTP: callers inside the process. `python -m bench.inside CONFIG CALLERS SECONDS [hot]`."""

import asyncio
import os
import random
import sys
import time
from pathlib import Path

import uvloop

from bench.product import CUSTOMERS, customer_id
from tollhouse.api.asks import fingerprint
from tollhouse.bootstrap import open_house
from tollhouse.catalog.load import load_configuration
from tollhouse.serving import calm_collector


async def measure(path: Path, callers: int, seconds: float, hot: bool) -> float:
    """Decisions a second: each caller sends its next ask when the last was answered."""
    async with open_house(load_configuration(path, os.environ)) as house:
        loop = asyncio.get_running_loop()
        charge = house.admission.prices.charge("launch")
        run = f"{os.getpid()}-{time.monotonic_ns()}"
        answered = allowed = 0
        calm_collector()
        began = loop.time()
        until = began + seconds

        async def caller(number: int) -> None:
            nonlocal answered, allowed
            asked = 0
            while loop.time() < until:
                customer = customer_id(7 if hot else random.randrange(CUSTOMERS))
                mark = fingerprint(customer, "launch", None, None)
                outcome = await house.admission.submit("admit", customer, charge, f"{run}-{number}-{asked}", mark)
                asked += 1
                answered += 1
                allowed += outcome.allowed

        await asyncio.gather(*(caller(number) for number in range(callers)))
        if answered != allowed:
            raise RuntimeError(f"{answered - allowed} of {answered} were refused")
        return answered / (loop.time() - began)


def main() -> None:
    path, callers, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    print(uvloop.run(measure(path, callers, seconds, "hot" in sys.argv)))


if __name__ == "__main__":
    main()
