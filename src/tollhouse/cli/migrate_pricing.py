"""`tollhouse migrate pricing`: who would move to another plan or version, told and moved. `serve` may run meanwhile."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import date
from typing import Annotated

import msgspec
import typer

from tollhouse.billing.moves import Move, choose
from tollhouse.billing.moves_found import as_published, count_accounts, find_moves
from tollhouse.billing.moves_summed import Group, Summary
from tollhouse.billing.moving import Failure, Mover, Progress
from tollhouse.billing.moving_words import change_told
from tollhouse.billing.stripe import Pace
from tollhouse.catalog import Configuration
from tollhouse.catalog.actions import next_versions, publish
from tollhouse.cli.at_stripe import only_stripe
from tollhouse.cli.database import known_configuration, opened
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table, tell
from tollhouse.cli.progress import customers_bar
from tollhouse.cli.stopping import STOPPED, told_to_stop
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.kernel.money import written
from tollhouse.store.opening import AnyStore

CALLS_PER_SECOND = 20.0
"""Below the 25 that Stripe allows in test mode; of the 100 in live mode the rest stays for customers who are buying."""
LEARN_SECONDS = 6.0
"""In so long every running server has read a version that was just published."""
MOST_SHOWN = 20
MOST_FAILURES = 1_000

Bar = Callable[[int, int], None]


class Done(msgspec.Struct, frozen=True):
    """What a run came to. `failures`: the first thousand."""

    looked: int
    done: int
    stay: int
    untold: int
    failed: int
    failures: list[Failure]
    stopped: bool


def pricing(
    plan: Annotated[bool, typer.Option("--plan", help="Show who would move and what changes. The default.")] = False,
    notify: Annotated[bool, typer.Option("--notify", help="E-mail everybody who would move, once.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Move everybody who was told.")] = False,
    source: Annotated[
        str | None, typer.Option("--from", help="PLAN or PLAN@VERSION.", show_default="every older version")
    ] = None,
    target: Annotated[
        str | None, typer.Option("--to", help="The plan to move to.", show_default="the same plan's newest version")
    ] = None,
    on: Annotated[str | None, typer.Option(help="The day that the e-mail names, such as 2027-01-15.")] = None,
    without_notice: Annotated[bool, typer.Option("--without-notice", help="Move also who was not told.")] = False,
    calls_per_second: Annotated[
        float, typer.Option(help="At most so many calls to Stripe.", min=0.1, max=1_000)
    ] = CALLS_PER_SECOND,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Move customers to another plan, or to the newest version of theirs: look, tell them, then move them.

    Stopped and run again it goes on where it was; nobody is told or moved twice. A subscriber pays the new price from the
    next period on. Exit status 1 when somebody could not be moved, 130 when it was stopped.
    """
    if plan + notify + apply > 1:
        raise InvalidRequest("one thing at a time", code="invalid_move", fix="give one of --plan, --notify, --apply")
    day = _day(on)
    found = known_configuration(config)
    if not notify and not apply:
        with customers_bar() as bar:
            asyncio.run(_preview(found, source, target, as_json, bar))
        return
    with customers_bar() as bar:
        done = asyncio.run(_run(found, source, target, notify, day, without_notice, calls_per_second, bar))
    if as_json:
        emit_json(done)
    else:
        _show_done(done, notify)
    if done.stopped:
        raise typer.Exit(STOPPED)
    if done.failed:
        raise typer.Exit(1)


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{text!r} is no day", code="invalid_day", fix="write --on 2027-01-15") from None


async def _preview(found: Configuration, source: str | None, target: str | None, as_json: bool, bar: Bar) -> None:
    summary, first, looked, listed = Summary(), list[Move](), 0, 0
    async with opened(found) as store:
        async with store.reading() as tx:
            catalog, total = await as_published(tx, found.catalog), await count_accounts(tx)
        choice = choose(catalog, source, target)
        if as_json:
            sys.stdout.write('{"moves": [')
        async for batch in find_moves(store, catalog, choice):
            for move in batch.moves:
                summary.add(move)
                if as_json:  # written as they are found: a hundred thousand of them are never in memory at once
                    line = msgspec.json.Encoder(decimal_format="number").encode(move).decode()
                    sys.stdout.write(f"{',' if listed else ''}\n{line}")
                elif len(first) < MOST_SHOWN:
                    first.append(move)
                listed += 1
            looked += batch.looked
            bar(looked, total)
    if as_json:
        groups = msgspec.json.Encoder(decimal_format="number").encode(summary.groups()).decode()
        sys.stdout.write(f'\n],\n"groups": {groups},\n"looked": {looked}}}\n')
        return
    _show_preview(summary.groups(), first, listed, looked)


