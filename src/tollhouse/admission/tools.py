"""Tool sessions (row A4): launching is an admission, and keeps who worked with which tool from when to when."""

from contextlib import suppress
from hashlib import blake2b

import msgspec

from tollhouse.admission import queries
from tollhouse.admission.desk import Admission
from tollhouse.admission.leases import end as end_lease
from tollhouse.admission.model import Answer
from tollhouse.catalog.model import Tool
from tollhouse.kernel.errors import NotFound
from tollhouse.kernel.ids import new_id
from tollhouse.store import Row, Tx, cell_of

_decode_answer = msgspec.json.Decoder(Answer).decode


class ToolSession(msgspec.Struct, frozen=True):
    """One launch of a tool. Times in ms; `ended_at` None while it runs."""

    id: str
    user: str
    tool: str
    admission: str
    started_at: int
    ended_at: int | None


class Launch(msgspec.Struct, frozen=True):
    """What a launch came to: the answer as admitted or refused, and the session when it was allowed."""

    answer: Answer
    session: ToolSession | None


async def launch(admission: Admission, customer: str, user: str, tool: Tool, key: str) -> Launch:
    """Debit the tool's cost and keep the session, once per key: the same key finds the same session.

    The debit is durable first. Should the process die before the session is kept, the same key keeps it.
    """
    charge = admission.prices.charge(tool.action)
    metadata = msgspec.json.encode({"tool": tool.name, "user": user}).decode()
    mark = blake2b(f"launch\0{customer}\0{user}\0{tool.name}".encode(), digest_size=16).digest()
    outcome = await admission.submit("admit", customer, charge, key, mark, metadata)
    answer = _decode_answer(outcome.body)
    if not answer.allowed or answer.id is None:
        return Launch(answer, None)
    async with admission.store.transaction() as tx:
        await tx.execute(
            queries.START_TOOL_SESSION, cell=cell_of(customer), customer=customer, id=new_id("ses"), user=user,
            tool=tool.name, admission=answer.id, started_at=admission.store.clock.now_ms(),
        )  # fmt: skip
        row = await tx.fetch_one(
            queries.TOOL_SESSION_OF, cell=cell_of(customer), customer=customer, admission=answer.id
        )
    return Launch(answer, _session(row) if row is not None else None)


async def end(tx: Tx, admission: Admission, customer: str, session: str, now: int) -> ToolSession:
    """The tool was closed; a slot that the launch held comes back. Idempotent. Raises NotFound."""
    found = await read(tx, customer, session)
    if found.ended_at is None:
        await tx.execute(queries.END_TOOL_SESSION, cell=cell_of(customer), customer=customer, id=session, ended_at=now)
        with suppress(NotFound):  # most tools hold no slot
            await end_lease(tx, admission.catalog, found.admission, now)
    return await read(tx, customer, session)


async def read(tx: Tx, customer: str, session: str) -> ToolSession:
    """One session of this customer's. Raises NotFound `session_not_found`."""
    row = await tx.fetch_one(queries.READ_TOOL_SESSION, cell=cell_of(customer), customer=customer, id=session)
    if row is None:
        raise NotFound(f"there is no session {session}", code="session_not_found", fix="launch the tool")
    return _session(row)


async def recent(tx: Tx, customer: str, most: int = 20) -> list[ToolSession]:
    """The newest sessions first."""
    rows = await tx.fetch(queries.RECENT_TOOL_SESSIONS, cell=cell_of(customer), customer=customer, most=most)
    return [_session(row) for row in rows]


def _session(row: Row) -> ToolSession:
    return ToolSession(row["id"], row["user_id"], row["tool"], row["admission"], row["started_at"], row["ended_at"])
