"""The file per mode that says what belongs to us at Stripe: `stripe.test.json`, `stripe.live.json`. It holds no secret.

It is written whole or not at all. Losing it loses nothing: everything in it is found at Stripe again.
"""

import os
from pathlib import Path

import msgspec

from tollhouse.kernel.errors import ConfigurationError, Unavailable


class EndpointId(msgspec.Struct, frozen=True, omit_defaults=True):
    """A webhook endpoint; `secret` is the fingerprint of its signing secret, where we made it."""

    id: str
    secret: str | None = None


class Attempt(msgspec.Struct, frozen=True):
    """An endpoint that is being made: until its secret has been handed over, the same call gets the same answer."""

    key: str
    at: int


class Ids(msgspec.Struct, frozen=True):
    """What a run of `tollhouse stripe setup` left behind. Prices by the variable that names each, packs by lookup key."""

    mode: str
    account: str
    products: dict[str, str] = {}
    prices: dict[str, str] = {}
    packs: dict[str, str] = {}
    webhook_endpoints: dict[str, EndpointId] = {}
    portal_configuration: str | None = None
    attempts: dict[str, Attempt] = {}


def ids_path(config: Path, *, live: bool) -> Path:
    """Beside tollhouse.toml."""
    return config.parent / f"stripe.{'live' if live else 'test'}.json"


def read_ids(path: Path) -> Ids | None:
    """What stands in it; None when there is no such file. Raises ConfigurationError for one that is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ids)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, OSError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error}",
            setting=str(path),
            fix="take it away: `tollhouse stripe setup` writes it again",
        ) from None


def write_ids(path: Path, ids: Ids) -> None:
    """Keep it. What is the same already is not touched. Raises Unavailable where it cannot be written."""
    text = msgspec.json.format(msgspec.json.encode(ids), indent=2).decode() + "\n"
    try:
        if path.exists() and path.read_text("utf-8") == text:
            return
        write_whole(path, text, mode=0o644)
    except OSError as error:
        raise Unavailable(
            f"{path}: {error.strerror}", code="not_writable", fix="let this user write beside the configuration file"
        ) from None


def write_whole(path: Path, text: str, *, mode: int) -> None:
    """Write a file whole or not at all, with these permissions."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
