"""`tollhouse-sandbox serve`."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import run_fast, serving


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; answers the exit status."""
    parser = argparse.ArgumentParser(
        prog="tollhouse-sandbox",
        description="The outside world of Tollhouse: Stripe and a mail inbox, on this machine.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the sandbox until it is stopped")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    serve.add_argument(
        "--port", type=int, default=8788, help="port of the API and the pages, 0 for any (default: %(default)s)"
    )
    serve.add_argument("--public-url", help="how browsers reach the sandbox, when that differs")
    serve.add_argument("--data", metavar="FILE", help="SQLite file that keeps everything (default: memory)")
    serve.add_argument("--smtp-port", type=int, default=0, help="port of the mail server, 0 for any (default: any)")
    serve.add_argument(
        "--secret-key",
        action="append",
        default=[],
        help="an accepted API key, repeatable (default: every secret key of the mode)",
    )
    serve.add_argument(
        "--mode", choices=("test", "live"), default="test", help="whose keys are accepted (default: %(default)s)"
    )
    serve.add_argument(
        "--account-id", default="acct_1SandboxTollhouse", help="the seller's account (default: %(default)s)"
    )
    serve.add_argument("--account-name", default="Sandbox", help="the seller's name on the payment page")
    serve.add_argument(
        "--finalize-after", type=int, default=0, metavar="SECONDS", help="how long a renewal's invoice stays a draft"
    )
    given = parser.parse_args(arguments)
    config = Config(
        host=given.host,
        port=given.port,
        public_url=given.public_url,
        data_file=given.data,
        smtp_port=given.smtp_port,
        secret_keys=tuple(given.secret_key),
        mode=given.mode,
        account_id=given.account_id,
        account_name=given.account_name,
        finalize_after_seconds=given.finalize_after,
    )
    try:
        return run_fast(_serve(config))
    except OSError as error:
        print(f"error: {error.strerror or error}", file=sys.stderr)
        return 1


async def _serve(config: Config) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving(config) as sandbox:
        print(f"sandbox ready {sandbox.url} (mail on port {sandbox.smtp_port})", flush=True)
        await stop.wait()
    return 0
