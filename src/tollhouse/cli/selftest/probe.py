"""The instance under test, seen by HTTP alone: its catalogue, its answers."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

import aiohttp
import msgspec

from tollhouse.kernel.errors import InvalidRequest, NotAuthenticated, NotFound, Unavailable

Shape = TypeVar("Shape")
Amount = Decimal

_encode = msgspec.json.Encoder(decimal_format="number").encode


class Health(msgspec.Struct, frozen=True):
    """What /health says."""

    status: str
    environment: str
    version: str

    @property
    def production(self) -> bool:
        return self.environment == "production" or self.environment.startswith("production-")


class MeterOffer(msgspec.Struct, frozen=True):
    """A meter of the catalogue."""

    kind: str


class ActionOffer(msgspec.Struct, frozen=True):
    """An action and its cost."""

    cost: dict[str, Amount]
    priced_by: list[str] = []


class ToolOffer(msgspec.Struct, frozen=True):
    """A tool and the action of launching it."""

    action: str


class PriceOffer(msgspec.Struct, frozen=True):
    """A price."""

    every: str


class PlanOffer(msgspec.Struct, frozen=True):
    """A plan."""

    plan: str
    limits: dict[str, Amount | None]
    credits: dict[str, Amount]
    adds: list[str]
    verified_only: list[str]
    prices: list[PriceOffer]


class Offers(msgspec.Struct, frozen=True):
    """What the instance sells."""

    product: str
    free_plan: str
    meters: dict[str, MeterOffer]
    actions: dict[str, ActionOffer]
    tools: dict[str, ToolOffer]
    plans: list[PlanOffer]

    @property
    def free(self) -> PlanOffer:
        return next(plan for plan in self.plans if plan.plan == self.free_plan)


class Meter(msgspec.Struct, frozen=True):
    """One meter of a customer."""

    total: Amount | None
    used: Amount
    remaining: Amount | None


class Customer(msgspec.Struct, frozen=True):
    """A customer as the instance shows it."""

    id: str
    plan: str
    standing: str
    meters: dict[str, Meter]


class Reason(msgspec.Struct, frozen=True):
    """Why something was refused."""

    code: str
    meter: str | None = None
    retry_after: float | None = None


class Lease(msgspec.Struct, frozen=True):
    """A slot that the admission holds."""

    heartbeat_every: float


class Decision(msgspec.Struct, frozen=True):
    """The answer to an admission, allowed or refused."""

    allowed: bool
    id: str | None = None
    replayed: bool = False
    reason: Reason | None = None
    lease: Lease | None = None
    meters: dict[str, Meter] = {}


class Entry(msgspec.Struct, frozen=True):
    """One line of the book."""

    kind: str
    action: str
    deltas: dict[str, Amount]
    metadata: dict[str, object]


class EntryPage(msgspec.Struct, frozen=True):
    """The newest lines."""

    entries: list[Entry]


class Page(msgspec.Struct, frozen=True):
    """An address to go to."""

    url: str


class Reply(msgspec.Struct, frozen=True):
    """An HTTP answer."""

    status: int
    body: bytes
    where: str

    def of(self, shape: type[Shape]) -> Shape:
        """The body in this shape. Raises Unavailable when it is none of Tollhouse's."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except msgspec.MsgspecError as error:
            raise Unavailable(
                f"{self.where} answered {self.status} with something else than expected: {error}",
                fix="check that the address is Tollhouse's own, and of this version",
            ) from None

    def ok(self, shape: type[Shape]) -> Shape:
        """The body of a success. Raises InvalidRequest with what the problem says."""
        if self.status >= 400:
            told = self.problem()
            raise InvalidRequest(
                f"{self.where} answered {self.status}: {told.detail or told.code}", code=told.code, fix=told.fix
            )
        return self.of(shape)

    def problem(self) -> "Problem":
        """What the problem document says, as far as there is one."""
        try:
            return msgspec.json.decode(self.body, type=Problem)
        except msgspec.MsgspecError:
            return Problem(code=f"http_{self.status}")


class Problem(msgspec.Struct, frozen=True):
    """The part of a problem document that readers need."""

    code: str
    detail: str = ""
    fix: str | None = None


class Probe:
    """Calls the instance with a secret key."""

    def __init__(self, http: aiohttp.ClientSession, url: str, key: str) -> None:
        self.http = http
        self.url = url.rstrip("/")
        self._key = key

    async def call(
        self, method: str, path: str, body: Mapping[str, object] | None = None, *, signed: bool = True
    ) -> Reply:
        """One call, with the secret key unless `signed` is false. Raises Unavailable when nothing answers."""
        headers = {"authorization": f"Bearer {self._key}"} if signed else {}
        data = None
        if body is not None:
            data, headers["content-type"] = _encode(body), "application/json"
        try:
            async with self.http.request(
                method, self.url + path, headers=headers, data=data, allow_redirects=False
            ) as answer:
                return Reply(answer.status, await answer.read(), f"{method} {path}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(
                f"nothing answers at {self.url}: {str(error) or type(error).__name__}",
                code="no_answer", fix="start the instance, or correct the address",
            ) from None  # fmt: skip

    async def health(self) -> Health:
        """Raises Unavailable when the instance is not there or cannot serve."""
        reply = await self.call("GET", "/health", signed=False)
        health = reply.of(Health)
        if reply.status != 200:
            raise Unavailable(
                f"{self.url} says that it cannot serve", code="not_healthy", fix=f"read {self.url}/health"
            )
        return health

    async def offers(self) -> Offers:
        """The catalogue. Raises NotAuthenticated for a wrong key."""
        reply = await self.call("GET", "/v1/catalog")
        if reply.status == 401:
            raise NotAuthenticated(
                f"{self.url} does not know this key",
                fix="pass a secret key of this environment: `tollhouse keys create`",
            )
        if reply.status == 404:
            raise NotFound(f"{self.url} shows no catalogue", fix="bring the instance to this version of Tollhouse")
        return reply.ok(Offers)

    async def customer(self, customer: str) -> Customer:
        """How the customer stands now."""
        return (await self.call("GET", f"/v1/customers/{customer}")).ok(Customer)

    async def entries(self, customer: str) -> list[Entry]:
        """The newest lines of its book."""
        return (await self.call("GET", f"/v1/customers/{customer}/entries")).ok(EntryPage).entries
