"""`tollhouse staff add|list|remove|totp reset`: who may see /admin. `serve` may run meanwhile."""

import asyncio
import sys
from typing import Annotated

import typer

from tollhouse.catalog import Configuration, publish
from tollhouse.cli.database import in_transaction, known_configuration, opened
from tollhouse.cli.output import (
    DEFAULT_CONFIG,
    ConfigOption,
    JsonOption,
    emit,
    emit_json,
    emit_table,
    on_terminal,
    tell,
)
from tollhouse.customers.model import SignUp
from tollhouse.customers.staff import StaffAdded, add_staff
from tollhouse.identity import User, open_desk
from tollhouse.identity import actions as identity
from tollhouse.identity.emails import normal_email
from tollhouse.identity.passwords import check_new_password
from tollhouse.identity.second_factor import forget_factor
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import ConfigurationError, InvalidRequest, NotFound
from tollhouse.store import Tx


def register(app: typer.Typer) -> None:
    """Adds `staff` with its commands."""
    group = typer.Typer(
        help="Who may see /admin: add, list, remove, reset a second factor.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("add")(add)
    group.command("list")(list_staff)
    group.command("remove")(remove)
    totp = typer.Typer(help="The one-time code beside the password.", no_args_is_help=True, rich_markup_mode=None)
    totp.command("reset")(reset_totp)
    group.add_typer(totp, name="totp")
    app.add_typer(group, name="staff")


def add(
    email: Annotated[str, typer.Argument(help="The e-mail address to sign in with.")],
    name: Annotated[str, typer.Option(help="The name that is shown.")] = "",
    link: Annotated[bool, typer.Option("--link", help="Print a link to choose a password, good for one hour.")] = False,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from stdin.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Give a user the staff role; without such a user, make one with a password (asked for) or a link."""
    address = normal_email(email)
    found = known_configuration(config)
    if link and password_stdin:
        raise InvalidRequest("both --link and --password-stdin were given", fix="choose one of them")
    known = asyncio.run(in_transaction(found, lambda tx, _: identity.find_user(tx, address)))
    password = None if link else _password(address, known, from_stdin=password_stdin)
    added = asyncio.run(_add(found, SignUp(address, name), password, link))
    if as_json:
        emit_json({"id": added.user.id, "email": added.user.email, "created": added.created, "link": added.link})
        return
    tell(f"{added.user.email} {'was made and ' if added.created else ''}is staff now")
    emit(added.link or added.user.id)


def _password(email: str, known: User | None, *, from_stdin: bool) -> str | None:
    """The password that was typed or piped in; None where the user exists and keeps their own."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif known is not None:
        return None
    elif sys.stdin.isatty() and on_terminal():
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    else:
        raise InvalidRequest(
            f"{email} is new and nobody is at the terminal to type a password",
            fix="add --link, or --password-stdin with the password as the first line of stdin",
        )
    check_new_password(password, email)
    return password


async def _add(found: Configuration, form: SignUp, password: str | None, link: bool) -> StaffAdded:
    secret = found.settings.web.session_secret
    if secret is None:
        raise ConfigurationError(
            "SESSION_SECRET is not set", setting="SESSION_SECRET", fix="run the command with the environment of `serve`"
        )
    desk = open_desk(secret.reveal(), found.settings.url, found.catalog.product.name)
    try:
        password_hash = None if password is None else await desk.passwords.hash(password)
        async with opened(found) as store, store.transaction() as tx:
            now = store.clock.now_ms()
            catalog = await publish(tx, found.catalog, now)
            return await add_staff(tx, desk, catalog, form, now, password_hash=password_hash, with_link=link)
    finally:
        desk.passwords.close()


def list_staff(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Everybody with a staff role."""
    found = asyncio.run(in_transaction(known_configuration(config), lambda tx, _: identity.list_staff(tx)))
    if as_json:
        emit_json({"items": [_document(user) for user in found]})
        return
    rows = [[user.email, user.name, user.staff_role or "", user.id, rfc3339(user.created_at)] for user in found]
    emit_table("Staff", ["e-mail", "name", "role", "id", "since"], rows)


def remove(
    email: Annotated[str, typer.Argument(help="The e-mail address of the user.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Take the staff role away and end the user's sessions; the user stays."""
    user = asyncio.run(
        in_transaction(known_configuration(config), lambda tx, now: identity.set_staff_role(tx, email, None, now))
    )
    if as_json:
        emit_json(_document(user))
    else:
        emit(f"{user.email} is no longer staff")


def reset_totp(
    email: Annotated[str, typer.Argument(help="The e-mail address of the user.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Take a lost second factor away, with its recovery codes, and end the user's sessions: the password lets in again."""

    async def work(tx: Tx, now: int) -> tuple[User, bool]:
        user = await identity.find_user(tx, email)
        if user is None:
            raise NotFound(f"nobody has signed up as {email}", code="user_not_found", fix="check the e-mail address")
        there = await forget_factor(tx, user.id)
        await identity.revoke_sessions(tx, user.id, now)
        return user, there

    user, there = asyncio.run(in_transaction(known_configuration(config), work))
    if as_json:
        emit_json({"id": user.id, "email": user.email, "reset": there})
    else:
        emit(f"{user.email} {'signs in without a code now' if there else 'had no second factor'}; all sessions ended")


def _document(user: User) -> dict[str, object]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": user.staff_role,
        "created_at": rfc3339(user.created_at),
    }
