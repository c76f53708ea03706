"""The command line. Each group of commands is a module with `register(app)`; none of them holds a rule."""

import os
import sys
from typing import Annotated

import typer

import tollhouse
from tollhouse.cli import clock, customers, db, demo, init, keys, plans, selftest, serve, staff, stripe, verify, worker
from tollhouse.cli.output import show_error
from tollhouse.kernel.errors import TollhouseError

app = typer.Typer(
    name="tollhouse",
    help="The back office of an AI product: sign-up, plans, Stripe, credits and quotas.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tollhouse {tollhouse.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


for _group in (init, demo, serve, worker, db, plans, keys, customers, staff, stripe, verify, selftest, clock):
    _group.register(app)


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits with its status. Every error is told with its fix; `TOLLHOUSE_DEBUG=1` adds traces."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(run(given))


def run(arguments: list[str]) -> int:
    """Runs one command; its exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    debug = bool(os.environ.get("TOLLHOUSE_DEBUG"))
    try:
        typer.main.get_command(app).main(args=arguments, prog_name="tollhouse")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except TollhouseError as error:
        if debug:
            raise
        show_error(error, as_json="--json" in arguments)
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        if debug:
            raise
        sys.stderr.write(f"error: {type(error).__name__}: {error}\n")
        sys.stderr.write("fix: this should not happen; run it again with TOLLHOUSE_DEBUG=1 and report what it prints\n")
        return 1
    return 0
