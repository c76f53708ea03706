"""`tollhouse alerts`: what is wrong now, and what was."""

import asyncio
from typing import Annotated

import typer

from tollhouse.alerts.model import Alert
from tollhouse.alerts.views import read_alerts, view_alert
from tollhouse.cli.database import in_transaction, known_configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit_json, emit_table, tell
from tollhouse.kernel.clock import rfc3339
from tollhouse.store import Tx


def register(app: typer.Typer) -> None:
    """Adds `alerts`."""
    app.command("alerts")(alerts)


def alerts(
    past: Annotated[bool, typer.Option("--past", help="Those that are over, too.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """What is wrong now, the newest first, each with what to do."""

    async def work(tx: Tx, now: int) -> tuple[list[Alert], list[Alert]]:
        return await read_alerts(tx)

    still_open, over = asyncio.run(in_transaction(known_configuration(config), work))
    if as_json:
        emit_json({"open": [view_alert(one) for one in still_open], "past": [view_alert(one) for one in over]})
        return
    shown = still_open + (over if past else [])
    if not shown:
        tell("nothing is wrong")
        return
    rows = [
        [
            one.severity, one.title, one.detail, one.fix, str(one.happened), rfc3339(one.opened_at),
            "" if one.ended_at is None else rfc3339(one.ended_at), " ".join(one.channels),
        ]
        for one in shown
    ]  # fmt: skip
    emit_table("Alerts", ["severity", "what", "detail", "fix", "times", "begun", "over", "told"], rows, right=["times"])
