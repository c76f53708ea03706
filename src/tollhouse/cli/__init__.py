"""The command line. Each group of commands is a module with `register(app)`; none of them holds a rule."""

import gc
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated

import typer

import tollhouse
from tollhouse.cli.output import show_error
from tollhouse.kernel.errors import TollhouseError
from tollhouse.kernel.masking import mask_text

COMMANDS = (
    "init demo serve worker db plans keys customers invoices quotes hooks staff stripe webhooks alerts maintenance migrate verify selftest clock"
).split()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tollhouse {tollhouse.__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def command_line(names: Iterable[str]) -> typer.Typer:
    """The commands of these names. Their modules are imported here: `serve` need not wait for the demo's libraries."""
    app = typer.Typer(
        name="tollhouse",
        help="The back office of an AI product: sign-up, plans, Stripe, credits and quotas.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    gc.disable()  # nothing that is imported is garbage: collecting takes a tenth of the time, and is not begun again later
    for name in names:
        import_module(f"tollhouse.cli.{name}").register(app)
    gc.freeze()
    gc.enable()
    return app


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits with its status. Every error is told with its fix; `TOLLHOUSE_DEBUG=1` adds traces."""
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(run(given))


def run(arguments: list[str]) -> int:
    """Runs one command; its exit status: 0 done, 1 failed, 2 used wrongly, 130 interrupted."""
    debug = bool(os.environ.get("TOLLHOUSE_DEBUG"))
    app = command_line(arguments[:1] if arguments[:1] and arguments[0] in COMMANDS else COMMANDS)
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
        sys.stderr.write(mask_text(f"error: {type(error).__name__}: {error}\n"))
        sys.stderr.write("fix: this should not happen; run it again with TOLLHOUSE_DEBUG=1 and report what it prints\n")
        return 1
    return 0
