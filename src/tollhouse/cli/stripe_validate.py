"""`tollhouse stripe validate`: each check a line, with its fix; exit status 0 when none failed, else 1."""

import asyncio

import typer

from tollhouse.billing.ids_file import ids_path, read_ids
from tollhouse.billing.prices import read_prices
from tollhouse.billing.validating import (
    Finding,
    account_findings,
    no_key,
    of_configuration,
    portal_findings,
    price_findings,
    unmapped_findings,
)
from tollhouse.billing.validating_webhooks import webhook_findings
from tollhouse.catalog import Configuration
from tollhouse.cli.at_stripe import only_stripe
from tollhouse.cli.database import known_configuration, opened
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table
from tollhouse.settings import ConfigurationProblems


def validate(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Check key, account, prices, webhook endpoint, secret, address, portal and clock. Exit status 1 when any failed."""
    try:
        found = known_configuration(config)
    except ConfigurationProblems as problems:
        findings = of_configuration(problems)
    else:
        missing = found.settings.stripe.secret_key is None
        findings = [no_key()] if missing else asyncio.run(_findings(found, config))
    failed = sum(finding.status == "failed" for finding in findings)
    if as_json:
        emit_json({"ok": not failed, "checks": findings})
    else:
        rows = [[one.status, one.check, one.code, one.message, one.fix or ""] for one in findings]
        emit_table("Stripe", ["", "check", "name", "seen", "fix"], rows)
        emit(f"{failed} of {len(findings)} failed" if failed else f"all {len(findings)} passed")
    raise typer.Exit(1 if failed else 0)


async def _findings(found: Configuration, config: ConfigOption) -> list[Finding]:
    settings, catalog = found.settings, found.catalog
    async with only_stripe(found) as gateway, opened(found) as store:
        now = store.clock.now_ms()
        known = read_ids(ids_path(config, live=gateway.live_mode))
        findings, account = await account_findings(gateway, settings, known, now)
        if account is None:
            return findings
        of_prices, prices = await price_findings(gateway, catalog)
        async with store.reading() as tx:
            mapped = await read_prices(tx, catalog)
        return [
            *findings,
            *of_prices,
            *await unmapped_findings(gateway, mapped, prices),
            *await portal_findings(gateway, catalog, prices),
            *await webhook_findings(gateway, settings, store, store.clock.now_ms()),
        ]
