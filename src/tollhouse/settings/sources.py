"""Where a setting's value comes from: the environment, a file named by `NAME_FILE`, `.env`, tollhouse.toml."""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tollhouse.settings.problems import ENVIRONMENT, Problem
from tollhouse.settings.table import Setting
from tollhouse.settings.toml import Document, KeyPath, dotted

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_COMMENT = re.compile(r"\s+#.*$")


class Found(msgspec.Struct, frozen=True):
    """A value as it was found, and where."""

    value: object
    file: str
    key: str
    line: int | None = None
    in_toml: bool = False


class Variables(msgspec.Struct, frozen=True):
    """Variables of one origin: the process environment, or a `.env` file with the line of each."""

    file: str
    values: Mapping[str, str]
    lines: Mapping[str, int] = {}

    def find(self, name: str, problems: list[Problem]) -> Found | None:
        """The variable, or what the file named by `NAME_FILE` holds. Empty variables count as not set."""
        value = self.values.get(name) or None
        named = self.values.get(f"{name}_FILE") or None
        if value is not None and named is not None:
            found = f"both {name} and {name}_FILE"
            problems.append(
                Problem(self.file, name, found, "one of the two", f"unset {name} or {name}_FILE", self.lines.get(name))
            )
        if value is not None:
            return Found(value, self.file, name, self.lines.get(name))
        if named is None:
            return None
        key, line = f"{name}_FILE", self.lines.get(f"{name}_FILE")
        try:
            content = Path(named).read_bytes().decode().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            fix = "name a file that this user may read"
            problems.append(Problem(self.file, key, f"{named} ({why})", "the path of a readable file", fix, line))
            return None
        if not content:
            problems.append(
                Problem(self.file, key, f"{named}, which is empty", "a file that holds the value", "fill it", line)
            )
            return None
        return Found(content, self.file, key, line)


class Sources(msgspec.Struct, frozen=True):
    """Everything that may hold a setting, the strongest first."""

    variables: tuple[Variables, ...]
    document: Document
    environment: str

    def find(self, setting: Setting, problems: list[Problem]) -> Found | None:
        """The strongest value of the setting, with its place; None when nobody names it."""
        for variables in self.variables:
            found = variables.find(setting.variable, problems)
            if found is not None:
                return found
        for path in toml_paths(self.environment):
            table = table_at(self.document, path)
            if setting.key in table:
                at = (*path, setting.key)
                return Found(table[setting.key], self.document.file, dotted(at), self.document.line(at), in_toml=True)
        return None


def toml_paths(environment: str) -> tuple[KeyPath, KeyPath]:
    """The tables that may hold settings of this environment, the stronger first."""
    return ("environments", environment), ("settings",)


def table_at(document: Document, path: KeyPath) -> dict[str, object]:
    """The table at `path`; empty when there is none (its absence or wrong type is reported elsewhere)."""
    value: object = document.values
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def process_variables(environ: Mapping[str, str]) -> Variables:
    """The variables of the process."""
    return Variables(ENVIRONMENT, environ)


def read_dotenv(path: Path) -> Variables:
    """The `NAME=value` lines of a `.env` file, which may be quoted, exported or commented. No file, no variables."""
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    text = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
    for number, line in enumerate(text.splitlines(), start=1):
        match = None if line.lstrip().startswith("#") else _LINE.fullmatch(line)
        if match is None:
            continue
        name, value = match[1], match[2]
        if len(value) >= 2 and value[0] in "\"'" and (end := value.find(value[0], 1)) > 0:
            value = value[1:end]
        else:
            value = _COMMENT.sub("", value) if not value.startswith("#") else ""
        values[name] = value
        lines[name] = number
    return Variables(str(path), values, lines)
