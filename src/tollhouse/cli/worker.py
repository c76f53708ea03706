"""`tollhouse worker`: the background work apart from `serve`; any number may run on PostgreSQL."""

import asyncio
import signal

import typer

from tollhouse.bootstrap import housekeeping, open_house
from tollhouse.catalog import Configuration
from tollhouse.cli.config import configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, tell
from tollhouse.serving import check_schema
from tollhouse.settings.logs import configure_logging
from tollhouse.worker import jobs_of
from tollhouse.worker.jobs import run_jobs


def register(app: typer.Typer) -> None:
    """Adds `worker`."""
    app.command("worker")(worker)


def worker(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Handle webhooks, send e-mails, turn periods, until SIGTERM; then finish what is being done."""
    found = configuration(config, "serve")
    check_schema(found.settings)
    configure_logging(found.settings)
    tell(f"working for {found.catalog.product.name} ({found.settings.environment})")
    asyncio.run(_work(found))


async def _work(found: Configuration) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with open_house(found) as house:
        await run_jobs([*housekeeping(house), *jobs_of(house)], stopping)
