"""Durations as people write them: `90s`, `15m`, `48h`, `30d`."""

import re

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_FORM = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")


def parse_duration(text: str) -> int:
    """Milliseconds of `90s`, `15m`, `48h`, `30d`. Raises ValueError naming the allowed forms."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a whole number and a unit: 500ms, 90s, 15m, 48h or 30d")
    return int(match[1]) * _UNITS_MS[match[2]]


def format_duration(milliseconds: int) -> str:
    """The shortest exact form that `parse_duration` reads."""
    for unit in ("d", "h", "m", "s"):
        if milliseconds and milliseconds % _UNITS_MS[unit] == 0:
            return f"{milliseconds // _UNITS_MS[unit]}{unit}"
    return f"{milliseconds}ms"
