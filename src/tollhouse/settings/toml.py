"""TOML with line positions. `tomllib` reads the values and judges the syntax; a small scanner then walks the same
text, which is known to be valid, and notes on which line every key, element and table stands (docs/decisions/0010)."""

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import msgspec

from tollhouse.settings.problems import ConfigurationProblems, Problem, quoted

KeyPath = tuple[str | int, ...]
_AT = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR_END = re.compile(r"[,\]}#\n]")


class Document(msgspec.Struct, frozen=True):
    """A TOML file: its values (floats as Decimal) and the line of every path in it."""

    file: str
    values: dict[str, object]
    lines: dict[KeyPath, int]

    def line(self, path: KeyPath) -> int | None:
        """The line of the path, or of the nearest thing around it that stands in the file."""
        for length in range(len(path), 0, -1):
            found = self.lines.get(path[:length])
            if found is not None:
                return found
        return None


def dotted(path: KeyPath) -> str:
    """`plans.starter.prices[0].amount`: a path as people write it."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if _BARE_KEY.fullmatch(part) else quoted(part)
            text += f".{name}" if text else name
    return text


def read_document(path: Path) -> Document:
    """The file at `path`. Raises ConfigurationProblems when it is missing, unreadable or no TOML."""
    file = str(path)
    try:
        text = path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except FileNotFoundError:
        raise _unreadable(
            file, "no file", "run `tollhouse init --preset aurion`, or name the file by --config"
        ) from None
    except UnicodeDecodeError as error:
        raise _unreadable(
            file, f"bytes that are not UTF-8 at position {error.start}", "save the file as UTF-8"
        ) from None
    except OSError as error:
        raise _unreadable(file, error.strerror or str(error), "make the file readable for this user") from None
    return parse_document(text, file)


def parse_document(text: str, file: str) -> Document:
    """The document in `text`; `file` is how problems name it. Raises ConfigurationProblems for a syntax error."""
    text = text.replace("\r\n", "\n")
    try:
        values = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationProblems([_syntax_problem(str(error), text, file)]) from None
    return Document(file=file, values=values, lines=_Scanner(text).scan())


def _unreadable(file: str, found: str, fix: str) -> ConfigurationProblems:
    return ConfigurationProblems([Problem(file, "the file", found, "a TOML file in UTF-8", fix)])


def _syntax_problem(message: str, text: str, file: str) -> Problem:
    at = _AT.search(message)
    what = _AT.sub("", message)
    line = int(at[1]) if at and at[1] else text.count("\n") + 1
    written = text.split("\n")[line - 1].strip() if line <= text.count("\n") + 1 else ""
    if what.startswith(("Cannot overwrite", "Cannot declare", "Cannot mutate")) or "twice" in what.lower():
        fix = "the same key or table stands twice in the file: keep one of them"
    else:
        fix = "see https://toml.io for the form of strings, numbers, lists and tables"
    return Problem(file, "TOML", f"{what[:1].lower()}{what[1:]} in `{written[:60]}`", "valid TOML", fix, line)


class _Scanner:
    """Walks valid TOML once and notes the line of every path."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._lines: dict[KeyPath, int] = {}
        self._counts: dict[KeyPath, int] = {}  # arrays of tables: how many elements so far

    def scan(self) -> dict[KeyPath, int]:
        prefix: KeyPath = ()
        while self._skip_blank():
            if self._looking_at("[["):
                prefix = self._header(2)
            elif self._looking_at("["):
                prefix = self._header(1)
            else:
                self._pair(prefix)
        return self._lines

    def _header(self, brackets: int) -> KeyPath:
        line = self._line
        self._at += brackets
        names = self._key()
        self._skip_spaces()
        self._at += brackets
        path: KeyPath = ()
        for position, name in enumerate(names):
            path = (*path, name)
            last = position == len(names) - 1
            self._lines.setdefault(path, line)
            if last and brackets == 2:
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
                self._lines.setdefault(path, line)
            elif last:
                self._lines[path] = line  # `[a]` after `[a.b]`: the table's own header is the better place
        return path

    def _pair(self, prefix: KeyPath) -> None:
        line = self._line
        path = prefix
        for name in self._key():
            path = (*path, name)
            self._lines.setdefault(path, line)
        self._skip_spaces()
        self._at += 1  # =
        self._skip_spaces()
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        start = self._text[self._at]
        if start in "\"'":
            self._string()
        elif start == "[":
            self._at += 1
            index = 0
            while self._skip_blank() and not self._looking_at("]"):
                self._lines[(*path, index)] = self._line
                self._value((*path, index))
                index += 1
                self._skip_blank()
                self._at += self._looking_at(",")
            self._at += 1
        elif start == "{":
            self._at += 1
            while self._skip_blank() and not self._looking_at("}"):
                self._pair(path)
                self._skip_blank()
                self._at += self._looking_at(",")
            self._at += 1
        else:
            end = _SCALAR_END.search(self._text, self._at)
            self._at = end.start() if end else len(self._text)

    def _key(self) -> list[str]:
        names = []
        while True:
            self._skip_spaces()
            if self._text[self._at] in "\"'":
                start = self._at
                self._string()
                names.append(str(tomllib.loads("key = " + self._text[start : self._at])["key"]))
            else:
                bare = _BARE_KEY.match(self._text, self._at)
                if bare is None:
                    raise ValueError(f"no key at line {self._line}")
                names.append(bare[0])
                self._at = bare.end()
            self._skip_spaces()
            if not self._looking_at("."):
                return names
            self._at += 1

    def _string(self) -> None:
        quote = self._text[self._at]
        long = self._looking_at(quote * 3)
        closing = quote * 3 if long else quote
        self._at += len(closing)
        while not self._looking_at(closing):
            if self._text[self._at] == "\\" and quote == '"':
                self._line += self._text[self._at + 1] == "\n"
                self._at += 2
            else:
                self._line += self._text[self._at] == "\n"
                self._at += 1
        self._at += len(closing)
        while long and self._looking_at(quote):  # up to two quotes may stand right before the closing three
            self._at += 1

    def _looking_at(self, text: str) -> bool:
        return self._text.startswith(text, self._at)

    def _skip_spaces(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " \t":
            self._at += 1

    def _skip_blank(self) -> bool:
        """Past spaces, newlines and comments; False at the end of the text."""
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter == "\n":
                self._line += 1
            elif letter == "#":
                end = self._text.find("\n", self._at)
                self._at = end if end >= 0 else len(self._text)
                continue
            elif letter not in " \t":
                return True
            self._at += 1
        return False
