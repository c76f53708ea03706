"""`tollhouse serve`: the product, its background work and its pages in one process; `--workers` for several."""

from typing import Annotated

import typer

from tollhouse.cli.config import configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, tell
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.serving import serve as run
from tollhouse.settings.logs import configure_logging


def register(app: typer.Typer) -> None:
    """Adds `serve`."""
    app.command("serve")(serve)


def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    host: Annotated[str | None, typer.Option(help="The address to listen on (setting HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on (setting PORT).", min=1, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; above 1 only with PostgreSQL.", min=1, max=64)] = None,
) -> None:
    """Serve the API, the pages and the background work until SIGTERM, then drain."""
    found = configuration(config, "serve")
    settings = found.settings
    processes = workers or settings.server.workers
    if processes > 1 and settings.database_url.reveal().startswith("sqlite:"):
        raise ConfigurationError(
            f"{processes} workers cannot share SQLite", setting="WORKERS",
            fix="serve with one worker, or set DATABASE_URL to a PostgreSQL database",
        )  # fmt: skip
    configure_logging(settings)
    address, number = host or settings.server.host, port or settings.server.port
    tell(f"serving {found.catalog.product.name} ({settings.environment}) on http://{address}:{number}")
    run(found, config, host=address, port=number, workers=processes)
