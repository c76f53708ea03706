"""How every command speaks: tables on a terminal, plain lines in a pipe, JSON with `--json`, errors with their fix.

Results go to stdout, everything else to stderr. Exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec
import typer

from tollhouse.kernel.errors import TollhouseError
from tollhouse.settings import ConfigurationProblems, Problem

ConfigOption: TypeAlias = Annotated[
    Path,
    typer.Option("--config", envvar="TOLLHOUSE_CONFIG", help="The configuration file.", show_default=True),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Write JSON for machines.")]
DEFAULT_CONFIG = Path("tollhouse.toml")
NARROWEST_COLUMN = 7  # five letters and their gap


def on_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout.isatty()


def emit_json(value: object) -> None:
    """The value as indented JSON on stdout; Decimals as numbers."""
    encoder = msgspec.json.Encoder(decimal_format="number")
    sys.stdout.write(msgspec.json.format(encoder.encode(value), indent=2).decode() + "\n")


def emit_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[str] = ()) -> None:
    """A table on a terminal; in a pipe one line per row, its cells separated by tabs, without head or decoration.

    `right` names the columns of figures. An `id` stays whole, to be copied, where that leaves room for the other columns.
    """
    if not on_terminal():
        for row in rows:
            sys.stdout.write("\t".join(cell.replace("\t", " ").replace("\n", ", ") for cell in row) + "\n")
        return
    from rich.box import SIMPLE_HEAD  # only here: rich takes longer to import than a short command to run
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console, lines = Console(), list(rows)
    longest = max((len(row[columns.index("id")]) for row in lines), default=0) if "id" in columns else 0
    whole = longest + NARROWEST_COLUMN * (len(columns) - 1) <= console.width
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    figures = set(right)
    for column in columns:
        side: Literal["left", "right"] = "right" if column in figures else "left"
        table.add_column(column, justify=side, overflow="fold", no_wrap=whole and column == "id")
    for row in lines:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def emit(line: str) -> None:
    """One line of the result, on stdout."""
    sys.stdout.write(line + "\n")


def tell(line: str) -> None:
    """A remark on stderr for the person at the terminal; silent when nobody watches."""
    if sys.stderr.isatty():
        sys.stderr.write(line + "\n")


def warn(problem: Problem) -> None:
    """A warning on stderr: it does not stop the command."""
    sys.stderr.write(f"warning: {problem}\n")


def show_error(error: TollhouseError, *, as_json: bool = False) -> None:
    """`error: …` and `fix: …` on stderr, or one JSON object; every problem of a configuration on a line of its own."""
    if as_json:
        document = {"error": error.code, "detail": error.detail, "fix": error.fix, **error.fields}
        sys.stderr.write(msgspec.json.encode(document, enc_hook=str).decode() + "\n")
    elif isinstance(error, ConfigurationProblems):
        sys.stderr.write(f"error: {error.detail}\n")
        for problem in error.problems:
            place = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
            sys.stderr.write(f"\n{place}: {problem.key}: found {problem.found}; allowed: {problem.allowed}\n")
            sys.stderr.write(f"fix: {problem.fix}\n")
    else:
        sys.stderr.write(f"error: {error.detail}\n")
        if error.fix:
            sys.stderr.write(f"fix: {error.fix}\n")
