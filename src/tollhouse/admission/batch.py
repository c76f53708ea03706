"""What one save writes, as columns: accounts by compare-and-set, keys with answers, entries, holds and leases."""

from tollhouse.admission.deciding import Decision
from tollhouse.admission.model import Ask
from tollhouse.kernel.errors import InvariantBroken
from tollhouse.ledger.book import encode
from tollhouse.ledger.model import LARGEST_STATE_BYTES, Entry, State
from tollhouse.store import cell_of


class Batch:
    """Columns in the order of the save's parameters. An entry without key is a turn or an expiry that came first."""

    def __init__(self) -> None:
        self.accounts: tuple[list[int], list[str], list[int], list[str], list[int | None]] = ([], [], [], [], [])
        self.entries: tuple[
            list[int], list[str], list[int], list[str], list[str], list[int], list[str], list[int], list[int],
            list[str | None], list[str | None], list[str | None], list[bytes | None], list[str | None],
        ] = ([], [], [], [], [], [], [], [], [], [], [], [], [], [])  # fmt: skip
        self.holds: tuple[list[int], list[str], list[int], list[str], list[int]] = ([], [], [], [], [])
        self.leases: tuple[list[int], list[str], list[int], list[str], list[str], list[int], list[int]] = (
            [], [], [], [], [], [], [],
        )  # fmt: skip

    def add_account(self, customer: str, version: int, state: State) -> None:
        """The document after the last decision of this customer. Raises InvariantBroken past 8 kB."""
        document = encode(state)
        if len(document) > LARGEST_STATE_BYTES:
            raise InvariantBroken(f"the account's document is {len(document)} bytes, more than {LARGEST_STATE_BYTES}")
        cells, customers, versions, states, dues = self.accounts
        cells.append(cell_of(customer))
        customers.append(customer)
        versions.append(version)
        states.append(document.decode())
        dues.append(state.next_due)

    def add_decision(self, ask: Ask, decision: Decision) -> None:
        """An allowed ask: its key with the answer, its entries, its hold or lease."""
        cell, customer = cell_of(ask.customer), ask.customer
        for entry in decision.entries[:-1]:
            self._add_entry(cell, customer, entry, None, None, None, None)
        last = decision.entries[-1]
        self._add_entry(cell, customer, last, ask.operation, ask.key, ask.fingerprint, decision.answer.decode())
        if ask.terms is not None:
            row = (cell, customer, last.seq, ask.terms.on_expiry, last.at + ask.terms.ttl_ms)
            for column, value in zip(self.holds, row, strict=True):
                column.append(value)  # type: ignore[attr-defined]
        if decision.lease is not None:
            slots = encode(decision.lease.slots).decode()
            lease = (cell, customer, last.seq, ask.action, slots, decision.lease.ttl_ms, last.at)
            for column, item in zip(self.leases, lease, strict=True):
                column.append(item)  # type: ignore[attr-defined]

    def _add_entry(
        self, cell: int, customer: str, entry: Entry,
        operation: str | None, key: str | None, fingerprint: bytes | None, answer: str | None,
    ) -> None:  # fmt: skip
        columns = self.entries
        columns[0].append(cell)
        columns[1].append(customer)
        columns[2].append(entry.seq)
        columns[3].append(entry.kind)
        columns[4].append(entry.action)
        columns[5].append(entry.at)
        columns[6].append(encode(entry.moves).decode())
        columns[7].append(entry.remaining)
        columns[8].append(entry.used)
        columns[9].append(entry.metadata)
        columns[10].append(operation)
        columns[11].append(key)
        columns[12].append(fingerprint)
        columns[13].append(answer)
