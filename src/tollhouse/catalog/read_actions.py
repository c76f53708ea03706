"""Reads `[actions]` and `[tools]` of the file."""

import re

from tollhouse.catalog.model import Action, Meter, Tool
from tollhouse.catalog.read_amounts import amount_of, meter_of
from tollhouse.settings.problems import did_you_mean, listed, shown
from tollhouse.settings.reader import Table

_FRAME = re.compile(r"https?://[^\s]+|/[^\s]*")
LAUNCH = "launch_tool_"
"""A tool with a cost of its own makes the action of this name and the tool's (row A4)."""


def read_action(name: str, table: Table, meters: dict[str, Meter], unread: frozenset[str]) -> Action:
    """One action: what it costs on which meters."""
    cost = _cost(table, meters, unread, required=True)
    priced = _priced_by(table, cost, meters)
    label = table.text("label", longest=80) or name.replace("_", " ")
    table.finish()
    return Action(name=name, cost=cost, priced_by_caller=priced, label=label)


def read_tool(
    name: str, table: Table, meters: dict[str, Meter], unread: frozenset[str], actions: dict[str, Action]
) -> tuple[Tool, Action | None]:
    """One tool, and the action that launching it is when the tool has a cost of its own."""
    title = table.text("title", "what users read", required=True, longest=80)
    description = table.text("description", longest=300)
    frame_url = table.text("frame_url", "the address of the tool's page", longest=2000)
    if frame_url and not _FRAME.fullmatch(frame_url):
        table.problem("frame_url", shown(frame_url), "an address such as https://… or /path", "correct the address")
    own, named = table.has("cost"), table.text("action", "the name of an action")
    action: Action | None = None
    if own and named:
        table.problem("action", "a cost and an action", "one of the two", "take out cost or action")
    elif own:
        named = LAUNCH + name
        if named in actions:
            fix = f"take out [actions.{named}], or write action = {shown(named)} in place of cost"
            table.problem("cost", f"an action {named} in [actions] too", "one place for its cost", fix)
        cost = _cost(table, meters, unread, required=True)
        priced = _priced_by(table, cost, meters)
        action = Action(name=named, cost=cost, priced_by_caller=priced, label=title)
    elif not named:
        table.problem(None, "neither cost nor action", "one of the two", "write cost = { credits = 50 }")
    elif named not in actions:
        close = did_you_mean(named, actions)
        fix = f"did you mean {close}?" if close else f"add [actions.{named}], or write cost here"
        table.problem("action", f"the unknown action {shown(named)}", listed(sorted(actions)), fix)
    table.finish()
    return Tool(name=name, action=named, title=title, description=description, frame_url=frame_url), action


def _cost(table: Table, meters: dict[str, Meter], unread: frozenset[str], *, required: bool) -> dict[str, int]:
    allowed = "what it takes from which meters, such as { credits = 50 }"
    costs = table.table("cost", allowed)
    if costs is None:
        if required and "cost" not in table.values:
            table.problem("cost", "nothing", allowed, "write cost = { credits = 1 }, or another meter of the file")
        return {}
    if not costs.values:
        table.problem("cost", "an empty table", allowed, "name at least one meter, or take the action out")
    cost: dict[str, int] = {}
    for name in costs.values:
        meter = meter_of(costs, name, meters, unread)
        amount = amount_of(costs, name, meter, least=1) if meter is not None else None
        if meter is None or amount is None:
            continue
        if meter.kind == "lease" and amount != 1:
            costs.problem(name, shown(costs.values[name]), "1: an action holds one slot", f"write {name} = 1")
            continue
        cost[name] = amount
    return cost


def _priced_by(table: Table, cost: dict[str, int], meters: dict[str, Meter]) -> tuple[str, ...]:
    """The meters whose amount the caller may name: `"caller"` or true for all that can be, or a list of them."""
    if not table.has("priced_by"):
        return ()
    value = table.values["priced_by"]
    can = tuple(name for name in cost if meters[name].kind != "lease")
    if value == "caller" or value is True:
        if not can and cost:
            table.problem("priced_by", shown(value), "an action with more than a lease in its cost", "take it out")
        return can
    if isinstance(value, list):
        names = table.texts("priced_by", "a list of meters of this action's cost")
        for name in names:
            if name not in can and cost:
                fix = f"name a meter of its cost: {listed(can)}"
                table.problem("priced_by", shown(name), "meters of this action's cost, but for leases", fix)
        return tuple(name for name in names if name in can)
    if value is not False:
        table.problem("priced_by", shown(value), '"caller", or a list of meters', 'write priced_by = "caller"')
    return ()
