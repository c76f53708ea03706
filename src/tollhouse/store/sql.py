"""Statements as text: one wording for both databases, `:name` parameters, `[[…]]` for what only PostgreSQL understands."""

import re
from functools import cached_property

_ONLY_POSTGRES = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
_PARAMETER = re.compile(r"(?<!:):([a-z_][a-z0-9_]*)")


class Sql:
    """One statement. Kept as a constant in a room's `queries.py`, so that each text is prepared once."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()

    @cached_property
    def for_sqlite(self) -> str:
        return _ONLY_POSTGRES.sub("", self.text)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names in the order of PostgreSQL's `$1…$n`."""
        return tuple(dict.fromkeys(_PARAMETER.findall(self.text)))

    @cached_property
    def for_postgres(self) -> str:
        numbers = {name: f"${position}" for position, name in enumerate(self.parameters, 1)}
        text = _ONLY_POSTGRES.sub(lambda match: match[1], self.text)
        return _PARAMETER.sub(lambda match: numbers[match[1]], text)

    def __repr__(self) -> str:
        return f"Sql({self.text[:60]!r})"
