"""`tollhouse init`: a configuration to start from."""

import base64
import secrets
import shlex
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from tollhouse.cli.output import emit
from tollhouse.kernel.errors import Conflict, NotFound, Unavailable
from tollhouse.settings.dotenv_example import dotenv_example
from tollhouse.settings.problems import did_you_mean, listed
from tollhouse.settings.table import SETTINGS, Setting

PRESETS = ("aigate", "aurion", "upiik", "luneo")
_IGNORED = (".env", "*.env", "*.db", "*.db-wal", "*.db-shm", "backups/")


def register(app: typer.Typer) -> None:
    """Adds `init`."""
    app.command("init")(init)


def preset_text(name: str) -> str:
    """The preset's tollhouse.toml. Raises NotFound for a name that is none."""
    if name not in PRESETS:
        close = did_you_mean(name, PRESETS)
        fix = f"did you mean {close}?" if close else f"choose {listed(PRESETS)}"
        raise NotFound(f"there is no preset {name!r}", code="unknown_preset", fix=fix)
    return resources.files("tollhouse.presets").joinpath(f"{name}.toml").read_text("utf-8")


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; made when missing.")] = Path("."),
    preset: Annotated[str, typer.Option(help=f"The product to start from: {listed(PRESETS)}.")] = "aurion",
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Also write .env with freshly made secrets for development.")
    ] = False,
) -> None:
    """Write tollhouse.toml and .env.example, from one of four products."""
    files = {"tollhouse.toml": preset_text(preset), ".env.example": dotenv_example()}
    if with_secrets:
        files[".env"] = _local_secrets()
    there = [name for name in files if (directory / name).exists()]
    if there and not force:
        names = listed(there).replace(" or ", " and ")
        fix = "add --force to write over it, or name another directory"
        raise Conflict(f"{names} in {directory.absolute()} would be written over", code="file_exists", fix=fix)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            _write(directory / name, text, private=name == ".env")
            emit(f"wrote {directory / name}")
        if _ignore(directory / ".gitignore"):
            emit(f"wrote {directory / '.gitignore'}")
    except OSError as error:
        fix = "name a directory that this user may write to"
        raise Unavailable(f"{error.filename}: {error.strerror}", code="not_writable", fix=fix) from None
    emit("next:  " + " && ".join(_next_steps(directory, with_secrets)))


def _next_steps(directory: Path, with_secrets: bool) -> list[str]:
    steps = [] if directory == Path(".") else [f"cd {shlex.quote(str(directory))}"]
    if not with_secrets:
        steps.append('export SESSION_SECRET="$(openssl rand -base64 48)"')
    return [*steps, "tollhouse plans", "tollhouse db upgrade", "tollhouse serve"]


def _local_secrets() -> str:
    lines = ["# Secrets of this machine's development environment. Never commit this file.", ""]
    for setting in SETTINGS:
        if setting.generate:
            lines += [f"# {setting.meaning}", f"{setting.variable}={_made(setting)}", ""]
    return "\n".join(lines)


def _made(setting: Setting) -> str:
    """What the command of `setting.generate` would make."""
    if "whsec_" in setting.generate:
        return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_urlsafe(48)


def _write(path: Path, text: str, *, private: bool) -> None:
    if private:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
    path.write_text(text, "utf-8")


def _ignore(path: Path) -> bool:
    """Puts what must not be committed into .gitignore; False when it was there already."""
    text = path.read_text("utf-8") if path.exists() else ""
    missing = [line for line in _IGNORED if line not in text.splitlines()]
    if missing:
        head = text if not text or text.endswith("\n") else text + "\n"
        path.write_text(head + "\n".join(missing) + "\n", "utf-8")
    return bool(missing)
