"""The exit status means something, and an error is never a traceback."""

import sys
from types import ModuleType

import msgspec
import pytest
import typer

import tollhouse as package
from tests.catalog.files import RIGHT, write
from tests.cli.running import CommandLine
from tollhouse import cli
from tollhouse.cli.output import emit_table
from tollhouse.kernel.errors import ConfigurationError


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """A command `fail` that raises what the test puts here."""
    raised: list[BaseException] = []

    def fail(as_json: bool = typer.Option(False, "--json")) -> None:
        raise raised[0]

    module = ModuleType("tollhouse.cli.fail")
    vars(module)["register"] = lambda app: app.command("fail")(fail)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cli, "COMMANDS", [*cli.COMMANDS, "fail"])
    return raised


def test_used_wrongly_is_2(tollhouse: CommandLine) -> None:
    for arguments in (["plan"], ["plans", "--jsn"], ["init", "a", "b"]):
        answer = tollhouse(*arguments)
        assert answer.status == 2
        assert answer.err


def test_help_and_version_are_0(tollhouse: CommandLine) -> None:
    assert tollhouse("--version").out == f"tollhouse {package.__version__}\n"
    assert tollhouse("--help").status == 0
    assert "init" in tollhouse("--help").out


def test_an_error_is_told_with_its_fix(tollhouse: CommandLine, failing: list[BaseException]) -> None:
    failing.append(ConfigurationError("STRIPE_SECRET_KEY is not set", setting="STRIPE_SECRET_KEY", fix="set it"))
    answer = tollhouse("fail")
    assert answer.status == 1
    assert answer.err == "error: STRIPE_SECRET_KEY is not set\nfix: set it\n"


def test_machines_get_the_error_as_json(tollhouse: CommandLine, failing: list[BaseException]) -> None:
    failing.append(ConfigurationError("no key", setting="STRIPE_SECRET_KEY", fix="set it"))
    answer = tollhouse("fail", "--json")
    assert answer.status == 1
    assert msgspec.json.decode(answer.err) == {
        "error": "configuration_error",
        "detail": "no key",
        "fix": "set it",
        "setting": "STRIPE_SECRET_KEY",
    }


def test_a_mistake_of_ours_says_how_to_see_it(tollhouse: CommandLine, failing: list[BaseException]) -> None:
    failing.append(ZeroDivisionError("division by zero"))
    answer = tollhouse("fail")
    assert answer.status == 1
    assert "Traceback" not in answer.err
    assert "fix: this should not happen; run it again with TOLLHOUSE_DEBUG=1" in answer.err
    tollhouse.set(TOLLHOUSE_DEBUG="1")
    with pytest.raises(ZeroDivisionError):
        tollhouse("fail")


def test_an_interruption_is_130(tollhouse: CommandLine, failing: list[BaseException]) -> None:
    failing.append(KeyboardInterrupt())
    assert tollhouse("fail").status == 130


def test_configuration_problems_are_json_for_machines(tollhouse: CommandLine) -> None:
    write(tollhouse.directory, RIGHT.replace("amount = 2900", "amount = -5"))
    answer = tollhouse("plans", "--json")
    [problem] = msgspec.json.decode(answer.err)["problems"]
    assert (problem["file"], problem["line"], problem["key"]) == (
        "tollhouse.toml",
        19,
        "plans.starter.prices[0].amount",
    )


def test_a_terminal_gets_a_table_with_a_head(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tollhouse.cli.output.on_terminal", lambda: True)
    emit_table("Plans", ["plan", "price"], [["free [old]", "1"]], right=["price"])
    out = capsys.readouterr().out
    assert "plan" in out
    assert "free [old]" in out


EVENT = ["evt_1QxYz0123456789AbCdEfGh", "customer.subscription.updated", "cus_QxYz0123456789", "parked", "2026-11-28T10:00:00.000Z",
         "12", "no price maps to a plan"]  # fmt: skip
HEAD = ["id", "type", "about", "status", "received", "attempts", "error"]


@pytest.mark.parametrize(("columns", "whole"), [(80, True), (60, False), (24, False)])
def test_an_id_stays_whole_where_the_others_have_room(
    columns: int, whole: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tollhouse.cli.output.on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    emit_table("Events", HEAD, [EVENT], right=["attempts"])
    out = capsys.readouterr().out
    assert (EVENT[0] in out) is whole
    if columns >= 60:
        marks = {sign for sign in "".join(EVENT) if sign.isdigit() or sign in "QYTZ"}  # no head has one of these
        assert {sign: out.count(sign) for sign in marks} == {sign: "".join(EVENT).count(sign) for sign in marks}


def test_a_long_id_takes_nothing_from_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tollhouse.cli.output.on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    emit_table("Events", HEAD, [["tollhouse:cus_QxYz0123456789:rec_01m8hsp7pdfm98sec6vg6se0r1", *EVENT[1:]]])
    out = capsys.readouterr().out
    assert {"parked", "12", "attempts", "status"} <= set(out.split())
