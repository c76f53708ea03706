"""`tollhouse stripe …`: its group of commands; here those that fire events for a try and handle what waits for staff."""

import asyncio
import sys
from typing import Annotated

import msgspec
import typer

from tollhouse.billing import actions as billing
from tollhouse.billing.counting import is_signature_refused
from tollhouse.billing.firing import Report, Target, fire
from tollhouse.catalog import Catalog, Configuration
from tollhouse.cli.at_stripe import at_stripe
from tollhouse.cli.database import in_transaction, known_configuration, opened
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table, tell
from tollhouse.cli.payments import payments
from tollhouse.cli.reconcile import reconcile
from tollhouse.cli.stripe_listen import listen
from tollhouse.cli.stripe_pause import pause, resume
from tollhouse.cli.stripe_rollback import rollback
from tollhouse.cli.stripe_setup import setup
from tollhouse.cli.stripe_show import show
from tollhouse.cli.stripe_validate import validate
from tollhouse.cli.unmapped import unmapped
from tollhouse.customers.actions import create_or_get, resolve
from tollhouse.customers.model import NewCustomer
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import ConfigurationError, InvalidRequest
from tollhouse.ledger.views import MeterView
from tollhouse.store.inbox import Event

TRIGGER_EMAIL = "trigger@example.com"
MOST_LISTED = 1_000
STILL_REFUSED = (
    "warning: the last webhook from Stripe was refused for its signature, and none has come since that proves"
    " STRIPE_WEBHOOK_SECRET right; what is replayed is applied all the same\nfix: `tollhouse stripe validate` says whether"
    " the secret is the endpoint's own; if it is, the next webhook ends this warning\n"
)


