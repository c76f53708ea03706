"""`tollhouse stripe listen`: Stripe's test events for an instance on one's own machine."""

import asyncio
import contextlib
import time
from typing import Annotated

import typer

from tollhouse.billing.listening import Forwarded, Listener, secret_to_sign_with
from tollhouse.catalog import Configuration
from tollhouse.cli.at_stripe import only_stripe
from tollhouse.cli.config import configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, emit, tell

PLACE_FILE = "stripe.listen.json"


def listen(
    url: Annotated[str | None, typer.Option(help="The running instance.", show_default="the setting url")] = None,
    once: Annotated[bool, typer.Option("--once", help="Forward what is there, then end.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
) -> None:
    """Forward a test account's events to a running instance, from where it stopped, until it is interrupted."""
    found = configuration(config, "data")
    tell(f"forwarding to {url or found.settings.url}; Ctrl-C ends it")
    with contextlib.suppress(KeyboardInterrupt):
        number = asyncio.run(_listen(found, url, once, config))
        emit(f"{number} forwarded")


async def _listen(found: Configuration, url: str | None, once: bool, config: ConfigOption) -> int:
    secret = secret_to_sign_with(tuple(secret.reveal() for secret in found.settings.stripe.webhook_secrets))
    async with only_stripe(found) as gateway:
        listener = Listener(
            gateway, url or found.settings.url, secret, config.parent / PLACE_FILE,
            now_seconds=lambda: int(time.time()), told=_told,
        )  # fmt: skip
        return await listener.run(once=once)


def _told(what: Forwarded | str) -> None:
    if isinstance(what, Forwarded):
        emit(f"{what.id}\t{what.type}\t{what.status}")
    else:
        typer.echo(what, err=True)
