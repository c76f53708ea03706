"""The OpenAPI document. It is made from the handlers themselves; the plain ASGI ones are described by twins.

A twin has the same path, the same structs and no body: it stands in an application that is never served, beside the
other handlers, and only its description is used. A test calls every path of the document on the served application.
"""

import inspect
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from litestar import Litestar, post
from litestar.di import Provide
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, OpenAPIHeader, Schema, SecurityScheme, Tag
from litestar.openapi.spec.enums import OpenAPIType
from litestar.params import HeaderParameter, JSONBody
from litestar.plugins import OpenAPISchemaPlugin
from litestar.routes import HTTPRoute
from litestar.types import ControllerRouterHandler

import tollhouse
from tollhouse.admission.model import Answer
from tollhouse.api.answers import NO_SECURITY, SECRET_KEY_SECURITY, answers_with, problems
from tollhouse.api.asks import AdmitRequest
from tollhouse.api.problems import PROBLEM_JSON, Problem
from tollhouse.house import House

Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key", required=False)]
Document = dict[str, Any]

METHODS = ("get", "put", "post", "delete", "patch")
PROBLEM = {"$ref": "#/components/schemas/Problem"}
EVERYWHERE = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
RATE_HEADERS = {
    "RateLimit": {"$ref": "#/components/headers/RateLimit"},
    "RateLimit-Policy": {"$ref": "#/components/headers/RateLimitPolicy"},
}
RATED = frozenset({"admit", "hold", "validateToolAccess"})


class AdmitBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """1 to 1,000 admissions, decided in order."""

    items: Annotated[list[AdmitRequest], msgspec.Meta(min_length=1, max_length=1_000)]


class BatchItem(Answer, frozen=True, omit_defaults=True):
    """As the answer to an admission; or with `error` alone, when the item could not be decided."""

    error: Problem | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    """One answer for each item, in their order."""

    items: list[BatchItem]


class Received(msgspec.Struct, frozen=True):
    """The event is kept, and will be handled once."""

    received: Literal[True]


@post(
    "/v1/admit", status_code=200, tags=["Deciding"], security=SECRET_KEY_SECURITY, summary="Decide and debit",
    responses=answers_with(Answer, "Allowed and debited, or refused with the reason")
    | problems(_404="`customer_not_found`"),
)  # fmt: skip
async def admit(data: JSONBody[AdmitRequest], idempotency_key: Key = None) -> Answer:
    """May this customer do this now? All that the action costs is taken at once, or nothing is.

    The status is 200 for yes and for no. The same key gets the first answer again, with `replayed` true.
    """
    raise NotImplementedError("served by deciding.py")


@post(
    "/v1/admit/batch", status_code=200, tags=["Deciding"], security=SECRET_KEY_SECURITY, summary="Decide many at once",
    responses=answers_with(BatchAnswer, "One answer for each item, in their order"),
)  # fmt: skip
async def admit_batch(data: JSONBody[AdmitBatch]) -> BatchAnswer:
    """Each item is decided in its order and has a key of its own; a bad one spoils only itself."""
    raise NotImplementedError("served by deciding.py")


@post(
    "/webhooks/stripe", status_code=200, tags=["Billing"], security=NO_SECURITY, summary="Receive an event of Stripe's",
    responses=answers_with(Received, "Kept, or known already"),
)  # fmt: skip
async def stripe_webhook(
    data: JSONBody[dict[str, Any]],
    signature: Annotated[str | None, HeaderParameter(name="Stripe-Signature", required=False)] = None,
) -> Received:
    """Stripe calls this. The signature is over the raw body; 400 when it is missing, wrong or old."""
    raise NotImplementedError("served by webhooks.py")


TWINS: Sequence[HTTPRouteHandler] = (admit, admit_batch, stripe_webhook)


def document(house: House, routes: Sequence[ControllerRouterHandler]) -> Document:
    """The OpenAPI 3.1 document of these routes, the plain ASGI ones told by their twins."""
    told = [route for route in routes if not isinstance(route, ASGIRouteHandler)]
    described = Litestar(
        [*TWINS, *told],
        dependencies={"house": Provide(lambda: house, sync_to_thread=False)},
        openapi_config=_config(house),
        plugins=[DecimalSchema()],
        logging_config=None,
    )
    made: Document = _tidy(described.openapi_schema.to_schema())
    schemas: Document = made["components"]["schemas"]
    for name, kind in _structs(described).items():
        if name in schemas:
            schemas[name]["description"] = inspect.cleandoc(kind.__doc__ or "")
            if kind.__struct_config__.forbid_unknown_fields:
                schemas[name]["additionalProperties"] = False
    for name in ("Problem", "RefusalProblem"):
        schemas[name]["additionalProperties"] = True  # whatever helps may be added
    for item in made["paths"].values():
        for method in METHODS:
            if method in item:
                _complete(item[method])
    return made