def register(app: typer.Typer) -> None:
    """Adds `stripe` with its commands."""
    group = typer.Typer(
        help="Stripe: set it up, check it, fire events, replay what waits, compare.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("setup")(setup)
    group.command("validate")(validate)
    group.command("listen")(listen)
    group.command("trigger")(trigger)
    group.command("events")(events)
    group.command("replay")(replay)
    group.command("reconcile")(reconcile)
    group.command("rollback")(rollback)
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("payments")(payments)
    group.command("show")(show)
    group.command("unmapped")(unmapped)
    app.add_typer(group, name="stripe")


def trigger(
    event: Annotated[str, typer.Argument(help="The event's type, such as checkout.session.completed.")],
    url: Annotated[str | None, typer.Option(help="The running instance.", show_default="the setting url")] = None,
    customer: Annotated[
        str | None,
        typer.Option(help="Whom it is about: a cus_ id or your own id.", show_default="a customer of its own"),
    ] = None,
    plan: Annotated[
        str | None, typer.Option(help="The plan that is bought.", show_default="the first paid one")
    ] = None,
    wait: Annotated[float, typer.Option(help="Seconds to watch the result.", min=0, max=600)] = 15.0,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Fire an event of the sandbox at a running instance, and show what came of it. Exit status 1 when it was not handled."""
    found = known_configuration(config)
    target = _target(found, url)
    report = asyncio.run(_fire(found, target, event, customer, plan, wait))
    if as_json:
        emit_json({"settled": report.settled, **msgspec.structs.asdict(report)})
    else:
        _show(report)
    if not report.settled:
        raise typer.Exit(1)


def _target(found: Configuration, url: str | None) -> Target:
    stripe = found.settings.stripe
    if stripe.api_base is None:
        raise ConfigurationError(
            "events are fired by the sandbox, and STRIPE_API_BASE names none",
            setting="STRIPE_API_BASE",
            fix="use the settings of `tollhouse demo`; for Stripe's own test mode there is `stripe trigger`",
        )
    if not stripe.webhook_secrets:
        raise ConfigurationError(
            "STRIPE_WEBHOOK_SECRET is not set",
            setting="STRIPE_WEBHOOK_SECRET",
            fix="set it to what the instance verifies",
        )
    return Target(stripe.api_base.rstrip("/"), url or found.settings.url, stripe.webhook_secrets[0].reveal())


async def _fire(
    found: Configuration, target: Target, event: str, reference: str | None, plan: str | None, wait: float
) -> Report:
    async with at_stripe(found) as (store, catalog, gateway):
        async with store.transaction() as tx:
            if reference is None:
                new = NewCustomer(TRIGGER_EMAIL, None, "Trigger")
                customer = (await create_or_get(tx, catalog, new, store.clock.now_ms())).customer
            else:
                customer = await resolve(tx, reference)
        await billing.ensure_prices(store, gateway, catalog)
        key = _lookup_key(catalog, plan)
        return await fire(store, catalog, gateway, target, event, customer, lookup_key=key, wait_seconds=wait)


def _lookup_key(catalog: Catalog, plan: str | None) -> str | None:
    sold = [known for known in catalog.on_sale if known.prices]
    for known in sold:
        if plan is None or known.plan == plan:
            return known.prices[0].lookup_key
    if plan is None:
        return None
    names = ", ".join(known.plan for known in sold)
    raise InvalidRequest(f"no plan {plan!r} is sold", code="unknown_plan", fix=f"name one of: {names}")


def _show(report: Report) -> None:
    rows = [[shot.type, shot.id, str(shot.http_status), shot.inbox_status, shot.note or ""] for shot in report.shots]
    emit_table("Events", ["event", "id", "answer", "inbox", "note"], rows)
    before, after = report.before, report.after
    changes = [["plan", before.plan, after.plan], ["standing", before.standing, after.standing]]
    for name, meter in after.meters.items():
        changes.append([name, _amounts(before.meters.get(name)), _amounts(meter)])
    emit_table(f"Customer {report.customer}", ["", "before", "after"], changes)
    if not report.settled:
        tell(
            "not everything was handled: is a worker running (`tollhouse serve`), and is STRIPE_WEBHOOK_SECRET its own?"
        )


def _amounts(meter: MeterView | None) -> str:
    if meter is None:
        return "none"
    total = "unlimited" if meter.total is None else str(meter.total)
    return f"{meter.used} used of {total}"


def events(
    status: Annotated[str, typer.Option(help="parked, pending or done.")] = "parked",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Stripe's events in this status, the newest first, each with its error."""
    if status not in ("parked", "pending", "done"):
        raise InvalidRequest(
            f"there is no status {status!r}", code="unknown_status", fix="name parked, pending or done"
        )
    found = asyncio.run(in_transaction(known_configuration(config), lambda tx, _: billing.list_events(tx, status)))
    if as_json:
        emit_json({"items": [_document(event) for event in found]})
        return
    rows = [
        [event.id, event.type, event.subject, rfc3339(event.received_at), str(event.attempts), event.error or ""]
        for event in found
    ]
    if not rows:
        tell("nothing waits" if status != "done" else "nothing has come yet")
        return
    emit_table(f"Events: {status}", ["id", "type", "about", "received", "attempts", "error"], rows)


def _document(event: Event) -> dict[str, object]:
    return {
        "id": event.id,
        "type": event.type,
        "subject": event.subject,
        "status": event.status,
        "received_at": rfc3339(event.received_at),
        "attempts": event.attempts,
        "error": event.error,
    }


def replay(
    event: Annotated[str | None, typer.Argument(help="The event's id (evt_…).")] = None,
    all_parked: Annotated[bool, typer.Option("--all", help="Every parked event.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Let parked events be handled again, once their cause is mended."""
    if (event is None) == (not all_parked):
        raise InvalidRequest(
            "name one event, or --all", code="invalid_request", fix="`tollhouse stripe events` lists them"
        )
    replayed, refused = asyncio.run(_replay(known_configuration(config), event))
    if refused:
        sys.stderr.write(STILL_REFUSED)
    if as_json:
        emit_json({"replayed": replayed})
    else:
        emit(f"{replayed} to be handled again")


async def _replay(found: Configuration, event: str | None) -> tuple[int, bool]:
    """How many, and whether the last webhook was refused."""
    async with opened(found) as store, store.transaction() as tx:
        waiting = [event] if event else [kept.id for kept in await billing.list_events(tx, "parked", most=MOST_LISTED)]
        now = store.clock.now_ms()
        number = sum([await billing.replay(tx, name, now) for name in waiting])
        return number, await is_signature_refused(tx, now)
