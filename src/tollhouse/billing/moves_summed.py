"""A preview of moves, summed up: from where to where, how many, what changes, and why some stay. Pure, and small."""

from collections import Counter

import msgspec

from tollhouse.billing.moves import Changed, Move
from tollhouse.kernel.money import Money


class PriceChange(msgspec.Struct, frozen=True):
    """How many subscribers pay what before and after; the same where nothing changes."""

    customers: int
    before: Money
    after: Money
    every: str


class Group(msgspec.Struct, frozen=True):
    """Everybody of one version who goes to one other. `told`: of those who move, who has had the e-mail."""

    from_plan: str
    from_version: int
    to_plan: str
    to_version: int
    moving: int
    told: int
    staying: dict[str, int]
    changes: tuple[Changed, ...]
    prices: tuple[PriceChange, ...]


class Summary:
    """Adds moves up; what it keeps grows with the pairs of versions, not with the customers."""

    def __init__(self) -> None:
        self._moving: Counter[tuple[str, int, str, int]] = Counter()
        self._told: Counter[tuple[str, int, str, int]] = Counter()
        self._staying: dict[tuple[str, int, str, int], Counter[str]] = {}
        self._changes: dict[tuple[str, int, str, int], tuple[Changed, ...]] = {}
        self._prices: dict[tuple[str, int, str, int], Counter[tuple[Money, Money, str]]] = {}

    def add(self, move: Move) -> None:
        """One more customer."""
        pair = (move.from_plan, move.from_version, move.to_plan, move.to_version)
        self._changes.setdefault(pair, move.changes)
        if move.stays is not None:
            self._staying.setdefault(pair, Counter())[move.stays] += 1
            return
        self._moving[pair] += 1
        self._told[pair] += move.notified
        if move.price_before is not None and move.price_after is not None and move.every is not None:
            self._prices.setdefault(pair, Counter())[(move.price_before, move.price_after, move.every)] += 1

    def groups(self) -> list[Group]:
        """In the order of their names."""
        return [
            Group(
                *pair, self._moving[pair], self._told[pair], dict(sorted(self._staying.get(pair, {}).items())),
                changes, tuple(self._price_changes(pair)),
            )
            for pair, changes in sorted(self._changes.items())
        ]  # fmt: skip

    def _price_changes(self, pair: tuple[str, int, str, int]) -> list[PriceChange]:
        return [
            PriceChange(number, before, after, every)
            for (before, after, every), number in self._prices.get(pair, Counter()).most_common()
        ]