def _complete(operation: Document) -> None:
    """What every call may answer: the problems that do not depend on what it does, and the headers."""
    answers: Document = operation["responses"]
    takes_body, takes_values = "requestBody" in operation, "parameters" in operation
    asks_who = any(way for way in operation.get("security", []))
    common = {
        "400": ("The body is not JSON" if takes_body else "A parameter cannot be read", takes_body or takes_values),
        "401": ("No valid credentials", asks_who),
        "413": ("The body is too large", takes_body),
        "422": ("The request has no meaning as it stands", takes_body or takes_values),
        "429": ("Too many requests; `Retry-After` says when to come again", asks_who),
        "503": ("Nothing was decided; the same request may be sent again with the same key", asks_who or takes_body),
    }
    for status, (meaning, given) in common.items():
        told = answers.get(status)
        framework = status == "400" and told is not None and "application/json" in told["content"]
        if given and (told is None or framework):
            answers[status] = {"description": meaning, "content": {PROBLEM_JSON: {"schema": PROBLEM}}}
    if operation["operationId"] == "stripeWebhook":
        answers["400"]["description"] = "The signature is missing, wrong or old, or the body is no event"
    for status, answer in answers.items():
        rated = operation["operationId"] in RATED and status in ("200", "403", "429")
        answer["headers"] = {**answer.get("headers", {}), **EVERYWHERE, **(RATE_HEADERS if rated else {})}
    operation["responses"] = dict(sorted(answers.items()))


class DecimalSchema(OpenAPISchemaPlugin):
    """Amounts are JSON numbers."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        """Decimals only."""
        return value is Decimal

    def to_openapi_schema(self, field_definition: Any, schema_creator: Any) -> Schema:
        """A number."""
        return Schema(type=OpenAPIType.NUMBER)


def _tidy(node: Any) -> Any:
    """Without choices that are none: an integer beside a number, one form alone."""
    if isinstance(node, list):
        return [_tidy(part) for part in node]
    if not isinstance(node, dict):
        return node
    tidy = {name: _tidy(part) for name, part in node.items()}
    forms = tidy.get("oneOf")
    if forms and {"type": "number"} in forms:
        forms = tidy["oneOf"] = [form for form in forms if form != {"type": "integer"}]
    if forms is None or len(forms) > 1:
        return tidy
    return {**{name: part for name, part in tidy.items() if name != "oneOf"}, **forms[0]}


def _structs(described: Litestar) -> dict[str, type[msgspec.Struct]]:
    """The structs that requests and answers are made of, nested ones too, by the name of their schema."""
    waiting: list[Any] = []
    for route in described.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            data = handler.parsed_data_field
            answers = [answer.data_container for answer in (handler.responses or {}).values()]
            waiting += [*answers, handler.parsed_return_field.annotation, None if data is None else data.annotation]
    found: dict[str, type[msgspec.Struct]] = {}
    while waiting:
        kind = waiting.pop()
        waiting += get_args(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__name__ not in found:
            found[kind.__name__] = kind
            waiting += get_type_hints(kind).values()
    return found


def _operation_id(handler: HTTPRouteHandler, _method: Any, path: list[Any]) -> str:
    """The handler's name in camel case; a second path of the same handler says its first word too."""
    first, *rest = handler.handler_name.split("_")
    name = first + "".join(word.capitalize() for word in rest)
    doubled = len(handler.paths) > 1 and str(path[0]) == "api"
    return f"api{name[0].upper()}{name[1:]}" if doubled else name


def _config(house: House) -> OpenAPIConfig:
    text = Schema(type=OpenAPIType.STRING)
    return OpenAPIConfig(
        title=f"{house.catalog.product.name} · Tollhouse",
        version=tollhouse.__version__,
        description="May this customer do this now? Then debit it. Errors are `application/problem+json`.",
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        tags=[
            Tag("Deciding", "Before every costly action: decide, debit, and settle or give back."),
            Tag("Customers", "Who has a plan: create, look, projects, the book, grants."),
            Tag("Catalogue", "What is limited, what costs, what is sold."),
            Tag("Billing", "Stripe's pages and events."),
            Tag("Runbooks", "The calls that products' pages make for their signed-in users."),
            Tag("Operating", "Whether this instance can serve."),
            Tag("Testing", "The test clock, where it is on; never in production."),
        ],
        components=Components(
            headers={
                "RequestId": OpenAPIHeader(schema=text, description="Names this answer in the logs"),
                "RateLimit": OpenAPIHeader(schema=text, description='What is left: `"requests";r=99;t=10`'),
                "RateLimitPolicy": OpenAPIHeader(schema=text, description='The limits: `"requests";q=100;w=60`'),
            },
            security_schemes={
                "secretKey": SecurityScheme(type="http", scheme="bearer", description="A secret key `th_sk_…`"),
                "session": SecurityScheme(type="apiKey", name="th_session", security_scheme_in="cookie"),
                "formToken": SecurityScheme(
                    type="apiKey", name="X-CSRF-Token", security_scheme_in="header",
                    description="The page's form token, with a session that changes something",
                ),
            },
        ),
    )  # fmt: skip
