"""What has to be set in an environment after `tollhouse stripe setup`, as a dotenv or JSON file (row S13)."""

import re
from pathlib import Path
from typing import Literal, TextIO

import msgspec

from tollhouse.billing.furnishing import SetUp
from tollhouse.billing.ids_file import write_whole
from tollhouse.kernel.errors import ConfigurationError, Unavailable

Form = Literal["dotenv", "json"]
SECRET_VARIABLE = "STRIPE_WEBHOOK_SECRET"
SECRET_KEPT = f"# {SECRET_VARIABLE}: told when the endpoint was made; keep the one you have"


def variables_of(done: SetUp) -> dict[str, str]:
    """The account, every plan's price, and the signing secret where it was made now."""
    secret = {SECRET_VARIABLE: done.secret} if done.secret else {}
    return {"STRIPE_ACCOUNT": done.account, **done.ids.prices, **secret}


def export(
    variables: dict[str, str], form: Form, to: Path | None, stdout: TextIO, *, secret_kept: bool = False
) -> None:
    """Write them, into a file that its owner alone can read. What else stands in that file stays. `secret_kept`: there is an
    endpoint, whose secret was told when it was made.

    Raises ConfigurationError for a file of another form, Unavailable where it cannot be written.
    """
    if to is None:
        stdout.write(
            _dotenv("", variables, secret_kept) if form == "dotenv" else _json("", variables, "standard output")
        )
        return
    try:
        present = to.read_text("utf-8") if to.exists() else ""
        text = _dotenv(present, variables, secret_kept) if form == "dotenv" else _json(present, variables, str(to))
        write_whole(to, text, mode=0o600)
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(
            f"{to}: {error}", code="not_writable", fix="name a file that can be written with --to"
        ) from None


def _dotenv(present: str, variables: dict[str, str], secret_kept: bool) -> str:
    """The lines with these variables set, each in its place or at the end."""
    lines = present.splitlines()
    left = dict(variables)
    for number, line in enumerate(lines):
        named = re.match(r"\s*(?:export\s+)?([A-Z0-9_]+)\s*=", line)
        if named and named[1] in left:
            lines[number] = f"{named[1]}={left.pop(named[1])}"
    lines += [f"{name}={value}" for name, value in left.items()]
    told = any(re.match(rf"\s*(?:export\s+)?{SECRET_VARIABLE}\s*=", line) for line in lines)
    lines = [line for line in lines if line != SECRET_KEPT] if told else lines
    if secret_kept and not told and SECRET_KEPT not in lines:
        lines.append(SECRET_KEPT)
    return "\n".join(lines) + "\n"


def _json(present: str, variables: dict[str, str], where: str) -> str:
    try:
        known = msgspec.json.decode(present, type=dict[str, object]) if present.strip() else {}
    except msgspec.DecodeError as error:
        raise ConfigurationError(
            f"{where} is no JSON object: {error}", setting=where, fix="name another file with --to, or --export dotenv"
        ) from None
    return msgspec.json.format(msgspec.json.encode({**known, **variables}), indent=2).decode() + "\n"
