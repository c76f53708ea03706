"""`tollhouse hooks add|list|rotate|disable|enable|remove|deliveries|replay|test`: webhooks out. `serve` may run meanwhile."""

import asyncio
import getpass
from typing import Annotated

import msgspec
import typer

from tollhouse.alerts.hooks import actions
from tollhouse.alerts.hooks.delivering import Deliverer
from tollhouse.alerts.hooks.events import EVENTS
from tollhouse.alerts.hooks.model import KEPT_MS, Attempt, Delivery, Endpoint
from tollhouse.alerts.hooks.opening import open_hooks
from tollhouse.alerts.hooks.sending import Answer, Sender
from tollhouse.catalog import Configuration
from tollhouse.cli.database import in_transaction, known_configuration, opened
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table, tell
from tollhouse.kernel.clock import DAY, parse_rfc3339, rfc3339
from tollhouse.kernel.durations import parse_duration
from tollhouse.kernel.errors import Conflict, InvalidRequest
from tollhouse.store import Tx

COUNTED_DAYS = 7

EndpointArgument = Annotated[str, typer.Argument(help="The endpoint's id (hke_…).", show_default=False)]


def register(app: typer.Typer) -> None:
    """Adds `hooks` with its commands."""
    group = typer.Typer(
        help="Webhooks out: your servers hear what happened.", no_args_is_help=True, rich_markup_mode=None
    )
    for name, command in (
        ("add", add), ("list", list_), ("rotate", rotate), ("disable", disable), ("enable", enable), ("remove", remove),
        ("deliveries", deliveries), ("replay", replay), ("test", try_out),
    ):  # fmt: skip
        group.command(name)(command)
    app.add_typer(group, name="hooks")


