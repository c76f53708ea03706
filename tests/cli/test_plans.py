"""`tollhouse plans` shows what is sold; `plans check` tells what is wrong with it."""

import asyncio

import msgspec
import pytest

from tests.catalog.files import RIGHT, write
from tests.cli.running import CommandLine
from tollhouse.catalog import load_catalog, publish
from tollhouse.store import open_store
from tollhouse.store.schema import upgrade


def cells(out: str) -> list[list[str]]:
    return [line.split("\t") for line in out.splitlines()]


def test_in_a_pipe_a_plan_is_a_line(tollhouse: CommandLine) -> None:
    write(tollhouse.directory)
    answer = tollhouse("plans")
    assert answer.status == 0
    assert cells(answer.out) == [
        ["free", "–", "free", "100", "100", "1", "1", "100", "community"],
        ["starter", "–", "29.00 USD a month", "5,000", "–", "–", "–", "1,000", "email, in 2d"],
    ]


def test_json_holds_amounts_as_the_file_does(tollhouse: CommandLine) -> None:
    write(tollhouse.directory, RIGHT.replace("{ credits = 1000 }", "{ credits = 12.5 }").replace("5000", '"unlimited"'))
    document = msgspec.json.decode(tollhouse("plans", "--json").out)
    free, starter = document["plans"]
    assert free["limits"] == {"sessions": 100, "requests": 100, "concurrent": 1, "projects": 1}
    assert starter["limits"] == {"sessions": "unlimited"}
    assert starter["credits"]["credits"]["amount"] == 12.5
    assert starter["prices"][0]["lookup_key"] == "tollhouse_starter_month_usd"
    assert (document["free_plan"], starter["version"], starter["new"]) == ("free", None, True)


@pytest.mark.row("X4")
def test_versions_are_those_that_customers_have(tollhouse: CommandLine) -> None:
    path = write(tollhouse.directory)
    upgrade("sqlite:///tollhouse.db")
    assert [row[1] for row in cells(tollhouse("plans").out)] == ["1 (new)", "1 (new)"]

    async def start() -> None:
        store = await open_store("sqlite:///tollhouse.db")
        async with store.transaction() as tx:
            await publish(tx, load_catalog(path), 0)
        await store.close()

    asyncio.run(start())
    assert [row[1] for row in cells(tollhouse("plans").out)] == ["1", "1"]
    write(tollhouse.directory, RIGHT.replace("5000", "4000"))
    assert [row[1] for row in cells(tollhouse("plans").out)] == ["1", "2 (new)"]


def test_a_database_that_does_not_answer_is_no_reason_to_show_nothing(tollhouse: CommandLine) -> None:
    write(tollhouse.directory)
    tollhouse.set(DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    answer = tollhouse("plans")
    assert answer.status == 0
    assert [row[1] for row in cells(answer.out)] == ["–", "–"]
    assert "the database does not answer" in answer.err


def test_looking_makes_no_database(tollhouse: CommandLine) -> None:
    write(tollhouse.directory)
    tollhouse("plans")
    assert [path.name for path in tollhouse.directory.iterdir()] == ["tollhouse.toml"]


@pytest.mark.parametrize("command", [("plans",), ("plans", "check")])
def test_every_mistake_is_told_with_line_and_fix(tollhouse: CommandLine, command: tuple[str, ...]) -> None:
    write(tollhouse.directory, RIGHT.replace("amount = 2900", "amount = -5").replace('"90s"', "90"))
    answer = tollhouse(*command)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("error: the configuration has 2 problems\n")
    assert "\ntollhouse.toml:7: meters.concurrent.ttl: found 90 without a unit" in answer.err
    assert "\ntollhouse.toml:19: plans.starter.prices[0].amount: found -5" in answer.err
    assert answer.err.count("\nfix: ") == 2


def test_mistakes_in_the_environment_are_told_too(tollhouse: CommandLine) -> None:
    write(tollhouse.directory)
    tollhouse.set(LOG_LEVEL="loud", STRIPE_PRICE_STARTR="price_123")
    answer = tollhouse("plans", "check", "--json")
    assert answer.status == 1
    assert {problem["key"] for problem in msgspec.json.decode(answer.out) if problem["severity"] == "error"} == {
        "LOG_LEVEL",
        "STRIPE_PRICE_STARTR",
    }


def test_a_warning_stops_nothing(tollhouse: CommandLine) -> None:
    write(tollhouse.directory)
    answer = tollhouse("plans", "check")
    assert (answer.status, answer.out) == (0, "tollhouse.toml: no mistakes\n")
    assert "warning: tollhouse.toml:6: meters.requests: found a meter that no action costs" in answer.err


def test_another_file_is_named_by_option_or_variable(tollhouse: CommandLine) -> None:
    (tollhouse.directory / "other").mkdir()
    path = write(tollhouse.directory / "other")
    assert tollhouse("plans", "--config", str(path)).status == 0
    missing = tollhouse("plans")
    assert (missing.status, missing.out) == (1, "")
    assert "tollhouse init --preset" in missing.err
    tollhouse.set(TOLLHOUSE_CONFIG=str(path))
    assert tollhouse("plans").status == 0
