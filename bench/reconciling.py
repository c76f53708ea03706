"""A reconciliation of many customers: as fast as the sandbox answers, in bounded memory, killed once on its way.

`python -m bench.reconciling [--customers 10000]`. Not part of the table: Stripe's politeness (20 calls a second) is what
a real run takes, about three calls a customer.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import webhooks
from bench.load import memory_mb
from bench.product import environment, prepare
from bench.rows import books_are_clean
from tests.support.postgres import running_postgres

CALLS_A_SECOND = 1_000


def main() -> None:
    """Subscribers whose events were all lost: every one differs and is repaired; then a second run that finds nothing."""
    parser = argparse.ArgumentParser(prog="python -m bench.reconciling", description=__doc__)
    parser.add_argument("--customers", type=int, default=10_000)
    number = parser.parse_args().customers
    here = str(Path(__file__).resolve().parent.parent)
    with tempfile.TemporaryDirectory(prefix="tollhouse-bench-", dir=here) as folder, running_postgres() as postgres:
        url = postgres.new_database()
        bed = asyncio.run(prepare(Path(folder), url, number))
        with webhooks.stripe(bed) as world:
            asyncio.run(webhooks.link_all(bed, world))
            settings = {"STRIPE_SECRET_KEY": webhooks.KEY, "STRIPE_API_BASE": world.url}
            command = [
                sys.executable,
                "-m",
                "tollhouse",
                "stripe",
                "reconcile",
                "--config",
                str(bed.folder / "tollhouse.toml"),
            ]
            command += ["--calls-per-second", str(CALLS_A_SECOND)]
            environ = {**os.environ, **environment(url), **settings}

            def run(kill_after: float | None = None) -> tuple[float, float]:
                """Seconds and the most memory; killed on its way where asked."""
                began, most = time.monotonic(), 0.0
                with subprocess.Popen(
                    command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                ) as process:
                    while process.poll() is None:
                        most = max(most, memory_mb(process.pid))
                        if kill_after is not None and time.monotonic() - began > kill_after:
                            process.kill()
                        time.sleep(0.1)
                return time.monotonic() - began, most

            killed, _ = run(kill_after=15)
            done = webhooks.fetch(bed, "select max(looked) from reconciliation")
            # Whoever goes on waits for the lease of the one that died; here it is given back at once.
            webhooks.execute(bed, "update reconciliation set lease_until = 0")
            repaired, most = run()
            again, most_again = run()
            looked = webhooks.fetch(bed, "select looked from reconciliation order by started_at limit 1")
            runs = webhooks.fetch(bed, "select count(*) from reconciliation")
        books_are_clean(bed)
    print(
        f"{done} of {number} were done when it was killed after {killed:.0f} s; the same run went on and looked at {looked}"
    )
    print(
        f"repairing the other {number - done} took {repaired:.1f} s ({(number - done) / repaired:.0f} a second), {most:.0f} MB"
    )
    print(f"comparing all again took {again:.1f} s ({number / again:.0f} a second), {most_again:.0f} MB; {runs} runs")


if __name__ == "__main__":
    main()
