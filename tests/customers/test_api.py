"""`/v1/customers` by HTTP: what is answered, what is refused and how, and that a wrong request changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, Response, get, post
from litestar.di import Provide
from litestar.params import FromPath

from tests.catalog.files import write
from tests.customers.world import CATALOG, SECRET, STARTER, World
from tollhouse.admission.desk import Admission
from tollhouse.api.customers import customer_routes
from tollhouse.api.deciding import hot_routes
from tollhouse.api.problems import PROBLEM_JSON, problem_of
from tollhouse.api.sessions import caller_of
from tollhouse.billing.checks import WebhookLog
from tollhouse.billing.desk import Desk
from tollhouse.billing.intake import Intake
from tollhouse.customers import keys
from tollhouse.customers.directory import Directory
from tollhouse.customers.keyring import KeyRing
from tollhouse.house import House
from tollhouse.kernel.clock import parse_rfc3339
from tollhouse.kernel.errors import TollhouseError
from tollhouse.ledger import actions as ledger
from tollhouse.settings import load_settings
from tollhouse.store.bells import Bells

Client = httpx.AsyncClient
ADA = {"external_id": "42", "email": "ada@example.com", "name": "Ada", "city": "Paris", "locale": "fr"}


def as_problem(_: Request[Any, Any, Any], error: TollhouseError) -> Response[bytes]:
    status, body, headers = problem_of(error)
    return Response(body, status_code=status, media_type=PROBLEM_JSON, headers=headers)


@pytest.fixture
async def house(world: World, tmp_path: Path) -> AsyncIterator[House]:
    environ = {"ENVIRONMENT": "test", "SESSION_SECRET": SECRET}
    settings = load_settings(write(tmp_path), environ, purpose="data")
    admission = Admission(world.store, CATALOG, lanes=1, cache_size=512)
    ring = KeyRing(world.store)
    await ring.refresh()
    bells = Bells()
    yield House(
        settings=settings,
        catalog=CATALOG,
        store=world.store,
        admission=admission,
        identity=world.desk,
        directory=Directory(world.store),
        keys=ring,
        bells=bells,
        stripe=None,
        webhooks=WebhookLog(),
        intake=Intake(world.store, bells.inbox),
        operations=Desk(world.store, CATALOG, settings),
    )
    await admission.close()


@pytest.fixture
async def client(world: World, house: House) -> AsyncIterator[Client]:
    """A server of the product's own, with a secret key."""

    @get("/mine/{customer:str}")
    async def mine(request: Request[Any, Any, Any], customer: FromPath[str]) -> bool:
        caller = await caller_of(house, request)
        caller.require(customer)
        return caller.is_server

    @post("/mine/{customer:str}", status_code=200)
    async def change_mine(request: Request[Any, Any, Any], customer: FromPath[str]) -> bool:
        (await caller_of(house, request)).require(customer)
        return True

    async with world.store.transaction() as tx:
        made = await keys.create_secret_key(tx, "server", world.now)
    await house.keys.refresh()
    app = Litestar(
        [customer_routes(house), *hot_routes(house), mine, change_mine],
        dependencies={"house": Provide(lambda: house, sync_to_thread=False)},
        exception_handlers={TollhouseError: as_problem},
    )
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8787") as client:
        client.headers["Authorization"] = f"Bearer {made.key}"
        yield client


async def create(client: Client, **fields: object) -> Any:
    return (await client.post("/v1/customers", json=ADA | fields)).json()


@pytest.mark.row("X2")
async def test_create_answers_201_and_the_second_time_200_with_the_same(client: Client) -> None:
    first, again = [await client.post("/v1/customers", json=ADA) for _ in range(2)]

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    customer = first.json()
    assert customer["id"].startswith("cus_")
    assert {name: customer[name] for name in ADA} == ADA
    assert (customer["plan"], customer["standing"], customer["verified"]) == ("free", "good", True)
    assert customer["meters"] == {
        "credits": {"total": 100, "used": 0, "remaining": 100, "resets_at": None},
        "requests": {"total": 30, "used": 0, "remaining": 30, "resets_at": None},
        "projects": {"total": 1, "used": 1, "remaining": 0, "resets_at": None},
    }
    assert parse_rfc3339(customer["created_at"]) > 0


@pytest.mark.row("X2")
async def test_a_customer_is_read_by_each_of_its_names(client: Client) -> None:
    customer = await create(client)
    for reference in (customer["id"], "42"):
        answer = await client.get(f"/v1/customers/{reference}")
        assert (answer.status_code, answer.json()) == (200, customer)


