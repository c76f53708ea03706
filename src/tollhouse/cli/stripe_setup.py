"""`tollhouse stripe setup`: everything that is sold, the webhook endpoint and the portal, at Stripe."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tollhouse.billing.exporting import Form, export, variables_of
from tollhouse.billing.furnishing import Installer, SetUp
from tollhouse.billing.ids_file import Ids, ids_path, read_ids, write_ids
from tollhouse.billing.wanted import in_words
from tollhouse.catalog import Configuration
from tollhouse.cli.at_stripe import at_stripe, only_stripe
from tollhouse.cli.config import configuration
from tollhouse.cli.database import known_configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table
from tollhouse.kernel.errors import InvalidRequest

CHANGES = 2
"""Exit status of `--plan` when there is something to do."""
WORDS = {"created": "create", "updated": "update", "replaced": "replace", "adopted": "adopt", "found": "nothing"}


def setup(
    plan: Annotated[bool, typer.Option("--plan", help="Show what would be done, and do nothing.")] = False,
    form: Annotated[
        str | None, typer.Option("--export", help="Write what has to be set in the environment: dotenv or json.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="The file that it is written into.", show_default="standard output")
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Create and update products, prices, webhook endpoint and portal from the catalogue; run again it changes nothing.

    With --plan the exit status is 2 when there is something to do, else 0.
    """
    wanted = _form(form, to, plan)
    found = configuration(config, "data") if plan else known_configuration(config)
    path = ids_path(config, live=_is_live(found))
    done = asyncio.run(_plan(found, path) if plan else _set_up(found, path))
    changes = done.changes + (read_ids(path) != done.ids)
    if plan:
        _show_plan(done, changes, as_json)
        raise typer.Exit(CHANGES if changes else 0)
    if wanted is not None:
        kept = done.secret is None and done.endpoint.id is not None
        export(variables_of(done), wanted, to, sys.stdout, secret_kept=kept)
    if wanted is None or to is not None:
        _show(done, path, as_json, secret=wanted is None)
    sys.stdout.flush()
    write_ids(path, done.ids)  # only now is the secret handed over: a run that ends before is told it again


def _form(form: str | None, to: Path | None, plan: bool) -> Form | None:
    if form is None:
        if to is not None:
            raise InvalidRequest("--to names a file and nothing is exported", fix="add --export dotenv, or json")
        return None
    if form not in ("dotenv", "json"):
        raise InvalidRequest(f"there is no form {form!r}", fix="write --export dotenv, or --export json")
    if plan:
        raise InvalidRequest("--plan does nothing that could be exported", fix="leave out one of --plan and --export")
    return "dotenv" if form == "dotenv" else "json"


def _is_live(found: Configuration) -> bool:
    key = found.settings.stripe.secret_key
    return key is not None and "_live_" in key.reveal()[:8]


async def _plan(found: Configuration, path: Path) -> SetUp:
    async with only_stripe(found) as gateway:
        known, now = read_ids(path), int(time.time() * 1000)
        return await Installer(
            gateway, found.catalog, found.settings, known, store=None, keep=_keep_nothing, now=now
        ).run()


def _keep_nothing(ids: Ids) -> None:
    raise AssertionError("a plan keeps nothing")


async def _set_up(found: Configuration, path: Path) -> SetUp:
    async with at_stripe(found) as (store, catalog, gateway):
        known, now = read_ids(path), int(time.time() * 1000)
        return await Installer(
            gateway, catalog, found.settings, known, store=store, keep=lambda ids: write_ids(path, ids), now=now
        ).run()


Line = tuple[str, str, str, str, str]


def _lines(done: SetUp) -> list[Line]:
    """What, which, id, outcome, detail: in the order in which they are done."""
    lines: list[Line] = [
        ("product", product.plan, product.product, product.outcome, product.detail) for product in done.products
    ]
    for price in done.prices:
        name = f"{price.plan}, {in_words(price.amount_minor, price.currency, price.every)}"
        lines.append(("price", name, price.price or "", price.outcome, price.detail))
    for kind, one in (("webhook endpoint", done.endpoint), ("portal", done.portal)):
        lines.append((kind, one.name, one.id or "", one.outcome, one.detail))
    return lines


def _document(done: SetUp, changes: int) -> dict[str, object]:
    document: dict[str, object] = {
        "mode": done.mode,
        "account": done.account,
        "changes": changes,
        "products": done.products,
        "prices": done.prices,
        "webhook_endpoint": done.endpoint,
        "portal": done.portal,
    }
    return {name: msgspec.to_builtins(value) for name, value in document.items()}


def _show_plan(done: SetUp, changes: int, as_json: bool) -> None:
    if as_json:
        emit_json(_document(done, changes))
        return
    rows = [[WORDS.get(line[3], line[3]), *line[:3], line[4]] for line in _lines(done) if line[3] != "found"]
    if rows:
        emit_table(f"To do at Stripe ({done.mode} mode, {done.account})", ["do", "what", "which", "id", "why"], rows)
    if changes > done.changes:
        emit(f"write\tstripe.{done.mode}.json")
    emit(f"{changes} to do" if changes else "nothing to do")


def _show(done: SetUp, path: Path, as_json: bool, *, secret: bool) -> None:
    if as_json:
        told = {"webhook_secret": done.secret} if done.secret and secret else {}
        emit_json({**_document(done, done.changes), "file": str(path), **told})
        return
    rows = [list(line) for line in _lines(done)]
    emit_table(f"At Stripe ({done.mode} mode, {done.account})", ["what", "which", "id", "outcome", "detail"], rows)
    if done.secret and secret:
        emit(f"STRIPE_WEBHOOK_SECRET={done.secret}")
        sys.stderr.write("Keep this secret now: it is not shown again.\n")
