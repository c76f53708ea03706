"""`tollhouse keys create|list|revoke`: the secret keys of the product's own servers. `serve` may run meanwhile."""

import asyncio
from typing import Annotated

import typer

from tollhouse.cli.database import in_transaction, known_configuration
from tollhouse.cli.output import DEFAULT_CONFIG, ConfigOption, JsonOption, emit, emit_json, emit_table, tell
from tollhouse.customers import keys
from tollhouse.customers.model import SecretKey
from tollhouse.kernel.clock import rfc3339


def register(app: typer.Typer) -> None:
    """Adds `keys` with its commands."""
    group = typer.Typer(
        help="Secret keys of your servers: create, list, revoke.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("create")(create)
    group.command("list")(list_keys)
    group.command("revoke")(revoke)
    app.add_typer(group, name="keys")


def create(
    name: Annotated[str, typer.Argument(help="What the key is for, such as the server that will use it.")] = "server",
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Make a secret key and show it, this once: only its digest is kept."""
    new = asyncio.run(
        in_transaction(known_configuration(config), lambda tx, now: keys.create_secret_key(tx, name, now))
    )
    if as_json:
        emit_json(new)
        return
    tell(f"{new.id} ({new.name}): keep this key where your server finds it; it is not shown again.")
    emit(new.key)


def list_keys(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Every key that was ever made, the oldest first."""
    found = asyncio.run(in_transaction(known_configuration(config), lambda tx, _: keys.list_secret_keys(tx)))
    if as_json:
        emit_json({"items": [_document(key) for key in found]})
        return
    rows = [[key.id, key.name, f"th_sk_…{key.last4}", rfc3339(key.created_at), _state(key)] for key in found]
    emit_table("Secret keys", ["id", "name", "key", "created", "state"], rows)


def revoke(
    key: Annotated[str, typer.Argument(help="The key's id (key_…), as `tollhouse keys list` shows it.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key: every running server refuses it within two seconds."""
    revoked = asyncio.run(
        in_transaction(known_configuration(config), lambda tx, now: keys.revoke_secret_key(tx, key, now))
    )
    if as_json:
        emit_json(_document(revoked))
    else:
        emit(f"{revoked.id} ({revoked.name}) is revoked")


def _state(key: SecretKey) -> str:
    return "live" if key.revoked_at is None else f"revoked {rfc3339(key.revoked_at)}"


def _document(key: SecretKey) -> dict[str, object]:
    revoked_at = None if key.revoked_at is None else rfc3339(key.revoked_at)
    return {
        "id": key.id,
        "name": key.name,
        "last4": key.last4,
        "created_at": rfc3339(key.created_at),
        "revoked_at": revoked_at,
    }