def add(
    url: Annotated[str, typer.Argument(help="Where they go: https://…", show_default=False)],
    event: Annotated[
        list[str] | None, typer.Option("--event", help="Only this event; may be repeated.", show_default="all")
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Add an endpoint. Its secret is shown once, here."""
    found = known_configuration(config)
    hooks = open_hooks(found.settings)

    async def work(tx: Tx, now: int) -> actions.Added:
        return await actions.add_endpoint(
            tx, hooks.vault, hooks.reach, url, events=tuple(event or ()), description=description,
            by_whom=getpass.getuser(), now=now,
        )  # fmt: skip

    _show_secret(asyncio.run(in_transaction(found, work)), as_json)


def list_(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Every endpoint, with what became of the last seven days' deliveries."""

    async def work(tx: Tx, now: int) -> list[tuple[Endpoint, dict[str, int]]]:
        since = now - COUNTED_DAYS * DAY
        return [(one, await actions.counts_of(tx, one.id, since)) for one in await actions.list_endpoints(tx)]

    found = asyncio.run(in_transaction(known_configuration(config), work))
    if as_json:
        emit_json({"items": [{**_document(one), "last_7_days": counts} for one, counts in found]})
        return
    rows = [
        [
            one.id, one.url, ", ".join(one.events) or "all", _state(one), *(str(number) for number in counts.values()),
            one.description,
        ]
        for one, counts in found
    ]  # fmt: skip
    columns = ["id", "address", "events", "state", "waiting", "delivered", "failed", "for"]
    emit_table("Webhooks out, deliveries of 7 days", columns, rows, right=["waiting", "delivered", "failed"])


def rotate(
    endpoint: EndpointArgument,
    overlap: Annotated[str, typer.Option(help="How long the old secret signs as well: 0s to 7d.")] = "24h",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Make another secret, shown once. Until the overlap is over every webhook carries a signature by each."""
    found = known_configuration(config)
    hooks, overlap_ms = open_hooks(found.settings), _duration(overlap)

    async def work(tx: Tx, now: int) -> actions.Added:
        return await actions.rotate_secret(tx, hooks.vault, endpoint, overlap_ms=overlap_ms, now=now)

    _show_secret(asyncio.run(in_transaction(found, work)), as_json)


def disable(
    endpoint: EndpointArgument,
    reason: Annotated[str, typer.Option(help="Why; it is shown with the endpoint.")] = "disabled by staff",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Send nothing more. What happens meanwhile is kept for a replay. Again it changes nothing."""
    found = known_configuration(config)
    _show(
        asyncio.run(in_transaction(found, lambda tx, now: actions.disable_endpoint(tx, endpoint, reason, now))), as_json
    )


def enable(endpoint: EndpointArgument, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Send again from now on, and say what was missed."""
    found = known_configuration(config)
    done = asyncio.run(in_transaction(found, lambda tx, _: actions.enable_endpoint(tx, endpoint)))
    if as_json:
        since = None if done.missed_since is None else rfc3339(done.missed_since)
        emit_json({**_document(done.endpoint), "missed": done.missed, "missed_since": since})
        return
    emit(f"{done.endpoint.id} is {_state(done.endpoint)}")
    if done.missed and done.missed_since is not None:
        replaying = f"tollhouse hooks replay {done.endpoint.id} --since {rfc3339(done.missed_since)}"
        emit(f"{done.missed} deliveries were missed; send them with: {replaying}")


def remove(
    endpoint: EndpointArgument,
    yes: Annotated[bool, typer.Option("--yes", help="It is meant.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Remove an endpoint with its secret and its deliveries."""
    if not yes:
        raise Conflict(
            "its secret and its deliveries would be gone for good", code="removal_not_confirmed",
            fix=f"add --yes, or keep them with `tollhouse hooks disable {endpoint}`",
        )  # fmt: skip
    found = known_configuration(config)
    gone = asyncio.run(in_transaction(found, lambda tx, _: actions.remove_endpoint(tx, endpoint)))
    if as_json:
        emit_json(_document(gone))
    else:
        emit(f"{gone.id} is removed: {gone.url}")


def deliveries(
    endpoint: EndpointArgument,
    event: Annotated[
        str | None, typer.Argument(help="Only this event (evt_…), with its attempts.", show_default="all")
    ] = None,
    status: Annotated[str | None, typer.Option(help="waiting, delivered or failed.")] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 50,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """What was sent to an endpoint, the newest first; of one event every attempt and the body."""
    found = known_configuration(config)
    if event is not None:
        one = asyncio.run(in_transaction(found, lambda tx, _: actions.read_delivery(tx, endpoint, event)))
        _show_delivery(*one, as_json)
        return
    items = asyncio.run(
        in_transaction(found, lambda tx, _: actions.list_deliveries(tx, endpoint, status=status, most=limit))
    )
    if as_json:
        emit_json({"items": [_delivery(item) for item in items]})
        return
    rows = [
        [
            item.event, item.type, item.customer or "", item.status, str(item.attempts), str(item.answered or ""),
            rfc3339(item.created_at), rfc3339(item.due_at) if item.status == "waiting" else "", item.error or "",
        ]
        for item in items
    ]  # fmt: skip
    columns = ["event", "type", "customer", "status", "attempts", "answer", "since", "next", "error"]
    emit_table(f"Deliveries to {endpoint}", columns, rows, right=["attempts", "answer"])


def replay(
    endpoint: EndpointArgument,
    event: Annotated[
        str | None, typer.Argument(help="This event, whatever became of it.", show_default="all that failed")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Of what failed only what happened since: a time (RFC 3339), or 3d for three days ago."),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Send again, with the same ids: one event, or all that failed. The worker of `serve` sends them."""
    if event is not None and since is not None:
        raise InvalidRequest("both an event and --since were given", code="invalid_hook", fix="choose one of them")

    async def work(tx: Tx, now: int) -> int:
        if event is None:
            return await actions.replay_failed(tx, endpoint, _since(since, now), now)
        await actions.replay_delivery(tx, endpoint, event, now)
        return 1

    number = asyncio.run(in_transaction(known_configuration(config), work))
    if as_json:
        emit_json({"replayed": number})
    else:
        emit(f"{number} to be sent again")


def try_out(endpoint: EndpointArgument, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Send a hook.test to an endpoint now and show what it answers. Status 0 when it was taken."""
    event, answer = asyncio.run(_test(known_configuration(config), endpoint))
    if as_json:
        emit_json({"event": event, **msgspec.structs.asdict(answer), "ok": answer.ok})
    elif answer.ok:
        emit(f"{event} was taken: {answer.status} after {answer.took_ms} ms")
    else:
        emit(f"{event} was not taken after {answer.took_ms} ms: {answer.error}")
    if not answer.ok:
        raise typer.Exit(1)


async def _test(found: Configuration, endpoint: str) -> tuple[str, Answer]:
    hooks = open_hooks(found.settings)
    async with opened(found) as store:
        deliverer = Deliverer(store, hooks.vault, Sender(hooks.reach))
        try:
            async with store.transaction() as tx:
                event = await actions.put_test(tx, endpoint, store.clock.now_ms())
            answer = await deliverer.deliver_one(endpoint, event)
        finally:
            await deliverer.close()
    if answer is None:
        raise Conflict(
            f"the worker of `serve` is sending {event} already", code="hook_busy",
            fix=f"see what came of it: tollhouse hooks deliveries {endpoint} {event}",
        )  # fmt: skip
    return event, answer


def _since(text: str | None, now: int) -> int:
    """Milliseconds of a time, or of so long ago; without it everything that is kept."""
    if text is None:
        return now - KEPT_MS
    try:
        return parse_rfc3339(text) if "T" in text else now - parse_duration(text)
    except ValueError:
        raise InvalidRequest(
            f"{text!r} is no time", code="invalid_time", fix="write 2026-11-20T10:00:00Z, or 3d for three days ago"
        ) from None


def _duration(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidRequest(str(error), code="invalid_hook", fix="write --overlap 24h") from None


def _show_secret(added: actions.Added, as_json: bool) -> None:
    if as_json:
        emit_json({**_document(added.endpoint), "secret": added.secret})
        return
    tell("the secret is shown once: keep it where the receiver reads it")
    emit(f"{added.endpoint.id} {added.secret}")


def _show(endpoint: Endpoint, as_json: bool) -> None:
    if as_json:
        emit_json(_document(endpoint))
    else:
        emit(f"{endpoint.id} is {_state(endpoint)}")


def _state(endpoint: Endpoint) -> str:
    if endpoint.disabled_at is not None:
        return f"disabled: {endpoint.disabled_why}"
    if endpoint.failing_since is not None:
        return f"failing since {rfc3339(endpoint.failing_since)}"
    return "enabled"


def _show_delivery(item: Delivery, payload: str, attempts: list[Attempt], as_json: bool) -> None:
    if as_json:
        tried = [{**msgspec.structs.asdict(attempt), "at": rfc3339(attempt.at)} for attempt in attempts]
        emit_json({**_delivery(item), "payload": msgspec.Raw(payload.encode()), "tried": tried})
        return
    emit(f"{item.event} {item.type} is {item.status}")
    emit(msgspec.json.format(payload, indent=2))
    rows = [
        [
            rfc3339(attempt.at), f"{attempt.took_ms} ms", str(attempt.answered or ""), attempt.error or "taken",
            attempt.answer,
        ]
        for attempt in attempts
    ]  # fmt: skip
    emit_table("Attempts", ["at", "took", "answer", "came of it", "said"], rows)


def _document(endpoint: Endpoint) -> dict[str, object]:
    times = ("created_at", "secret_at", "disabled_at", "failing_since", "old_secret_until")
    fields = msgspec.structs.asdict(endpoint)
    told = {name: None if fields[name] is None else rfc3339(fields[name]) for name in times}
    return {**fields, "events": list(endpoint.events) or list(EVENTS), **told, "enabled": endpoint.enabled}


def _delivery(item: Delivery) -> dict[str, object]:
    fields = msgspec.structs.asdict(item)
    times = ("created_at", "due_at", "done_at")
    return {**fields, **{name: None if fields[name] is None else rfc3339(fields[name]) for name in times}}
