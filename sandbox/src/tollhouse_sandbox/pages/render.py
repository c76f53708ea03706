"""Templates, and the figures in them as people read them."""

from datetime import UTC, datetime
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from tollhouse_sandbox.billing.amounts import every, line_amount, money
from tollhouse_sandbox.http import Response
from tollhouse_sandbox.world import World

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-src 'self';"
    " base-uri 'none'; frame-ancestors 'self'"
)


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("tollhouse_sandbox", "pages/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(money=money, every=every, cost=line_amount, moment=moment, day=day)
    return environment


def moment(seconds: float) -> str:
    """A moment in UTC, such as `2026-03-01 12:30:05`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def day(seconds: float) -> str:
    """A day in UTC, such as `1 March 2026`."""
    date = datetime.fromtimestamp(seconds, UTC)
    return f"{date.day} {date:%B %Y}"


def page(world: World, name: str, *, status: int = 200, **values: object) -> Response:
    """The page of that template; no script, nothing from another host."""
    seller = world.config.account_name
    html = _templates().get_template(name).render(seller=seller, now=world.clock.now(), **values)
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": _POLICY,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    return Response(status, html.encode(), headers)


@cache
def stylesheet() -> bytes:
    """The one stylesheet of all pages."""
    return resources.files("tollhouse_sandbox").joinpath("pages/static/sandbox.css").read_bytes()
