"""Reads amounts on meters: what an action costs, a plan allows or grants."""

from decimal import Decimal

from tollhouse.catalog.model import Meter
from tollhouse.kernel.units import LARGEST, scale, unscale
from tollhouse.settings.problems import did_you_mean, listed, shown
from tollhouse.settings.reader import Table


def meter_of(table: Table, name: str, meters: dict[str, Meter], unread: frozenset[str]) -> Meter | None:
    """The meter that a key of the table names. An unknown one is reported, unless its own table was wrong already."""
    table.has(name)
    meter = meters.get(name)
    if meter is None and name not in unread:
        close = did_you_mean(name, meters)
        fix = f"did you mean {close}?" if close else "add it to [meters], or take it out here"
        table.problem(name, f"the unknown meter {shown(name)}", f"a meter of the file: {listed(sorted(meters))}", fix)
    return meter


def amount_of(table: Table, key: str, meter: Meter, *, least: int) -> int | None:
    """The scaled amount at `key`, from `least` (0 or 1 in the smallest unit) on; None when it is wrong."""
    value = table.values.get(key)
    smallest = unscale(least, meter.decimals)
    allowed = f"a number with at most {meter.decimals} decimals" if meter.decimals else "a whole number"
    allowed += f", {smallest} or more"
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        table.problem(key, shown(value), allowed, f"write a number, such as {key} = 100")
        return None
    try:
        scaled = scale(value, meter.decimals)
    except ValueError as error:
        table.problem(key, shown(value), _limits(meter, allowed), _fix(value, meter, str(error)))
        return None
    if scaled < least:
        table.problem(key, shown(value), allowed, f"write {smallest} or more")
        return None
    return scaled


def _limits(meter: Meter, allowed: str) -> str:
    return f"{allowed}, and at most {unscale(LARGEST, meter.decimals)}"


def _fix(value: Decimal | int, meter: Meter, why: str) -> str:
    if "decimals" not in why:
        return f'write at most {unscale(LARGEST, meter.decimals)}; for no limit at all write "unlimited"'
    if meter.kind in ("lease", "count"):
        return "write a whole number"
    exponent = Decimal(value).normalize().as_tuple().exponent
    needed = -exponent if isinstance(exponent, int) else meter.decimals
    return f"round it, or give the meter {meter.name} decimals = {needed}"
