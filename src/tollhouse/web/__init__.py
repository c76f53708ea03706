"""The pages for visitors and customers. The application mounts `routes(house)`, and shows `error_page(house)`."""

from collections.abc import Callable
from typing import Any

from litestar import Response, Router
from litestar.di import Provide

from tollhouse.house import House
from tollhouse.pages import failures
from tollhouse.pages.visiting import AnyRequest
from tollhouse.web import invoices, profile, projects, public, second_step, selling, signing, tools, usage
from tollhouse.web.account import Unproven, waiting_page
from tollhouse.web.site import open_site

HANDLERS = (
    public.landing,
    public.pricing,
    public.static,
    signing.sign_up_page,
    signing.sign_up_form,
    signing.sign_in_page,
    signing.sign_in_form,
    second_step.code_page,
    second_step.code_form,
    signing.sign_out_form,
    signing.verify_page,
    signing.verify_form,
    signing.verify_again,
    signing.reset_page,
    signing.reset_form,
    usage.usage_page,
    usage.live_figures,
    usage.log_page,
    usage.log_file,
    tools.tools_page,
    tools.tool_page,
    tools.launch_form,
    tools.end_form,
    tools.frame_page,
    projects.projects_page,
    projects.create_project_form,
    selling.billing_page,
    selling.payment_state,
    invoices.invoice_file,
    selling.checkout_form,
    selling.portal_form,
    profile.settings_page,
    profile.profile_form,
    profile.password_form,
    profile.sessions_form,
)
LARGEST_FORM = 64 * 1024

ErrorPage = Callable[[AnyRequest, int], Response[Any]]


def routes(house: House) -> list[Router]:
    """Every page, below `/`, outside the OpenAPI document."""
    site = open_site(house)
    return [
        Router(
            path="/",
            route_handlers=list(HANDLERS),
            dependencies={"site": Provide(lambda: site, sync_to_thread=False)},
            exception_handlers={**failures.handlers(site), Unproven: waiting_page(site)},
            include_in_schema=False,
            request_max_body_size=LARGEST_FORM,
        )
    ]


def error_page(house: House) -> ErrorPage:
    """The page for errors outside our own routes: an address that leads nowhere, say."""
    site = open_site(house)

    def shown(request: AnyRequest, status: int) -> Response[Any]:
        return failures.error_page(site, request, status)

    return shown
