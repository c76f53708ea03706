"""`tollhouse webhooks list|show|replay`: the events that Stripe sent, looked for, read, handled again."""

import asyncio
import json
import sys
from typing import Annotated

import typer

from tollhouse.billing.actions import read_event, replay
from tollhouse.billing.events import (
    EventLine,
    count_events,
    find_events,
    masked_payload,
    read_filter,
    replay_all,
    view_event,
)
from tollhouse.cli.database import in_transaction, known_configuration, opened
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table, tell
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.store import Tx
from tollhouse.store.inbox import Event

StatusOption = Annotated[str, typer.Option(help="parked, pending, done or all.")]
TypeOption = Annotated[str, typer.Option("--type", help="invoice.paid, or invoice.* for all of a kind.")]
CustomerOption = Annotated[str, typer.Option(help="A cus_ id, Stripe's or ours, or your own id.")]
SinceOption = Annotated[str, typer.Option(help="From this day or time on, such as 2026-11-28.")]
UntilOption = Annotated[str, typer.Option(help="Up to the end of this day, or to this time.")]
SearchOption = Annotated[
    str,
    typer.Option(help="An id, or a part of a type or an error (of the last 30 days, unless parked or you say since)."),
]


def register(app: typer.Typer) -> None:
    """Adds `webhooks` with its commands."""
    group = typer.Typer(
        help="The events that Stripe sent: list, show, replay.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("list")(list_webhooks)
    group.command("show")(show)
    group.command("replay")(replay_webhooks)
    app.add_typer(group, name="webhooks")


def list_webhooks(
    status: StatusOption = "parked",
    kind: TypeOption = "",
    customer: CustomerOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    search: SearchOption = "",
    before: Annotated[str, typer.Option(help="Go on where a page ended: its `next`.")] = "",
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=10_000)] = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Events, the newest first, each with its error."""
    given = _given(status, kind, customer, since, until, search)
    read_filter(given)

    async def work(tx: Tx, now: int) -> list[EventLine]:
        return await find_events(tx, read_filter(given, now), before=before, most=limit + 1)

    found = asyncio.run(in_transaction(known_configuration(config), work))
    page = found[:limit]
    following = page[-1].place if len(found) > limit else None
    if as_json:
        emit_json({"items": [view_event(event) for event in page], "next": following})
        return
    rows = [
        [event.id, event.type, event.subject, event.status, rfc3339(event.received_at), str(event.attempts), event.error or ""]
        for event in page
    ]  # fmt: skip
    emit_table("Events", ["id", "type", "about", "status", "received", "attempts", "error"], rows, right=["attempts"])
    if following:
        tell(f"there are more: --before {following}")


def show(
    event: Annotated[str, typer.Argument(help="The event's id (evt_…).", show_default=False)],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """One event: how it stands, its error, and what Stripe sent, without secrets and card details."""

    async def work(tx: Tx, now: int) -> Event:
        return await read_event(tx, event)

    found = asyncio.run(in_transaction(known_configuration(config), work))
    payload = masked_payload(found.payload)
    if as_json:
        emit_json({"event": view_event(found), "payload": payload})
        return
    view = view_event(found)
    rows = [[name, str(getattr(view, name) or "")] for name in view.__struct_fields__]
    emit_table("Event", ["", ""], rows)
    emit(payload if isinstance(payload, str) else json.dumps(payload, indent=2, ensure_ascii=False))


def replay_webhooks(
    event: Annotated[str, typer.Argument(help="The event's id (evt_…).")] = "",
    every: Annotated[
        bool, typer.Option("--all", help="Every event that matches; without a filter, all parked.")
    ] = False,
    status: StatusOption = "parked",
    kind: TypeOption = "",
    customer: CustomerOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    search: SearchOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Let events be handled again. That is always safe: what Stripe says now is applied, once."""
    given = _given(status, kind, customer, since, until, search)
    if bool(event) == every:
        raise InvalidRequest("name one event, or --all", fix="`tollhouse webhooks list` shows them")
    if event and given != {"status": "parked"}:
        raise InvalidRequest("a filter goes with --all", fix="name the event alone, or leave it out")
    wanted, found = read_filter(given), known_configuration(config)

    async def count(tx: Tx, now: int) -> int:
        return await count_events(tx, wanted)

    async def one(tx: Tx, now: int) -> int:
        return int(await replay(tx, event, now))

    async def all_of_them() -> int:
        async with opened(found) as store:
            return await replay_all(store, read_filter(given, store.clock.now_ms()))

    if every and not yes and sys.stdin.isatty():
        number = None if wanted.search else asyncio.run(in_transaction(found, count))
        if number != 0:
            many = "All that match" if number is None else f"{number} events"
            typer.confirm(f"{many} are handled again. Go on?", abort=True)
    number = asyncio.run(all_of_them() if every else in_transaction(found, one))
    if as_json:
        emit_json({"replayed": number})
    else:
        emit(f"{number} to be handled again")


def _given(status: str, kind: str, customer: str, since: str, until: str, search: str) -> dict[str, str]:
    given = {"status": status, "type": kind, "customer": customer, "since": since, "until": until, "search": search}
    return {name: text for name, text in given.items() if text}
