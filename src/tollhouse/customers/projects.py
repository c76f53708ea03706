"""Projects: each counts on the meter `projects`, when the catalogue has one, and has a public key of its own (S3)."""

import secrets
from collections.abc import Mapping

import msgspec

from tollhouse.catalog.model import Catalog
from tollhouse.customers import queries
from tollhouse.customers.model import Project, ProjectOwner
from tollhouse.identity.emails import plain_text
from tollhouse.kernel.errors import InvalidRequest, NotAuthenticated, Refused
from tollhouse.kernel.ids import new_id
from tollhouse.ledger.actions import take_in_transaction
from tollhouse.ledger.book import first_answer, keep_answer, open_book
from tollhouse.ledger.views import reason_of
from tollhouse.store import Tx, cell_of

COUNT_METER = "projects"
CREATE_ACTION = "create_project"
DEFAULT_NAME = "Default"
OPERATION = "project"
PUBLIC_PREFIX = "th_pk_"

_decode_project = msgspec.json.Decoder(Project).decode


def counts_projects(catalog: Catalog) -> bool:
    """Whether this catalogue limits how many projects a customer owns."""
    meter = catalog.meters.get(COUNT_METER)
    return meter is not None and meter.kind == "count"


def _one_project(catalog: Catalog) -> dict[str, int]:
    return {COUNT_METER: 10 ** catalog.meters[COUNT_METER].decimals} if counts_projects(catalog) else {}


async def create_project(
    tx: Tx, catalog: Catalog, customer: str, name: str, now: int, *, key: str | None = None, fingerprint: bytes = b""
) -> Project:
    """One more project, and its debit, in the caller's transaction; once per idempotency key.

    Costs what the action `create_project` says, by default one on the meter `projects`. Raises InvalidRequest, KeyReused;
    Refused with the reason's fields (`meter`, `needed`, `remaining`, `upgrade`) when the plan allows no more.
    """
    label = plain_text(name, "the project's name")
    if not label:
        raise InvalidRequest("the project has no name", fix="send a name of 1 to 200 characters")
    book = await open_book(tx, catalog, customer, now)  # locks: two calls with one key come after one another
    earlier = await first_answer(tx, customer, OPERATION, key, fingerprint) if key is not None else None
    if earlier is not None:
        return msgspec.structs.replace(_decode_project(earlier), replayed=True)
    action = catalog.actions.get(CREATE_ACTION)
    await _pay(tx, catalog, customer, action.cost if action is not None else _one_project(catalog), now)
    project = await _add_project(tx, customer, label, now)
    if key is not None:
        await keep_answer(tx, book, OPERATION, key, fingerprint, msgspec.json.encode(project).decode())
    return project


async def add_default_project(tx: Tx, catalog: Catalog, customer: str, now: int) -> None:
    """The project that every new customer has; it counts as one. A free plan that allows none gives none."""
    cost = _one_project(catalog)
    limit = catalog.plans[catalog.free_plan].limits.get(COUNT_METER, 0)
    if cost and limit is not None and limit < cost[COUNT_METER]:
        return
    await _pay(tx, catalog, customer, cost, now)
    await _add_project(tx, customer, DEFAULT_NAME, now)


async def _pay(tx: Tx, catalog: Catalog, customer: str, cost: Mapping[str, int], now: int) -> None:
    if not cost:
        return
    try:
        await take_in_transaction(tx, catalog, customer, cost, CREATE_ACTION, now)
    except Refused as refusal:
        shortage, plan = refusal.fields["shortage"], refusal.fields["plan"]
        reason = reason_of(shortage, catalog, plan)  # type: ignore[arg-type]
        raise Refused(
            f"one more project is refused: {reason.code}",
            code=reason.code,
            fix=f"the plan {reason.upgrade.plan} allows more" if reason.upgrade else None,
            meter=reason.meter,
            needed=reason.needed,
            remaining=reason.remaining,
            resets_at=reason.resets_at,
            upgrade=reason.upgrade,
        ) from None


async def _add_project(tx: Tx, customer: str, name: str, now: int) -> Project:
    project = Project(new_id("prj"), name, now, PUBLIC_PREFIX + secrets.token_urlsafe(24))
    await tx.execute(
        queries.INSERT_PROJECT, cell=cell_of(customer), customer=customer, id=project.id, name=name, now=now
    )
    await tx.execute(queries.INSERT_PROJECT_KEY, key=project.key, customer=customer, project=project.id, now=now)
    return project


async def list_projects(tx: Tx, customer: str) -> list[Project]:
    """A customer's projects, the oldest first."""
    rows = await tx.fetch(queries.LIST_PROJECTS, cell=cell_of(customer), customer=customer)
    return [Project(row["id"], row["name"], row["created_at"], row["key"]) for row in rows]


async def owner_of_key(tx: Tx, key: str) -> ProjectOwner:
    """Whose this public key (`th_pk_…`) is. Raises NotAuthenticated `invalid_key`."""
    row = await tx.fetch_one(queries.READ_PROJECT_KEY, key=key) if key.isascii() and key.isprintable() else None
    if row is None:
        raise NotAuthenticated(
            "this project key is unknown or was revoked", code="invalid_key", fix="copy the key from the project's page"
        )
    return ProjectOwner(row["customer"], row["project"])
