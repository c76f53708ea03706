"""`tollhouse demo`: the product and its sandbox on this machine, with people and history, in one command."""

import asyncio
import importlib.util
import logging
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Annotated

import aiohttp
import msgspec
import structlog
import typer
from rich.console import Console

from tollhouse.bootstrap import open_house
from tollhouse.catalog import Configuration, load_configuration
from tollhouse.cli.demo.history import make_people, project_of
from tollhouse.cli.demo.home import (
    ADMIN_EMAIL,
    USER_EMAIL,
    Home,
    Secrets,
    environment_of,
    locked,
    open_home,
    prepare,
    read_secrets,
    write_description,
    write_dotenv,
    write_secrets,
)
from tollhouse.cli.demo.processes import Child, answering, require_free, running
from tollhouse.cli.demo.purchases import Api, ensure_webhook, make_purchases
from tollhouse.cli.demo.stories import STORIES
from tollhouse.cli.init import PRESETS
from tollhouse.cli.output import emit
from tollhouse.kernel.errors import Unavailable
from tollhouse.settings.logs import log_to_stderr
from tollhouse.settings.problems import listed
from tollhouse.store import schema

MAIL_PORT = re.compile(r"mail on port (\d+)")


def register(app: typer.Typer) -> None:
    """Adds `demo`."""
    app.command("demo")(demo)


def demo(
    preset: Annotated[str, typer.Option(help=f"The product to show: {listed(PRESETS)}.")] = "aurion",
    port: Annotated[int, typer.Option(help="The product's port; the sandbox takes the next.", min=1, max=65534)] = 8787,
    directory: Annotated[Path, typer.Option("--dir", help="Where data and local secrets are kept.")] = Path(".demo"),
) -> None:
    """Run the product and its sandbox on this machine, with people and history, until Ctrl-C.

    Nothing leaves this machine and no account is needed. Run again, it goes on with the same data.
    """
    if importlib.util.find_spec("tollhouse_sandbox") is None:
        raise Unavailable(
            "the sandbox is not installed",
            code="sandbox_missing",
            fix='pip install "tollhouse[demo]", or run `make demo`',
        )
    # What happens in the made-up past is no news; stdout is for the one line that says where the demo is.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )
    other = f"choose other ports: tollhouse demo --port {port + 10 if port < 65_000 else 8787} (or PORT=… make demo)"
    home = open_home(directory, preset)
    with locked(home) as lock:
        require_free(port, "the product", other)
        require_free(port + 1, "the sandbox", other)
        prepare(home)
        log_to_stderr(logging.ERROR)  # what people did in the past is no news
        asyncio.run(_until_stopped(home, port, lock))


async def _until_stopped(home: Home, port: int, lock: int) -> None:
    """Runs the demo until it fails, or until Ctrl-C or SIGTERM asks it to stop."""
    task = asyncio.create_task(_run(home, port, lock))
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not stopped:
            raise


async def _run(home: Home, port: int, lock: int) -> None:
    url, sandbox_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
    known, console = read_secrets(home), Console(stderr=True)
    async with AsyncExitStack() as stack:
        timeout = aiohttp.ClientTimeout(total=30)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout, trust_env=False))
        with _step(console, "starting the sandbox: Stripe and mail"):
            arguments = ["serve", "--port", str(port + 1), "--data", str(home.sandbox_data)]
            sandbox = await stack.enter_async_context(
                running("the sandbox", "tollhouse_sandbox", arguments, home.folder / "sandbox.log", lock=lock)
            )
            await answering(http, sandbox, f"{sandbox_url}/_sandbox/clock")
            endpoint, secret = await ensure_webhook(Api(http, url, sandbox_url, known), url, known)
        known = write_secrets(home, msgspec.structs.replace(known, webhook_endpoint=endpoint, webhook_secret=secret))
        environment = environment_of(home, known, url, sandbox_url, _mail_port(sandbox))
        write_dotenv(home, environment)
        configuration = load_configuration(home.config, environment)
        with _step(console, "bringing the schema up to date"):
            schema.upgrade(home.database_url)
        known, project_key, customers = await _people(home, known, configuration, console)
        with _step(console, f"starting {configuration.catalog.product.name}"):
            arguments = ["serve", "--config", str(home.config), "--host", "127.0.0.1", "--port", str(port)]
            product = await stack.enter_async_context(
                running(
                    "the product", "tollhouse", arguments, home.folder / "serve.log", lock=lock, environment=environment
                )
            )
            await answering(http, product, f"{url}/health")
        if not known.finished:
            with _step(console, "buying plans at the sandbox"):
                api = Api(http, url, sandbox_url, known)
                await make_purchases(api, configuration.catalog, customers, STORIES[home.preset].afterwards)
            known = write_secrets(home, msgspec.structs.replace(known, finished=True))
        write_description(home, _description(url, sandbox_url, known, project_key, customers[USER_EMAIL]))
        _hint(console, home, known, sandbox_url)
        emit(f"ready {url}")
        sys.stdout.flush()  # whoever reads it through a pipe waits for this line
        ended = [asyncio.create_task(child.ended()) for child in (sandbox, product)]
        done, _ = await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        raise done.pop().result()


async def _people(
    home: Home, known: Secrets, configuration: Configuration, console: Console
) -> tuple[Secrets, str, dict[str, str]]:
    """(secrets, the user's project key, customers by e-mail); people and their past are made at the first run."""
    story = STORIES[home.preset]
    async with open_house(configuration) as house:
        if known.secret_key is None:
            with _step(console, "making people and their last days"):
                key = await make_people(house, known, story)
            known = write_secrets(home, msgspec.structs.replace(known, secret_key=key))
        found = {email: await project_of(house, email) for email in story.deeds}
    return known, found[USER_EMAIL][1], {email: customer for email, (customer, _) in found.items()}


def _mail_port(sandbox: Child) -> int:
    found = MAIL_PORT.search(sandbox.output())
    if found is None:
        raise Unavailable("the sandbox does not say where it takes mail", fix=f"read {sandbox.log}")
    return int(found[1])


def _description(url: str, sandbox_url: str, known: Secrets, project_key: str, customer: str) -> dict[str, object]:
    """What demo.json says, as the design fixes it."""
    return {
        "url": url,
        "sandbox_url": sandbox_url,
        "secret_key": known.secret_key,
        "project_key": project_key,
        "admin": {"email": ADMIN_EMAIL, "password": known.admin_password},
        "user": {"email": USER_EMAIL, "password": known.user_password, "customer": customer},
    }


def _hint(console: Console, home: Home, known: Secrets, sandbox_url: str) -> None:
    """For a person at the terminal; a pipe gets the one line on stdout."""
    if console.is_terminal:
        console.print(f"user   {USER_EMAIL}  {known.user_password}", highlight=False)
        console.print(f"staff  {ADMIN_EMAIL}  {known.admin_password}  /admin", highlight=False)
        console.print(f"Stripe and mail  {sandbox_url}   keys  {home.root / 'demo.json'}", highlight=False)
        console.print("test card 4242 4242 4242 4242; Ctrl-C stops both", highlight=False)


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    """A line that moves while something is done, on a terminal; a plain line elsewhere."""
    if console.is_terminal:
        with console.status(what):
            yield
        console.print(f"[green]✓[/green] {what}", highlight=False)
    else:
        console.print(what, highlight=False)
        yield
