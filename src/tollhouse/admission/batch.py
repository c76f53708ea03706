"""What one save writes, as columns: accounts by compare-and-set, keys with answers, entries, holds and leases."""

from tollhouse.admission.deciding import Decision
from tollhouse.admission.model import Ask
from tollhouse.kernel.errors import InvariantBroken
from tollhouse.ledger.book import encode
from tollhouse.ledger.model import LARGEST_STATE_BYTES, Entry, State
from tollhouse.store import cell_of


class Batch:
    """Columns in the order of the save's parameters. One customer may have several keys and entries."""

    def __init__(self) -> None:
        self.accounts: tuple[list[int], list[str], list[int], list[str], list[int | None]] = ([], [], [], [], [])
        self.keys: tuple[list[int], list[str], list[str], list[str], list[bytes], list[int], list[str], list[int]] = (
            [], [], [], [], [], [], [], [],
        )  # fmt: skip
        self.entries: tuple[
            list[int],
            list[str],
            list[int],
            list[str],
            list[str],
            list[int],
            list[str],
            list[int],
            list[int],
            list[str | None],
        ] = ([], [], [], [], [], [], [], [], [], [])
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
        for entry in decision.entries:
            self.add_entry(cell, customer, entry)
        last = decision.entries[-1]
        cells, customers, operations, keys, fingerprints, seqs, answers, ats = self.keys
        cells.append(cell)
        customers.append(customer)
        operations.append(ask.operation)
        keys.append(ask.key)
        fingerprints.append(ask.fingerprint)
        seqs.append(last.seq)
        answers.append(decision.answer.decode())
        ats.append(last.at)
        if ask.terms is not None:
            row = (cell, customer, last.seq, ask.terms.on_expiry, last.at + ask.terms.ttl_ms)
            for column, value in zip(self.holds, row, strict=True):
                column.append(value)  # type: ignore[attr-defined]
        if decision.lease is not None:
            slots = encode(decision.lease.slots).decode()
            lease = (cell, customer, last.seq, ask.action, slots, decision.lease.ttl_ms, last.at)
            for column, item in zip(self.leases, lease, strict=True):
                column.append(item)  # type: ignore[attr-defined]

    def add_entry(self, cell: int, customer: str, entry: Entry) -> None:
        """One line of the book."""
        cells, customers, seqs, kinds, actions, ats, moves, remaining, used, metadata = self.entries
        cells.append(cell)
        customers.append(customer)
        seqs.append(entry.seq)
        kinds.append(entry.kind)
        actions.append(entry.action)
        ats.append(entry.at)
        moves.append(encode(entry.moves).decode())
        remaining.append(entry.remaining)
        used.append(entry.used)
        metadata.append(entry.metadata)

    @property
    def has_slots(self) -> bool:
        """Whether holds or leases are to be written too."""
        return bool(self.holds[0] or self.leases[0])
