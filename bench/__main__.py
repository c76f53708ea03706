"""`python -m bench [--rounds 5] [--seconds 4] [--quick]`: everything in one run; writes bench/RESULTS.md and results.json."""

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import load, webhooks
from bench.product import Bed, environment, prepare
from bench.report import BARS, Figures, write
from bench.rows import books_are_clean, rows_written
from tests.support.postgres import PostgresServer, running_postgres

MEMORY_CUSTOMERS = 1_000_000


def main() -> None:
    """Measure in rounds, check the books after each bench, write the report."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--pgbench-seconds", type=int, default=20)
    parser.add_argument("--only", help="measure only the figures whose name contains this")
    parser.add_argument("--no-memory", action="store_true", help="leave the million customers out")
    chosen = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: `make bench` installs it, or says how")
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="tollhouse-bench-", dir=_disk()) as folder, running_postgres() as postgres:
        bench = Bench(Path(folder), postgres, figures, chosen.seconds, chosen.only)
        for number in range(chosen.rounds):
            print(f"round {number + 1} of {chosen.rounds}", flush=True)
            bench.round(chosen.pgbench_seconds)
        if not chosen.only:
            write(figures, chosen.rounds)  # what follows takes long, and is written in its turn
        if not chosen.no_memory and not chosen.only:
            bench.memory()
        if bench.wants("burst"):
            print(f"a burst of {webhooks.BURST:,} webhooks", flush=True)
            webhooks.burst(bench)
    if not chosen.only:
        write(figures, chosen.rounds)
    for name, values in figures.values.items():
        print(f"{name:32} {statistics.median(values):12.2f}   {BARS.get(name, '')}")


def _disk() -> str:
    """The benchmark's files lie beside the checkout: /tmp may be memory, where fsync costs nothing."""
    return str(Path(__file__).resolve().parent.parent)


class Bench:
    """One run: fresh databases per bench, figures collected by name."""

    def __init__(
        self, folder: Path, postgres: PostgresServer, figures: Figures, seconds: float, only: str | None
    ) -> None:
        self.folder = folder
        self.postgres = postgres
        self.figures = figures
        self.seconds = seconds
        self.only = only
        self._number = 0
        self._pgbench_url = postgres.new_database()
        load.pgbench_fill(self._pgbench_url)

    def wants(self, *names: str) -> bool:
        """Whether any of these figures was asked for."""
        return self.only is None or any(self.only in name for name in names)

    @contextmanager
    def bed(self, kind: str, *, empty: bool = False, customers: int = 1_000) -> Iterator[Bed]:
        """A fresh database of this kind; the books are verified when the bench is over."""
        self._number += 1
        folder = self.folder / f"{kind}-{self._number}"
        folder.mkdir()
        url = self.postgres.new_database() if kind == "postgres" else f"sqlite:///{folder / 'bench.db'}"
        bed = asyncio.run(prepare(folder, url, customers, empty=empty))
        yield bed
        if customers <= 10_000:
            books_are_clean(bed)
        if kind == "postgres":
            self.postgres.drop_database(url)

    def round(self, pgbench_seconds: int) -> None:
        """Every figure that is measured in rounds once, the yardstick first; what is compared stands side by side."""
        add = self.figures.add
        add("pgbench", load.pgbench(self._pgbench_url, pgbench_seconds))
        for name, callers, more in (("store, 256 callers", 256, ()), ("store, one hot customer", 256, ("hot",))):
            if self.wants(name):
                with self.bed("postgres") as bed:
                    add(name, self._inside(bed, callers, *more))
        if self.wants("no store"):
            self._without_store()
        if self.wants("SQLite", "single caller", "fdatasync"):
            self._on_sqlite()
        if self.wants("refusals"):
            self._refusals()
        if self.wants("HTTP", "batch", "half load"):
            self._over_http()
        if self.wants("two processes"):
            with self.bed("postgres") as bed, load.server(bed, workers=2) as running:
                load.wrk(running, bed, seconds=1)
                add("two processes", load.wrk(running, bed, seconds=self.seconds).per_second)
        if self.wants("webhooks"):
            webhooks.measure(self)

    def _inside(self, bed: Bed, callers: int, *more: str) -> float:
        before = rows_written(bed)
        command = [
            sys.executable,
            "-m",
            "bench.inside",
            str(bed.folder / "tollhouse.toml"),
            str(callers),
            str(self.seconds),
            *more,
        ]
        said = subprocess.run(
            command, env={**os.environ, **environment(bed.url)}, capture_output=True, text=True, check=True
        )
        rate = float(said.stdout.split()[-1])
        self.figures.add(
            f"rows a decision: {'hot' if more else 'store'}", (rows_written(bed) - before) / (rate * self.seconds)
        )
        return rate

    def _without_store(self) -> None:
        with self.bed("postgres") as bed, load.server(bed, without_store=True) as running:
            load.wrk(running, bed, seconds=1)
            self.figures.add("no store", load.wrk(running, bed, seconds=self.seconds).per_second)

    def _over_http(self) -> None:
        add = self.figures.add
        with self.bed("postgres") as bed, load.server(bed) as running:
            add("start to /health, seconds", running.started_in_seconds)
            load.wrk(running, bed, seconds=1)
            before = rows_written(bed)
            full = load.wrk(running, bed, seconds=self.seconds)
            add("HTTP admit", full.per_second)
            add("rows a decision: HTTP", (rows_written(bed) - before) / max(1, full.requests))
            half = load.wrk(running, bed, seconds=self.seconds, rate=full.per_second / 2)
            add("half load, requests/s", half.per_second)
            add("half load, p99 ms", half.p99_ms)
            add("batch of 100", load.wrk(running, bed, seconds=self.seconds, connections=8, batch=True).per_second)

    def _on_sqlite(self) -> None:
        add = self.figures.add
        add("fdatasync ms", load.fdatasync_ms(self.folder))
        with self.bed("sqlite") as bed, load.server(bed) as running:
            load.wrk(running, bed, seconds=1)
            add("single caller, p50 ms", load.wrk(running, bed, seconds=self.seconds / 2, connections=1).p50_ms)
            add("SQLite HTTP admit", load.wrk(running, bed, seconds=self.seconds).per_second)

    def _refusals(self) -> None:
        add = self.figures.add
        with self.bed("postgres", empty=True) as bed, load.server(bed) as running:
            load.wrk(running, bed, seconds=1)
            before = rows_written(bed)
            refused = load.wrk(running, bed, seconds=self.seconds)
            add("refusals", refused.per_second)
            add("rows written by a refusal", (rows_written(bed) - before) / max(1, refused.requests))

    def memory(self) -> None:
        """Resident memory after admissions spread over a million customers."""
        print(f"memory after admissions over {MEMORY_CUSTOMERS:,} customers", flush=True)
        with self.bed("postgres", customers=MEMORY_CUSTOMERS) as bed, load.server(bed) as running:
            self.figures.add("memory at start, MB", load.memory_mb(running.pid))
            done = 0
            while done < MEMORY_CUSTOMERS:
                done += (
                    100
                    * load.wrk(running, bed, seconds=10, connections=8, batch=True, customers=MEMORY_CUSTOMERS).requests
                )
            self.figures.add("memory after 1M customers, MB", load.memory_mb(running.pid))


if __name__ == "__main__":
    main()
