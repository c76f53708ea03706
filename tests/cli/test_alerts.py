"""`tollhouse alerts`: what is wrong is listed with its fix, what is over when it is asked for."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.cli.running import CommandLine
from tollhouse.alerts.incidents import Changes, open_alert, open_alerts, write
from tollhouse.kernel.facts import OperatorAlert
from tollhouse.store import open_store

MOST = 200


@pytest.fixture
def installed(tollhouse: CommandLine, schema_url: str) -> CommandLine:
    """An installation in which `old` has been wrong for long, `mended` was wrong, and many others came and went since."""
    assert tollhouse("init", "--preset", "aurion").status == 0
    tollhouse.set(ENVIRONMENT="test", DATABASE_URL=schema_url)

    async def fill() -> None:
        store = await open_store(schema_url)
        try:
            async with store.transaction() as tx:
                for number, name in enumerate(("old", "mended", *(f"passing-{n}" for n in range(MOST)))):
                    alert = OperatorAlert(
                        f"custom:{name}", "high", f"Broken {name}", "It does not work.", f"Mend {name}."
                    )
                    await open_alert(tx, alert, f"evt_{name}", 1_000 + number)
                over = tuple(found for found in await open_alerts(tx) if found.key != "custom:old")
                await write(tx, Changes(None, over), 9_000)
        finally:
            await store.close()

    asyncio.run(fill())
    return tollhouse


@pytest.mark.row("U7")
def test_what_is_wrong_is_listed_however_long_ago_it_began(installed: CommandLine) -> None:
    (line,) = installed("alerts").out.splitlines()
    assert line.split("\t")[:5] == ["high", "Broken old", "It does not work.", "Mend old.", "1"]
    found = json.loads(installed("alerts", "--json").out)
    assert [alert["key"] for alert in found["open"]] == ["custom:old"]
    assert "custom:passing-199" in {alert["key"] for alert in found["past"]}


def test_what_is_over_is_listed_when_it_is_asked_for(installed: CommandLine) -> None:
    lines = installed("alerts", "--past").out.splitlines()
    assert lines[0].startswith("high\tBroken old")
    assert len(lines) > MOST / 2
    assert all(line.split("\t")[6][:19] == "1970-01-01T00:00:09" for line in lines[1:])
