"""What one save writes, as rows: accounts by compare-and-set, keys with answers, entries, holds, leases, facts."""

from tollhouse.admission.deciding import Decision
from tollhouse.admission.model import Ask
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.errors import InvariantBroken
from tollhouse.ledger.balances import balances_told
from tollhouse.ledger.book import encode
from tollhouse.ledger.model import LARGEST_STATE_BYTES, Entry, State
from tollhouse.store import cell_of, outbox

AccountRow = tuple[int, str, int, str, int | None]
"""cell, customer, version, state, next_due"""
EntryRow = tuple[
    int, str, int, str, str, int, str, int, int, str | None, str | None, str | None, bytes | None, str | None
]
"""cell, customer, seq, kind, action, at, moves, remaining, used, metadata; operation, key, fingerprint, answer"""
HoldRow = tuple[int, str, int, str, int]
"""cell, customer, seq, on_expiry, expires_at"""
SlotRow = tuple[int, str, int, str, str, int, int]
"""cell, customer, seq, action, slots, ttl_ms, at"""
FactRow = tuple[str, str, str, str, int]
"""id, fact, customer, payload, at"""


class Batch:
    """Rows in the order of the save's parameters. An entry without key is a turn or an expiry that came first."""

    def __init__(self) -> None:
        self.accounts: list[AccountRow] = []
        self.entries: list[EntryRow] = []
        self.holds: list[HoldRow] = []
        self.leases: list[SlotRow] = []
        self.facts: list[FactRow] = []

    @property
    def customers(self) -> set[str]:
        """Whose accounts are to be saved."""
        return {row[1] for row in self.accounts}

    def add(self, customer: str, version: int, state: State, decided: list[tuple[Ask, Decision]]) -> None:
        """All that was allowed to one customer, and the document after it. Raises InvariantBroken past 8 kB."""
        document = encode(state)
        if len(document) > LARGEST_STATE_BYTES:
            raise InvariantBroken(f"the account's document is {len(document)} bytes, more than {LARGEST_STATE_BYTES}")
        cell = cell_of(customer)
        self.accounts.append((cell, customer, version, document.decode(), state.next_due))
        for ask, decision in decided:
            entries = decision.entries
            if len(entries) > 1:
                self.entries += [_row(cell, customer, entry, None, None, None, None) for entry in entries[:-1]]
            last = entries[-1]
            answer = decision.answer.decode()
            self.entries.append(_row(cell, customer, last, ask.operation, ask.key, ask.fingerprint, answer))
            if ask.terms is not None:
                self.holds.append((cell, customer, last.seq, ask.terms.on_expiry, last.at + ask.terms.ttl_ms))
            if decision.lease is not None:
                slots = encode(decision.lease.slots).decode()
                self.leases.append((cell, customer, last.seq, ask.action, slots, decision.lease.ttl_ms, last.at))

    def tell(self, customer: str, before: State, after: State, catalog: Catalog) -> None:
        """Lines that this customer's balances have crossed on the way, each told once for its key."""
        for fact, key in balances_told(customer, before, after, catalog):
            identifier, tag, payload = outbox.row_once(fact, key)
            self.facts.append((identifier, tag, customer, payload, after.decided_at))


def _row(
    cell: int, customer: str, entry: Entry,
    operation: str | None, key: str | None, fingerprint: bytes | None, answer: str | None,
) -> EntryRow:  # fmt: skip
    return (
        cell, customer, entry.seq, entry.kind, entry.action, entry.at, encode(entry.moves).decode(),
        entry.remaining, entry.used, entry.metadata, operation, key, fingerprint, answer,
    )  # fmt: skip
