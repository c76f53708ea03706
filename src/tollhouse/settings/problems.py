"""What is wrong with a configuration: every mistake with its place and its fix, all of them at once."""

import difflib
from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

import msgspec

from tollhouse.kernel.errors import ConfigurationError

ENVIRONMENT = "environment"
"""The `file` of a problem with a variable of the process environment."""


class Problem(msgspec.Struct, frozen=True):
    """One mistake. `line` counts from 1; None where the place has no lines (the process environment)."""

    file: str
    key: str
    found: str
    allowed: str
    fix: str
    line: int | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: found {self.found}; allowed: {self.allowed}. fix: {self.fix}"


class ConfigurationProblems(ConfigurationError):
    """Everything that is wrong with the configuration; `problems` in the order of files and lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(in_order(problems))
        count = len(self.problems)
        super().__init__(
            f"the configuration has {count} problem{'' if count == 1 else 's'}",
            fix=self.problems[0].fix if count == 1 else "correct each line below",
            problems=[msgspec.to_builtins(problem) for problem in self.problems],
        )

    def __str__(self) -> str:
        return "\n".join([f"{self.detail}:", *map(str, self.problems)])


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """The problems by file and line, the environment last; each said once."""
    once = dict.fromkeys(problems)
    return sorted(once, key=lambda problem: (problem.file == ENVIRONMENT, problem.file, problem.line or 0))


def shown(value: object) -> str:
    """A value as it stands in the file, short enough for one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value if len(value) <= 60 else value[:57] + "...")
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return f"{type(value).__name__} {value}"


def quoted(text: str) -> str:
    """The text as a TOML string on one line."""
    return '"' + printable(text.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def printable(text: str) -> str:
    """The text with everything escaped that would break a line or steer a terminal."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant, or None when none is close."""
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def listed(names: Iterable[str]) -> str:
    """`a, b or c`, for sentences; `none` when there is nothing to list."""
    every = list(names)
    if len(every) < 2:
        return every[0] if every else "none"
    return ", ".join(every[:-1]) + " or " + every[-1]
