"""`tollhouse selftest URL`: the five validation tests of the AURION runbook, against any running environment (A18)."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal

import aiohttp
import msgspec
import typer
from rich.console import Console

from tollhouse.cli.output import JsonOption, emit, emit_json, on_terminal
from tollhouse.cli.selftest import validation
from tollhouse.cli.selftest.pages import browsing
from tollhouse.cli.selftest.probe import Health, Offers, Probe
from tollhouse.cli.selftest.purchase import Till, purchase, webhook
from tollhouse.kernel.durations import parse_duration
from tollhouse.kernel.errors import InvalidRequest, NotAuthenticated, TollhouseError

KEY_VARIABLE = "TOLLHOUSE_KEY"
DEMO_FILE = Path(".demo") / "demo.json"
NAMES = ("account creation", "consumption", "stop at zero", "purchase", "webhook")
REFUSED = "refused: this is production, and the test pays with a test card"

Status = Literal["pass", "fail", "refused"]


class Outcome(msgspec.Struct, frozen=True):
    """One test: what was seen, and the fix where it did not pass."""

    number: int
    name: str
    status: Status
    seen: str
    fix: str | None = None


class Report(msgspec.Struct, frozen=True):
    """All five, and of which instance."""

    url: str
    environment: str
    version: str
    passed: int
    customer: str
    tests: list[Outcome]


def register(app: typer.Typer) -> None:
    """Adds `selftest`."""
    app.command("selftest")(selftest)


def selftest(
    url: Annotated[str, typer.Argument(help="The instance, such as http://127.0.0.1:8787.")],
    key: Annotated[
        str | None,
        typer.Option(help="A secret key (th_sk_…); for the demo's own address it is known.", envvar=KEY_VARIABLE),
    ] = None,
    wait: Annotated[
        str, typer.Option(help="How long to wait for the payment; in Stripe's test mode a person makes it.")
    ] = "5m",
    as_json: JsonOption = False,
) -> None:
    """Sign up, use, be stopped at zero, buy, be told by webhook: five tests by HTTP alone; exit status 0 when all pass.

    A customer `selftest-…` is made. The purchase is by test card, so it is refused in production.
    """
    try:
        seconds = parse_duration(wait) / 1000
    except ValueError as error:
        raise InvalidRequest(f"--wait: {error}", fix="write it as 5m or 90s") from None
    address = url.rstrip("/")
    found = key or _key_of_demo(address)
    if found is None:
        raise NotAuthenticated(
            "no secret key was given", code="key_missing",
            fix=f"pass --key th_sk_…, or set {KEY_VARIABLE}; `tollhouse keys create` makes one",
        )  # fmt: skip
    report = asyncio.run(_run(address, found, seconds, _show if not as_json else _silent))
    if as_json:
        emit_json(report)
    else:
        emit(f"{report.passed} of {len(report.tests)} passed: {address} ({report.environment}, {report.version})")
    if report.passed < len(report.tests):
        raise typer.Exit(1)


async def _run(url: str, key: str, wait_seconds: float, show: Callable[[Outcome], None]) -> Report:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http, browsing(url) as browser:
        probe = Probe(http, url, key)
        health = await probe.health()
        offers = await probe.offers()
        # Signing up on the page sends an e-mail: not from production, to an address that nobody has.
        visit = validation.new_visit(None if health.production else browser)
        till = Till(wait_seconds, _ask)
        tests: list[Callable[[], Awaitable[str]]] = [
            lambda: validation.sign_up(probe, offers, visit),
            lambda: validation.consume(probe, offers, visit),
            lambda: validation.block(probe, offers, visit),
            lambda: purchase(probe, offers, visit, till),
            lambda: webhook(probe, visit, till),
        ]
        outcomes: list[Outcome] = []
        for number, test in enumerate(tests, 1):
            outcomes.append(await _outcome(number, test, health, offers, visit))
            show(outcomes[-1])
    passed = sum(outcome.status == "pass" for outcome in outcomes)
    return Report(url, health.environment, health.version, passed, visit.customer, outcomes)


async def _outcome(
    number: int, test: Callable[[], Awaitable[str]], health: Health, offers: Offers, visit: validation.Visit
) -> Outcome:
    name = NAMES[number - 1]
    if number > 3 and health.production:
        return Outcome(number, name, "refused", REFUSED, "run it against staging; make a live purchase by hand here")
    if number > 1 and not visit.customer:
        return Outcome(number, name, "fail", "not tried: there is no customer to try it with", "make test 1 pass first")
    try:
        return Outcome(number, name, "pass", await test())
    except TollhouseError as error:
        return Outcome(number, name, "fail", error.detail, error.fix)


def _show(outcome: Outcome) -> None:
    """One line a test; colours only beside the word."""
    line = f"{outcome.status:<7}  {outcome.number}  {outcome.name:<16}  {outcome.seen}"
    if on_terminal():
        console = Console(highlight=False, soft_wrap=True)
        console.print(line, style="green" if outcome.status == "pass" else "red", markup=False)
    else:
        emit(line)
    if outcome.fix:
        emit(f"{'':<7}  fix: {outcome.fix}")


def _silent(_: Outcome) -> None:
    """Nothing until the end: the whole is one JSON document."""


def _ask(page: str) -> None:
    sys.stderr.write(f"pay on this page with the card 4242 4242 4242 4242, then come back:\n{page}\n")


def _key_of_demo(url: str) -> str | None:
    """The key that the demo in this folder wrote down, when the address is its own."""
    try:
        told = json.loads(DEMO_FILE.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    found = told.get("secret_key")
    same = _plain(told.get("url", "")) == _plain(url)
    return found if same and isinstance(found, str) else None


def _plain(url: str) -> str:
    return url.rstrip("/").replace("://localhost", "://127.0.0.1")
