"""Templates and what every one of them knows: the shell (language, theme, viewer, navigation) and the components.

Their engine is loaded with the first page, so that `serve` starts without it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
from litestar import Response
from litestar.datastructures import Cookie

from tollhouse.catalog.model import Product
from tollhouse.pages import formats, security
from tollhouse.pages.assets import Assets, load_assets
from tollhouse.pages.texts import LOCALES, NAMES, texts_in
from tollhouse.settings import Settings

if TYPE_CHECKING:
    from jinja2 import Environment


class Person(msgspec.Struct, frozen=True):
    """Who is looking at the page."""

    email: str
    name: str
    staff: bool = False


class Shell(msgspec.Struct, frozen=True):
    """What the frame around a page needs to know of a request."""

    product: Product
    environment: str
    production: bool
    locale: str
    path: str
    nonce: str
    csrf: str
    theme: str = ""  # `light`, `dark`, or the system's choice
    person: Person | None = None
    query: dict[str, str] = {}

    def link(self, **changes: str) -> str:
        """This page again with some of its query changed, for switches that work without JavaScript."""
        from_query = {**self.query, **changes}
        pairs = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in from_query.items() if value)
        return f"{self.path}?{pairs}" if pairs else self.path


def _quoted(text: str) -> str:
    return quote(text, safe="")


class Pages:
    """Renders the templates of one entrance (`tollhouse.web`, say) on top of the shared ones, in every language."""

    def __init__(self, settings: Settings, package: str) -> None:
        self.assets: Assets = load_assets()
        self._https = settings.url.startswith("https://")
        self._payment_origins = security.payment_origins(settings.stripe.api_base)
        self._package = package
        self._environments: dict[str, Environment] = {}

    def environment(self, locale: str) -> "Environment":
        """The templates in one language, compiled when they are first asked for: the start of a server does not wait."""
        if locale not in self._environments:
            self._environments[locale] = _environment(self._package, locale, self.assets)
        return self._environments[locale]

    def render(
        self,
        template: str,
        shell: Shell,
        values: Mapping[str, object] | None = None,
        *,
        status: int = 200,
        frames: Sequence[str] = (),
        framed: bool = False,
        cookies: Sequence[Cookie] = (),
        extra_headers: Mapping[str, str] | None = None,
    ) -> Response[str]:
        """The page as an answer, with its security headers. `frames` are the origins that it may embed."""
        html = self.environment(shell.locale).get_template(template).render(shell=shell, **(values or {}))
        policy = security.content_policy(shell.nonce, forms=self._payment_origins, frames=frames, framed=framed)
        answer = security.headers(policy, https=self._https, framed=framed)
        answer["Content-Language"] = shell.locale
        return Response(
            content=html,
            media_type="text/html",
            status_code=status,
            headers={**answer, **(extra_headers or {})},
            cookies=list(cookies),
        )


def _environment(package: str, locale: str, assets: Assets) -> "Environment":
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("tollhouse.pages")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    translations = texts_in(locale).translations
    environment.install_gettext_translations(translations, newstyle=True)  # type: ignore[attr-defined]
    environment.filters.update(formats.filters(locale))
    environment.globals.update(asset=assets.url, locales=[(name, NAMES[name]) for name in LOCALES])
    environment.globals["ui"] = environment.get_template("components.html").module
    return environment
