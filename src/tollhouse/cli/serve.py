"""`tollhouse serve`: the product, its background work and its pages in one process; `--workers` for several."""

import socket
import sys
import threading
import time
from typing import Annotated

import structlog
import typer

from tollhouse.billing.stripe import FIXES
from tollhouse.cli.config import configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, emit, tell
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.serving import check_port, check_schema
from tollhouse.serving import serve as run
from tollhouse.settings import Settings
from tollhouse.settings.logs import configure_logging

LOOK_SECONDS = 0.1
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}

log = structlog.get_logger(__name__)


def register(app: typer.Typer) -> None:
    """Adds `serve`."""
    app.command("serve")(serve)


def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    host: Annotated[str | None, typer.Option(help="The address to listen on (setting HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on (setting PORT).", min=1, max=65535)] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; above 1 only with PostgreSQL.", min=1, max=64)] = None,
) -> None:
    """Serve the API, the pages and the background work until SIGTERM, then drain. `ready http://…` says that it listens."""
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
    tell(f"serving {found.catalog.product.name} ({settings.environment})")
    check_schema(settings)
    check_port(address, number)
    _warn_of_gaps(settings)
    threading.Thread(target=_say_when_ready, args=(address, number), name="ready", daemon=True).start()
    run(found, config, host=address, port=number, workers=processes)


def _warn_of_gaps(settings: Settings) -> None:
    """What is set by halves, in the log of every start."""
    stripe = settings.stripe
    if stripe.secret_key is not None and not stripe.webhook_secrets:
        meaning = "every webhook of Stripe is refused: what is paid takes no effect"
        log.warning("setting.missing", setting="STRIPE_WEBHOOK_SECRET", meaning=meaning, fix=FIXES["no_secret"])
    if stripe.alert_email is not None and settings.mail.smtp_url is None:
        meaning = "letters to STRIPE_ALERT_EMAIL are kept and not sent"
        fix = "set SMTP_URL to smtp://user:password@host:587: what was kept is sent then"
        log.warning("setting.missing", setting="SMTP_URL", meaning=meaning, fix=fix)


def _say_when_ready(host: str, port: int) -> None:
    """Once something listens there; several processes say it once."""
    name = f"[{host}]" if ":" in host else host
    while True:
        try:
            socket.create_connection((EVERYWHERE.get(host, host), port), timeout=5).close()
        except OSError:
            time.sleep(LOOK_SECONDS)
        else:
            emit(f"ready http://{name}:{port}")
            sys.stdout.flush()  # whoever reads it through a pipe waits for this line
            return
