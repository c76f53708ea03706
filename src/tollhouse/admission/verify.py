"""Slots counted again: what an account says is held, against its open leases and holds, in the same snapshot."""

from collections import Counter

import msgspec

from tollhouse.admission import queries
from tollhouse.catalog.model import Catalog
from tollhouse.ledger.book import decode_moves
from tollhouse.ledger.recount import Discrepancy
from tollhouse.ledger.verify import Accounts, At
from tollhouse.store import Tx, Value

_slots = msgspec.json.Decoder(dict[str, int]).decode


async def check_slots(tx: Tx, catalog: Catalog, accounts: Accounts) -> list[Discrepancy]:
    """A `PageCheck` for `verify_all`: slots held beside slots of sessions and holds that are open."""
    if not accounts:
        return []
    (cell, customer), (last_cell, last_customer) = next(iter(accounts)), next(reversed(accounts))
    span: dict[str, Value] = {
        "cell": cell, "customer": customer, "last_cell": last_cell, "last_customer": last_customer,
    }  # fmt: skip
    taken: dict[At, Counter[str]] = {at: Counter() for at in accounts}
    for row in await tx.fetch(queries.OPEN_LEASES_OF_SPAN, **span):
        for meter, slots in _slots(row["slots"]).items():
            taken.setdefault((row["cell"], row["customer"]), Counter())[meter] += slots
    for row in await tx.fetch(queries.OPEN_HOLDS_OF_SPAN, **span):
        for meter, _place, amount in decode_moves(row["moves"]):
            if meter in catalog.meters and catalog.meters[meter].kind == "lease":
                taken.setdefault((row["cell"], row["customer"]), Counter())[meter] -= amount
    findings: list[Discrepancy] = []
    for at, state in accounts.items():
        for meter in sorted({*state.held, *taken[at]}):
            expected, found = taken[at][meter], state.held.get(meter, 0)
            if expected != found:
                findings.append(Discrepancy(at[1], meter, "slots of open sessions and holds", expected, found))
    return findings