async def test_an_id_with_a_slash_is_found_by_query(client: Client) -> None:
    customer = await create(client, external_id="team/42?#")
    answer = await client.get("/v1/customers", params={"external_id": "team/42?#"})
    assert (answer.status_code, answer.json()) == (200, customer)
    assert (await client.get("/v1/customers", params={"external_id": "team/43"})).status_code == 404


@pytest.mark.parametrize("path", ["", "/projects", "/entries"])
async def test_nobody_is_404(client: Client, path: str) -> None:
    for reference in ("43", "cus_01jd0000000000000000000000", "a%00b", "%ff"):
        answer = await client.get(f"/v1/customers/{reference}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "customer_not_found")


async def test_without_a_live_secret_key_nothing_is_answered(client: Client, world: World) -> None:
    for header in ("", "Bearer th_sk_unknown", "Basic x", "Bearer"):
        client.headers["Authorization"] = header
        for answer in (await client.get("/v1/customers/42"), await client.post("/v1/customers", json=ADA)):
            assert answer.status_code == 401
    assert await world.count("customer") == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "ada"},
        {"external_id": "cus_1"},
        {"external_id": ""},
        {"name": "a\x00b"},
        {"locale": "français"},
        {"city": "x" * 201},
    ],
)
async def test_what_cannot_be_a_customer_is_422(client: Client, world: World, fields: dict[str, str]) -> None:
    answer = await client.post("/v1/customers", json=ADA | fields)
    assert answer.status_code == 422
    assert answer.json()["fix"]
    assert await world.count("customer") == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"email": 1}', b"{}", b'{"email": "ada@example.com", "plan": "pro"}']
)
async def test_what_is_no_request_is_a_clients_error(client: Client, world: World, body: bytes) -> None:
    answer = await client.post("/v1/customers", content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert await world.count("customer") == 0


@pytest.mark.row("S3")
async def test_a_project_too_many_is_403_and_names_the_plan_that_allows_it(client: Client) -> None:
    customer = await create(client)
    answer = await client.post("/v1/customers/42/projects", json={"name": "Second"})

    assert answer.status_code == 403
    problem = answer.json()
    assert (problem["code"], problem["meter"], problem["needed"], problem["remaining"]) == (
        "count_exhausted", "projects", 1, 0,
    )  # fmt: skip
    assert problem["upgrade"] == {"plan": "starter", "url": "/pricing?plan=starter"}
    listed = (await client.get(f"/v1/customers/{customer['id']}/projects")).json()
    assert [project["name"] for project in listed["items"]] == ["Default"]


@pytest.mark.row("S3")
async def test_a_project_is_made_once_per_key(client: Client, world: World) -> None:
    customer = await create(client)
    async with world.store.transaction() as tx:
        await ledger.set_subscription(
            tx, CATALOG, customer["id"], STARTER, world.now, anchor=None, ends_at=None, standing="good"
        )
    body = {"name": "Second", "key": "p-1"}
    first = await client.post("/v1/customers/42/projects", json=body)
    again = await client.post(
        f"/v1/customers/{customer['id']}/projects", json={"name": "Second"}, headers={"Idempotency-Key": "p-1"}
    )
    other = await client.post("/v1/customers/42/projects", json={"name": "Third", "key": "p-1"})

    assert first.status_code == again.status_code == 201
    assert again.json() == first.json() | {"replayed": True}
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await client.get("/v1/customers/42")).json()["meters"]["projects"]["used"] == 2


async def test_a_grant_is_given_once_per_key(client: Client) -> None:
    await create(client)
    body = {"meter": "credits", "amount": 12.5, "key": "g-1", "reason": "sorry", "expires_at": "2100-01-01T00:00:00Z"}
    first, again = [(await client.post("/v1/customers/42/grants", json=body)).json() for _ in range(2)]

    assert (first["amount"], first["meter"], first["replayed"]) == (12.5, "credits", False)
    assert first["expires_at"] == "2100-01-01T00:00:00.000Z"
    assert again == first | {"replayed": True}
    changed = await client.post("/v1/customers/42/grants", json=body | {"amount": 13})
    assert (changed.status_code, changed.json()["code"]) == (422, "idempotency_key_reused")
    meters = (await client.get("/v1/customers/42")).json()["meters"]
    assert meters["credits"]["remaining"] == 112.5


@pytest.mark.parametrize(
    "fields",
    [{"amount": 0}, {"amount": -1}, {"amount": 0.0001}, {"amount": 1e300}, {"meter": "requests"}, {"meter": "unknown"},
     {"expires_at": "2001-01-01T00:00:00Z"}, {"expires_at": "tomorrow"}, {"key": None}, {"key": "~mine"}, {"key": "a\x00b"},
     {"reason": ""}, {"reason": "a\x00b"}, {"expires_at": "9999-12-31T23:59:59-23:59"}],
)  # fmt: skip
async def test_a_wrong_grant_is_422_and_gives_nothing(client: Client, fields: dict[str, object]) -> None:
    await create(client)
    body = {"meter": "credits", "amount": 1, "key": "g-1", "reason": "sorry"} | fields
    answer = await client.post("/v1/customers/42/grants", json=body)
    assert answer.status_code == 422, answer.text
    assert (await client.get("/v1/customers/42")).json()["meters"]["credits"]["total"] == 100