def _show_preview(groups: list[Group], first: list[Move], listed: int, looked: int) -> None:
    rows = [
        [
            f"{group.from_plan}@{group.from_version}", f"{group.to_plan}@{group.to_version}", str(group.moving),
            str(group.told), str(sum(group.staying.values())), _changes_of(group),
        ]
        for group in groups
    ]  # fmt: skip
    columns = ["from", "to", "would move", "told", "stay", "what changes"]
    emit_table("Moves", columns, rows, right=columns[2:5])
    reasons = [
        [f"{group.from_plan}@{group.from_version}", str(number), reason]
        for group in groups
        for reason, number in group.staying.items()
    ]
    if reasons:
        emit_table("Who stays, and why", ["on", "customers", "why"], reasons, right=["customers"])
    lines = [
        [move.customer, move.email, f"{move.from_plan}@{move.from_version}", f"{move.to_plan}@{move.to_version}",
         _price_of(move), move.stays or ("told" if move.notified else "not told yet")]
        for move in first
    ]  # fmt: skip
    if lines:
        emit_table("Customers", ["customer", "e-mail", "from", "to", "price", ""], lines)
    if listed > len(first):
        emit(f"and {listed - len(first)} more: --json lists them all")
    moving = sum(group.moving for group in groups)
    emit(f"{looked} accounts looked at: {moving} would move, {listed - moving} stay; nothing was changed")


def _changes_of(group: Group) -> str:
    lines = [change_told(changed, "en") for changed in group.changes]
    lines += [
        f"{price.customers} pay {written(price.before)} → {written(price.after)} a {price.every}"
        for price in group.prices
    ]
    return "\n".join(lines) or "nothing"


def _price_of(move: Move) -> str:
    if move.price_before is None:
        return "–"
    after = "?" if move.price_after is None else written(move.price_after)
    return f"{written(move.price_before)} → {after} a {move.every}"


@asynccontextmanager
async def _mover(
    found: Configuration, store: AnyStore, calls_per_second: float, apply: bool
) -> AsyncIterator[tuple[Mover, bool]]:
    """The mover, and whether the catalogue has a version that running servers do not know yet."""
    has_key = apply and found.settings.stripe.secret_key is not None
    async with only_stripe(found, Pace(calls_per_second)) if has_key else nullcontext() as gateway:
        async with store.transaction() as tx:
            new = any(fresh for _, fresh in (await next_versions(tx, found.catalog)).values())
            catalog = await publish(tx, found.catalog, store.clock.now_ms())
        yield Mover(store, catalog, gateway, found.settings.url), new


async def _run(
    found: Configuration, source: str | None, target: str | None, notify: bool, day: date | None,
    without_notice: bool, calls_per_second: float, bar: Bar,
) -> Done:  # fmt: skip
    async with opened(found) as store, _mover(found, store, calls_per_second, not notify) as (mover, new):
        choice = choose(mover.catalog, source, target)
        async with store.reading() as tx:
            total = await count_accounts(tx)
        if new and not notify:
            tell("waiting until every running server knows the new version")
            await asyncio.sleep(LEARN_SECONDS)
        steps = mover.notify(choice, day) if notify else mover.apply(choice, without_notice=without_notice)
        return await _through(steps, total, bar)


async def _through(steps: AsyncIterator[Progress], total: int, bar: Bar) -> Done:
    looked = done = stay = untold = failed = 0
    failures: list[Failure] = []
    with told_to_stop() as stopping:
        async for step in steps:
            looked, done, stay = looked + step.looked, done + step.done, stay + step.stay
            untold, failed = untold + step.untold, failed + len(step.failed)
            failures += step.failed[: max(0, MOST_FAILURES - len(failures))]
            bar(looked, total)
            if stopping.is_set():
                break
        return Done(looked, done, stay, untold, failed, failures, stopping.is_set())


def _show_done(done: Done, notify: bool) -> None:
    if done.failures:
        rows = [[failure.customer, failure.reason] for failure in done.failures]
        emit_table("Not moved", ["customer", "why"], rows)
    if notify:
        emit(f"{done.done} told by e-mail, {done.stay} stay on their plan; run again it tells nobody twice")
    else:
        untold = f", {done.untold} were not told yet (--notify)" if done.untold else ""
        emit(f"{done.done} moved, {done.stay} stay on their plan, {done.failed} could not be moved{untold}")
    if done.stopped:
        emit("stopped before the end: run it again to go on")
