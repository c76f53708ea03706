"""Giving back what an admission took, inside a locked book. Every return names what it gave back, also what was lost."""

from collections.abc import Mapping

import msgspec

from tollhouse.catalog.model import Catalog
from tollhouse.ledger import queries as ledger_queries
from tollhouse.ledger.book import Book, entry_from, lot_facts, metadata_of
from tollhouse.ledger.model import Entry, Move
from tollhouse.ledger.returning import give_back, lots_named, outstanding
from tollhouse.store import Tx


class Left(msgspec.Struct, frozen=True):
    """An admission and what it has not given back, by place."""

    entry: Entry
    places: dict[tuple[str, str], int]
    refunded: bool = False


class GivenBack(msgspec.Struct, frozen=True):
    """Moves that happened, and all that counts as given back (an expired lot's part is in it too)."""

    moves: tuple[Move, ...]
    returned: tuple[Move, ...]
    lost: dict[str, int] = {}  # by meter, scaled: what had no place to go to any more


async def what_is_left(tx: Tx, book: Book, entry: Entry) -> Left:
    """What this admission could still give back, read under the account's lock; what lapsed just now is in the book."""
    rows = await tx.fetch(ledger_queries.READ_ENTRIES_ABOUT, cell=book.cell, customer=book.customer, target=entry.seq)
    written = {row["seq"]: entry_from(row) for row in rows}
    unsaved = {about.seq: about for about in book.entries if about.target == entry.seq}
    taken, returned = list(entry.moves), []
    for about in (written | unsaved).values():
        returned += msgspec.convert(metadata_of(about.metadata).get("returned", ()), list[Move])
        if about.kind == "settlement":
            taken += [move for move in about.moves if move[2] < 0]
    refunded = any(about.kind == "return" for about in (written | unsaved).values())
    return Left(entry, outstanding(taken, returned), refunded)


async def return_amounts(
    tx: Tx, catalog: Catalog, book: Book, left: Left, amounts: Mapping[str, int], *, lose_without_room: bool = False
) -> GivenBack:
    """Move `amounts` back in the book's state; the caller records the entry. Amounts must not exceed what is left.

    Raises Conflict `too_many_lots` when a spent lot finds no room, unless it may be lost then.
    """
    facts = await lot_facts(tx, book.customer, lots_named([(meter, place, 0) for meter, place in left.places]))
    state, moves, lost = give_back(
        book.state, catalog.meters, left.places, amounts, facts, book.now, lose_without_room=lose_without_room
    )
    book.state = state
    return GivenBack(moves, _as_places(left, amounts), lost)


def _as_places(left: Left, amounts: Mapping[str, int]) -> tuple[Move, ...]:
    """The places that `amounts` came from, the last taken first: the same walk as `give_back`."""
    returned: list[Move] = []
    for name, amount in amounts.items():
        for (meter, place), available in reversed(list(left.places.items())):
            part = min(amount, available) if meter == name else 0
            if part:
                returned.append((meter, place, part))
                amount -= part
    return tuple(returned)