async def test_the_book_is_read_in_pages_newest_first(client: Client) -> None:
    await create(client)
    for number in range(5):
        grant = {"meter": "credits", "amount": 1.5, "key": f"g-{number}", "reason": f"gift {number}"}
        await client.post("/v1/customers/42/grants", json=grant)

    pages, after = [], None
    while True:
        query: dict[str, str | int] = {"limit": 3} | ({"after": after} if after else {})
        page = (await client.get("/v1/customers/42/entries", params=query)).json()
        pages.append(page["entries"])
        after = page["next"]
        if after is None:
            break
    entries = [entry for page in pages for entry in page]

    assert [len(page) for page in pages] == [3, 3, 2]
    assert [entry["action"] for entry in entries] == ["grant"] * 5 + ["create_project", "sign_up_grant", "opened"]
    assert [entry["deltas"] for entry in entries[:1] + entries[5:]] == [
        {"credits": 1.5},
        {"projects": -1},
        {"credits": 100},
        {},
    ]
    assert [entry["remaining"] for entry in entries[:2]] == [{"credits": 107.5}, {"credits": 106}]
    assert entries[0]["metadata"] == {"reason": "gift 4"}
    assert len({entry["id"] for entry in entries}) == 8
    # The project's entry is no admission: what was taken beside a thing is not refunded while the thing is there.
    assert {entry["id"][:4] for entry in entries} == {"ent_"}


@pytest.mark.row("S11")
async def test_a_session_counts_once_however_often_its_start_is_reported(client: Client) -> None:
    customer = await create(client)
    start = {
        "customer": "42",
        "action": "realtime_session",
        "key": "session-81",
        "metadata": {"project": "prj_7", "user": "usr_9"},
    }
    answers = [(await client.post("/v1/admit", json=start)).json() for _ in range(3)]

    assert [answer["replayed"] for answer in answers] == [False, True, True]
    assert len({answer["id"] for answer in answers}) == 1
    entries = (await client.get(f"/v1/customers/{customer['id']}/entries")).json()["entries"]
    assert [entry["action"] for entry in entries].count("realtime_session") == 1
    assert entries[0]["id"] == answers[0]["id"]
    assert entries[0]["metadata"] == start["metadata"]
    assert entries[0]["deltas"] == {"credits": -1, "requests": -1}
    assert entries[0]["remaining"] == {"credits": 99}


@pytest.mark.parametrize("query", ["after=x", "after=ent_", "limit=0", "limit=101", "after=%00", "limit=many"])
async def test_a_wrong_page_is_a_clients_error(client: Client, query: str) -> None:
    await create(client)
    assert (await client.get(f"/v1/customers/42/entries?{query}")).status_code in (400, 422)


async def test_the_cursor_of_another_customer_is_refused(client: Client) -> None:
    await create(client)
    await create(client, external_id="43", email="bob@example.com")
    page = (await client.get("/v1/customers/43/entries?limit=1")).json()
    answer = await client.get(f"/v1/customers/42/entries?after={page['next']}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


@pytest.mark.row("X1")
async def test_a_user_acts_for_their_own_customer_only(client: Client, world: World, house: House) -> None:
    ada, bob = await world.sign_up("ada@example.com"), await world.sign_up("bob@example.com")
    assert (await client.get(f"/mine/{bob.customer}")).json() is True
    del client.headers["Authorization"]
    assert (await client.get(f"/mine/{ada.customer}")).status_code == 401

    client.cookies.set("th_session", ada.session.token)
    assert (await client.get(f"/mine/{ada.customer}")).json() is False
    refused = await client.get(f"/mine/{bob.customer}")
    assert (refused.status_code, refused.json()["code"]) == (403, "not_your_customer")

    form = {"x-csrf-token": house.identity.seal.form_token(ada.session.token)}
    assert (await client.post(f"/mine/{ada.customer}")).status_code == 403
    assert (await client.post(f"/mine/{ada.customer}", headers=form)).status_code == 200
    elsewhere = form | {"origin": "https://evil.example"}
    assert (await client.post(f"/mine/{ada.customer}", headers=elsewhere)).json()["code"] == "form_expired"
    ours = form | {"origin": "http://127.0.0.1:8787"}
    assert (await client.post(f"/mine/{ada.customer}", headers=ours)).status_code == 200
