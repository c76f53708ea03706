"""The mail inbox."""

import base64

from tollhouse_sandbox.http import Response
from tollhouse_sandbox.pages.render import page
from tollhouse_sandbox.world import World


def listing(world: World) -> Response:
    """Every message, newest first."""
    return page(world, "mail.html", mails=list(world.store.newest("mail")), mail=None)


def message(world: World, key: str) -> Response:
    """One message: its HTML part in a frame without rights, and its plain part."""
    mail = world.store.get("mail", key)
    if mail is None:
        text = "The message has been deleted, or never was."
        return page(
            world, "notice.html", status=404, title="No such message", text=text, link=("/mail", "All messages")
        )
    return page(world, "mail.html", mails=list(world.store.newest("mail")), mail=mail)


def html(world: World, key: str) -> Response:
    """The HTML part alone; its links open outside of the frame."""
    mail = world.store.get("mail", key)
    if mail is None:
        return Response(404)
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation"
    headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": policy}
    return Response(200, b'<base target="_top">' + mail["html"].encode(), headers)


def file(world: World, key: str, number: str) -> Response:
    """One attachment, to be saved: whatever it says it is, no browser shows it as a page of ours."""
    mail = world.store.get("mail", key)
    files = mail.get("files", []) if mail is not None else []
    if not number.isdecimal() or int(number) >= len(files):
        return Response(404)
    found = files[int(number)]
    name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in found["name"])
    headers = {
        "content-type": found["type"],
        "content-disposition": f'attachment; filename="{name.encode("ascii", "replace").decode().replace("?", "-")}"',
        "x-content-type-options": "nosniff",
    }
    return Response(200, base64.b64decode(found["content"]), headers)
