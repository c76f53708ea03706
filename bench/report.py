"""The figures as a table: ratios first, medians, bars, rows written; RESULTS.md and results.json."""

import datetime
import json
import os
import platform
import statistics
from collections.abc import Callable
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"


class Figures:
    """Values by name, one a round."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        """One more value of this figure."""
        self.values.setdefault(name, []).append(value)

    def median(self, name: str) -> float:
        """The median over the rounds."""
        return statistics.median(self.values[name])

    def ratio(self, name: str, base: str) -> float:
        """The median of the rounds' own ratios, so that a slow round is compared with itself."""
        pairs = zip(self.values[name], self.values[base], strict=True)
        return statistics.median(value / other for value, other in pairs)


class Bar(msgspec.Struct, frozen=True):
    """What must hold. `measure` gives the figure that is compared; `most` turns the comparison around."""

    title: str
    unit: str
    limit: float
    measure: Callable[[Figures], float]
    absolute: str = ""
    rows: str = ""
    most: bool = False

    def holds(self, figures: Figures) -> bool:
        """Whether the bar is met."""
        value = self.measure(figures)
        return value <= self.limit if self.most else value >= self.limit


TABLE = (
    Bar("no store, over HTTP", "× pgbench", 4.0, lambda f: f.ratio("no store", "pgbench"), "no store"),
    Bar("store only, 256 callers", "× pgbench", 3.5, lambda f: f.ratio("store, 256 callers", "pgbench"),
        "store, 256 callers", "rows a decision: store"),
    Bar("store only, one hot customer", "× pgbench", 2.5, lambda f: f.ratio("store, one hot customer", "pgbench"),
        "store, one hot customer", "rows a decision: hot"),
    Bar("HTTP `POST /v1/admit`", "× pgbench", 1.8, lambda f: f.ratio("HTTP admit", "pgbench"), "HTTP admit", "rows a decision: HTTP"),
    Bar("HTTP `POST /v1/admit`", "of no store", 0.35, lambda f: f.ratio("HTTP admit", "no store"), "HTTP admit"),
    Bar("two processes, same customers", "of one", 0.9, lambda f: f.ratio("two processes", "HTTP admit"), "two processes"),
    Bar("SQLite, FULL, over HTTP", "of no store", 0.40, lambda f: f.ratio("SQLite HTTP admit", "no store"), "SQLite HTTP admit"),
    Bar("batches of 100, 8 connections", "× pgbench, in decisions", 4.0, lambda f: f.ratio("batch of 100", "pgbench"), "batch of 100"),
    Bar("refusals, everyone at zero", "of no store", 0.6, lambda f: f.ratio("refusals", "no store"), "refusals",
        "rows written by a refusal"),
    Bar("single caller on SQLite, p50", "ms (bar: 2 × fdatasync + 1 ms)", 0.0,
        lambda f: f.median("single caller, p50 ms") - 2 * f.median("fdatasync ms") - 1, "single caller, p50 ms", most=True),
    Bar("PostgreSQL at half load, p99", "ms", 15.0, lambda f: f.median("half load, p99 ms"), "half load, requests/s", most=True),
    Bar("memory after 1,000,000 customers", "MB", 180.0, lambda f: f.median("memory after 1M customers, MB"), "", most=True),
    Bar("webhooks stored (answered 200), 16 connections", "× pgbench", 0.375, lambda f: f.ratio("webhooks stored", "pgbench"), "webhooks stored"),
    Bar("webhooks applied, each another customer, fetch counted", "× pgbench", 0.0625, lambda f: f.ratio("webhooks applied", "pgbench"),
        "webhooks applied"),
    Bar("webhooks beside admits at half load, p99 of the answer", "ms", 50.0, lambda f: f.median("webhooks beside admits, p99 ms"),
        "webhooks beside admits, a second", most=True),
    Bar("admits at half load beside webhooks", "of alone", 0.9, lambda f: f.median("admits beside webhooks, of alone"),
        "admits beside webhooks, a second"),
    Bar("a burst of 50,000 webhooks: lost", "events", 0.0, lambda f: f.median("webhooks in a burst, lost"), "webhooks in a burst, applied",
        most=True),
    Bar("a burst of 50,000 webhooks: memory", "MB", 200.0, lambda f: f.median("webhooks in a burst, MB"), "", most=True),
    Bar("start to `/health`", "s", 2.0, lambda f: f.median("start to /health, seconds"), "", most=True),
)  # fmt: skip
BARS = {bar.absolute: f"bar {bar.limit:g} {bar.unit}" for bar in TABLE if bar.absolute}


def table(figures: Figures) -> str:
    """The table in Markdown."""
    lines = ["| what | figure | bar | met | measured | rows written a decision |", "|---|---:|---:|---|---:|---:|"]
    for bar in TABLE:
        try:
            value = bar.measure(figures)
        except KeyError:
            continue
        absolute = (
            f"{figures.median(bar.absolute):,.{0 if figures.median(bar.absolute) > 50 else 2}f}" if bar.absolute else ""
        )
        rows = f"{figures.median(bar.rows):.2f}" if bar.rows in figures.values else ""
        sign = "≤" if bar.most else "≥"
        lines.append(
            f"| {bar.title} | **{value:.2f}** {bar.unit} | {sign} {bar.limit:g} | {'yes' if bar.holds(figures) else '**no**'}"
            f" | {absolute} | {rows} |"
        )
    return "\n".join(lines)


def machine() -> str:
    """What it ran on."""
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())  # fmt: skip
    return f"{os.cpu_count()} cores ({model}), load generator included; Python {platform.python_version()}"


def write(figures: Figures, rounds: int) -> None:
    """Put the table between its marks in RESULTS.md and the README, and everything into results.json."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    said = (
        f"{BEGIN}\n{today}, {machine()}; PostgreSQL with fsync and synchronous_commit on, default settings; 64 keep-alive"
        f" connections, 1,000 customers, unique keys, one process; medians of {rounds} rounds."
        f" pgbench simple-update (64 clients, prepared): {figures.median('pgbench'):,.0f} TPS;"
        f" one fdatasync: {figures.median('fdatasync ms'):.2f} ms. `verify` was clean after each bench.\n\n{table(figures)}\n{END}"
    )
    for path in (FOLDER / "RESULTS.md", FOLDER.parent / "README.md"):
        text = path.read_text() if path.exists() else f"# Results\n\n{BEGIN}{END}\n"
        if BEGIN in text:
            head, _, rest = text.partition(BEGIN)
            path.write_text(head + said + rest.partition(END)[2])
    document = {"date": today, "machine": machine(), "rounds": rounds, "values": figures.values}
    (FOLDER / "results.json").write_text(json.dumps(document, indent=1) + "\n")
