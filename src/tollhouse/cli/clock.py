"""`tollhouse clock advance 31d`: move the test clock of a running instance, and the sandbox's with it."""

import json
import os
import urllib.error
import urllib.request
from typing import Annotated

import typer

from tollhouse.cli.output import JsonOption, emit, emit_json
from tollhouse.kernel.errors import InvalidRequest, Unavailable

UrlOption = Annotated[str, typer.Option("--url", help="The running instance.")]
KeyOption = Annotated[str | None, typer.Option("--key", help="A secret key.", envvar="TOLLHOUSE_KEY")]


def register(app: typer.Typer) -> None:
    """Adds `clock`."""
    group = typer.Typer(help="The test clock, outside production.", no_args_is_help=True, rich_markup_mode=None)
    group.command("advance")(advance)
    app.add_typer(group, name="clock")
    group.callback()(_group)


def _group() -> None:
    """The test clock, outside production."""


def advance(
    by: Annotated[str, typer.Argument(help="How far, such as 31d.")],
    url: UrlOption = "http://127.0.0.1:8787",
    key: KeyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move the clock of a running instance forward: periods turn, lots expire, the sandbox renews subscriptions."""
    token = key or os.environ.get("TOLLHOUSE_KEY", "")
    request = urllib.request.Request(
        f"{url.rstrip('/')}/v1/test-clock/advance",
        data=json.dumps({"by": by}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=90) as answer:
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        problem = json.loads(error.read() or b"{}")
        detail = problem.get("detail", f"the instance answered {error.code}")
        fix = problem.get("fix") or "serve with TEST_CLOCK=true, and give a secret key with --key"
        raise InvalidRequest(detail, code=problem.get("code"), fix=fix) from None
    except OSError as error:
        raise Unavailable(
            f"{url} does not answer: {error}", fix="start it with `tollhouse serve`, or name it with --url"
        ) from None
    if as_json:
        emit_json(found)
    else:
        emit(f"it is {found['now']} now, {found['ahead_seconds']} s ahead of the real time")
