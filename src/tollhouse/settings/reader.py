"""Reads tables of a TOML document by their typed keys and notes every mistake instead of stopping at the first."""

import re
from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Literal

from tollhouse.kernel.durations import parse_duration
from tollhouse.settings.problems import Problem, did_you_mean, listed, printable, shown
from tollhouse.settings.toml import Document, KeyPath, dotted

NAME = re.compile(r"[a-z0-9_-]{1,40}")
NAME_ALLOWED = "1 to 40 of the characters a-z, 0-9, _ and -"


class Table:
    """One table of a document. Each read names a key and what it may hold; `finish` reports all other keys."""

    def __init__(self, document: Document, path: KeyPath, values: dict[str, object], problems: list[Problem]) -> None:
        self.document = document
        self.path = path
        self.values = values
        self.problems = problems
        self._asked: set[str] = set()

    def has(self, key: str) -> bool:
        """Whether the file names this key (which then counts as known)."""
        self._asked.add(key)
        return key in self.values

    def problem(self, key: str | None, found: str, allowed: str, fix: str, *, warning: bool = False) -> None:
        """Notes a mistake at `key`, or at the table itself when the key is None."""
        path = self.path if key is None else (*self.path, key)
        line = self.document.line(path)
        severity: Literal["error", "warning"] = "warning" if warning else "error"
        self.problems.append(Problem(self.document.file, dotted(path), found, allowed, printable(fix), line, severity))

    def text(self, key: str, allowed: str = "a text", *, required: bool = False, longest: int = 500) -> str:
        """The text at `key`, without surrounding spaces; empty when it is missing or wrong."""
        value = self._value(key, allowed, required)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > longest or any(ord(letter) < 32 for letter in value):
            self.problem(key, shown(value), f"{allowed} of at most {longest} characters", f'write {key} = "…"')
            return ""
        if required and not value.strip():
            self.problem(key, '""', allowed, f'write {key} = "…"')
        return value.strip()

    def choice(self, key: str, choices: Collection[str], default: str | None) -> str | None:
        """One of `choices`; the default when the key is missing, None when it is wrong or missing without a default."""
        allowed = listed(f'"{choice}"' for choice in choices)
        value = self._value(key, allowed, default is None)
        if value is None:
            return default
        if isinstance(value, str) and value in choices:
            return value
        close = did_you_mean(value, choices) if isinstance(value, str) else None
        self.problem(key, shown(value), allowed, f'write {key} = "{close or next(iter(choices))}"')
        return None

    def boolean(self, key: str, default: bool = False) -> bool:
        """True or false."""
        value = self._value(key, "true or false", False)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problem(key, shown(value), "true or false", f"write {key} = true, or leave it out")
            return default
        return value

    def integer(
        self, key: str, allowed: str, *, least: int = 0, most: int = 2**53 - 1, default: int | None = None
    ) -> int | None:
        """A whole number from `least` to `most`; None when it is wrong, or missing without a default."""
        value = self._value(key, allowed, default is None)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.problem(key, shown(value), allowed, f"write a whole number from {least} to {most}")
            return None
        return value

    def number(self, key: str) -> Decimal | int | None:
        """The number at `key` if it is one; wrong types are the caller's to report."""
        self._asked.add(key)
        value = self.values.get(key)
        return value if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else None

    def duration_ms(self, key: str, allowed: str, *, required: bool = False) -> int | None:
        """Milliseconds of a duration such as `"90s"`; None when it is missing or wrong."""
        value = self._value(key, allowed, required)
        if value is None:
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            self.problem(key, f"{value} without a unit", allowed, f'write {key} = "{max(value, 1)}s" (or ms, m, h, d)')
            return None
        try:
            milliseconds = parse_duration(value) if isinstance(value, str) else 0
        except ValueError:
            milliseconds = 0
        if milliseconds <= 0:
            self.problem(key, shown(value), allowed, 'write a whole number and a unit, such as "90s", "15m" or "48h"')
            return None
        return milliseconds

    def texts(self, key: str, allowed: str = "a list of texts", form: re.Pattern[str] | None = None) -> tuple[str, ...]:
        """The list of texts at `key`; each has to match `form` where one is given."""
        value = self._value(key, allowed, False)
        if value is None:
            return ()
        if not isinstance(value, list):
            self.problem(key, shown(value), allowed, f"write {key} = [{shown(value)}]")
            return ()
        found = []
        for index, item in enumerate(value):
            if isinstance(item, str) and item.strip() and (form is None or form.fullmatch(item)):
                found.append(item.strip())
            else:
                path = (*self.path, key, index)
                fix = "correct this element or take it out of the list"
                self.problems.append(
                    Problem(self.document.file, dotted(path), shown(item), allowed, fix, self.document.line(path))
                )
        return tuple(found)

    def integers(self, key: str, allowed: str, *, least: int, most: int, longest: int) -> tuple[int, ...]:
        """The list of whole numbers at `key`, each from `least` to `most`; empty when it is missing or wrong."""
        value = self._value(key, allowed, False)
        if value is None:
            return ()
        right = isinstance(value, list) and len(value) <= longest
        for item in value if isinstance(value, list) else ():
            right = right and isinstance(item, int) and not isinstance(item, bool) and least <= item <= most
        if not isinstance(value, list) or not right:
            self.problem(key, shown(value), allowed, f"write at most {longest} whole numbers from {least} to {most}")
            return ()
        return tuple(value)

    def table(self, key: str, allowed: str = "a table") -> "Table | None":
        """The table at `key`; None when it is missing or no table."""
        value = self._value(key, allowed, False)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.problem(key, shown(value), allowed, f"write {key} = {{ … }}")
            return None
        return Table(self.document, (*self.path, key), value, self.problems)

    def named(self, key: str, of: str) -> "Iterator[tuple[str, Table]]":
        """The tables below `key` with their names, such as each plan below `plans`. Wrong names are reported."""
        parent = self.table(key, f"tables of {of}")
        if parent is None:
            return
        for name, value in parent.values.items():
            if not NAME.fullmatch(name):
                fix = f"rename it, for example to {_as_name(name)}"
                parent.problem(name, shown(name), f"a name of {NAME_ALLOWED}", fix)
            elif not isinstance(value, dict):
                parent.problem(name, shown(value), f"a table of {of}", f"write [{key}.{name}] and its keys below it")
            else:
                yield name, Table(self.document, (*parent.path, name), value, self.problems)

    def array(self, key: str, of: str) -> "Iterator[Table]":
        """The tables of the list at `key`."""
        value = self._value(key, f"a list of {of}", False)
        if value is None:
            return
        if not isinstance(value, list):
            self.problem(key, shown(value), f"a list of {of}", f"write {key} = [ {{ … }} ]")
            return
        for index, item in enumerate(value):
            path = (*self.path, key, index)
            if isinstance(item, dict):
                yield Table(self.document, path, item, self.problems)
            else:
                line = self.document.line(path)
                fix = "write it as { … }"
                self.problems.append(Problem(self.document.file, dotted(path), shown(item), f"one of {of}", fix, line))

    def finish(self, allowed: str | None = None) -> None:
        """Reports every key that nobody asked for, with the known key that was probably meant."""
        known = sorted(self._asked)
        for key in self.values:
            if key not in self._asked:
                close = did_you_mean(key, known)
                fix = f"did you mean {close}?" if close else "take it out, or correct its name"
                self.problem(key, f"an unknown key {shown(key)}", allowed or listed(known), fix)

    def _value(self, key: str, allowed: str, required: bool) -> object | None:
        self._asked.add(key)
        if key not in self.values:
            if required:
                self.problem(key, "nothing", allowed, f"add {key} to {dotted(self.path)}")
            return None
        return self.values[key]


def root(document: Document, problems: list[Problem]) -> Table:
    """The document itself as a table."""
    return Table(document, (), document.values, problems)


def _as_name(text: str) -> str:
    return (re.sub(r"[^a-z0-9_-]+", "-", text.lower()).strip("-") or "name")[:40]
