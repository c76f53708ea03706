"""Which page answers which path."""

from tollhouse_sandbox.http import Request, Response
from tollhouse_sandbox.pages import checkout, console, inbox, invoice_pdf, invoices, portal, webhooks
from tollhouse_sandbox.pages.render import page, stylesheet
from tollhouse_sandbox.world import World


def answer(world: World, request: Request) -> Response:
    """The page, or 404 as a page."""
    method = "GET" if request.method == "HEAD" else request.method
    match method, request.path.strip("/").split("/"):
        case "GET", ["static", "sandbox.css"]:
            headers = {"content-type": "text/css; charset=utf-8", "cache-control": "max-age=300"}
            return Response(200, stylesheet(), headers)
        case "GET" | "POST", ["checkout", key]:
            return checkout.checkout(world, request, key)
        case "GET" | "POST", ["checkout", key, "authenticate"]:
            return checkout.authentication(world, request, key)
        case "GET" | "POST", ["authenticate", key]:
            return checkout.intent_authentication(world, request, key)
        case "GET" | "POST", ["portal", secret, *steps]:
            return portal.answer(world, request, secret, steps)
        case "GET" | "POST", ["invoice", key]:
            return invoices.invoice(world, request, key)
        case "GET", ["invoice", key, "pdf"]:
            return invoice_pdf.answer(world, key)
        case "GET", [""]:
            return console.index(world)
        case "POST", ["clock"]:
            return console.advance(world, request)
        case "GET", ["objects", kind]:
            return console.objects(world, kind)
        case "GET", ["objects", kind, key]:
            return console.one(world, kind, key)
        case "GET", ["events"]:
            return console.events(world, request)
        case "GET", ["deliveries"]:
            return webhooks.deliveries(world, request)
        case "POST", ["deliveries", "release"]:
            return webhooks.release(world, request)
        case "GET", ["deliveries", key]:
            return webhooks.delivery(world, key)
        case "POST", ["deliveries", key, "resend"]:
            return webhooks.resend(world, key)
        case "POST", ["events", key, "resend"]:
            return webhooks.resend_event(world, key)
        case "POST", ["endpoints", key]:
            return webhooks.change_endpoint(world, key, request)
        case "POST", ["endpoints", key, "version"]:
            return webhooks.write_in_version(world, request, key)
        case "GET", ["faults"]:
            return webhooks.faults(world)
        case "POST", ["faults"]:
            return webhooks.set_faults(world, request)
        case "GET", ["mail"]:
            return inbox.listing(world)
        case "GET", ["mail", key]:
            return inbox.message(world, key)
        case "GET", ["mail", key, "html"]:
            return inbox.html(world, key)
        case "GET", ["mail", key, "files", number]:
            return inbox.file(world, key, number)
        case _:
            return page(
                world, "notice.html", status=404, title="Not found", text="There is no such page here.", link=None
            )
