"""Stripe's events as staff look for them: filtered, page after page, payloads without secrets; replayed one by one or all.

A page is found by the place where the last one ended, so that the hundredth thousand costs what the first hundred do.
"""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime

import msgspec

from tollhouse.billing.linking import link_of_customer, link_of_stripe
from tollhouse.billing.syncing import SOURCE
from tollhouse.customers.actions import resolve
from tollhouse.kernel.clock import DAY, parse_rfc3339, rfc3339
from tollhouse.kernel.errors import InvalidRequest, NotFound
from tollhouse.kernel.masking import mask, mask_text
from tollhouse.store import Row, Sql, Store, Tx, inbox
from tollhouse.store.inbox import Event

STATUSES = ("parked", "pending", "done")
MOST_COUNTED = 100_000
RECENT_MS = 30 * DAY
REPLAYED_AT_ONCE = 500
LONGEST_TEXT = 255
_LAST = 1 << 60

_FIELDS = "id, type, subject, status, received_at, attempts, due_at, done_at, failed_at, error"
_WANTED = (
    "received_at >= :since and received_at < :until"
    " and (:type = '' or type = :type or type like :type_like escape '!') and (:subject = '' or subject = :subject)"
)
# How something is searched stands in the text too: by an id there is an index, by a part of a text there is none. The
# key begins with the source: where it is not an event that is searched it must not be taken for the index by time.
_ANY_KEY = " and source || '' = :source"
_SEARCH = {
    "": _ANY_KEY,
    "event": " and source = :source and id = :search",
    "customer": f"{_ANY_KEY} and subject = :search",
    "text": f"{_ANY_KEY} and (id = :search or subject = :search or lower(type) like :search_like escape '!'"
    " or lower(coalesce(error, '')) like :search_like escape '!')",
}
# The status stands in the text: the index of what is parked is of use for that one alone.
_OF = {"": "", **{status: f" and status = '{status}'" for status in STATUSES}}
_SHAPES = {(status, by): f"{of}{found}" for status, of in _OF.items() for by, found in _SEARCH.items()}
_PAGE = "and (received_at, id) < (:before, :before_id) order by received_at desc, id desc limit :most"
_LIST = {shape: Sql(f"select {_FIELDS} from inbox where {_WANTED}{of} {_PAGE}") for shape, of in _SHAPES.items()}
_COUNT = {
    shape: Sql(f"select count(*) as number from (select 1 from inbox where {_WANTED}{of} limit :most) as counted")
    for shape, of in _SHAPES.items()
}
_TO_REPLAY = {
    shape: Sql(f"select received_at, id from inbox where {_WANTED}{of} and status <> 'pending' {_PAGE}")
    for shape, of in _SHAPES.items()
}


class EventFilter(msgspec.Struct, frozen=True):
    """Which events: empty fields ask for nothing. Times in ms, `until` is not reached. `type` may end in `*`; `search` is an
    id, a Stripe customer's id, or a part of a type or an error. `recent`: the search was kept to the last 30 days.
    """

    status: str = ""
    type: str = ""
    customer: str = ""
    since: int = 0
    until: int = _LAST
    search: str = ""
    recent: bool = False

    @property
    def by(self) -> str:
        """How the search is done: by an event's id, by a Stripe customer's, or in the texts."""
        named = {"evt_": "event", "cus_": "customer"}
        return named.get(self.search[:4], "text") if self.search else ""

    @property
    def shape(self) -> tuple[str, str]:
        """Which of the statements finds them."""
        return self.status, self.by


class EventLine(msgspec.Struct, frozen=True):
    """One event without its payload. Times in ms."""

    id: str
    type: str
    subject: str
    status: str
    received_at: int
    attempts: int
    due_at: int
    done_at: int | None
    failed_at: int | None
    error: str | None

    @property
    def place(self) -> str:
        """Where a page that ends with this event ended."""
        return f"{self.received_at}.{self.id}"


class EventView(msgspec.Struct, frozen=True):
    """One event as JSON. `next_try_at` while it is pending; `failing_since` until it is handled after all."""

    id: str
    type: str
    subject: str
    status: str
    received_at: str
    attempts: int
    next_try_at: str | None
    handled_at: str | None
    failing_since: str | None
    error: str | None


def read_filter(given: Mapping[str, str], now: int = 0) -> EventFilter:
    """From a query or options. Raises InvalidRequest naming what is allowed.

    No index finds a part of a text. So a search in texts looks at the 30 days before `now` (ms), unless it is told from or
    until when, or for what is parked: that is little.
    """
    status = given.get("status", "")
    if status not in ("", "all", *STATUSES):
        raise InvalidRequest(
            f"there is no status {status[:40]!r}", code="unknown_status", fix="name parked, pending, done or all"
        )
    texts = {name: given.get(name, "").strip() for name in ("type", "customer", "search")}
    for name, text in texts.items():
        if not text.isprintable() or len(text) > LONGEST_TEXT:
            raise InvalidRequest(f"{name} is no text of at most {LONGEST_TEXT} characters", fix="shorten it")
    found = EventFilter(
        "" if status == "all" else status, texts["type"], texts["customer"], _time(given.get("since", ""), 0, 0),
        _time(given.get("until", ""), DAY, _LAST), texts["search"],
    )  # fmt: skip
    if now and found.by == "text" and status != "parked" and not given.get("since") and not given.get("until"):
        return msgspec.structs.replace(found, since=now - RECENT_MS, recent=True)
    return found


def _time(text: str, whole_day: int, otherwise: int) -> int:
    if not text:
        return otherwise
    try:
        if len(text) == 10:
            day = date.fromisoformat(text)
            return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000) + whole_day
        return parse_rfc3339(text)
    except ValueError as error:
        raise InvalidRequest(
            f"{text[:40]!r} is no time", fix="write a day such as 2026-11-28, or 2026-11-28T09:00:00Z"
        ) from error


async def find_events(tx: Tx, wanted: EventFilter, *, before: str = "", most: int = 50) -> list[EventLine]:
    """The newest first; `before` is the `place` at which the page before ended. Raises NotFound for a customer of nobody's."""
    at, _, identifier = before.partition(".")
    known = at.isdecimal() and len(at) < 16 and identifier.isprintable()
    place = (int(at), identifier) if known else (_LAST, "")
    rows = await tx.fetch(
        _LIST[wanted.shape], **await _parameters(tx, wanted), before=place[0], before_id=place[1], most=most
    )
    return [_line(row) for row in rows]


async def count_events(tx: Tx, wanted: EventFilter) -> int:
    """How many there are; at most 100,000 are counted."""
    row = await tx.fetch_one(_COUNT[wanted.shape], **await _parameters(tx, wanted), most=MOST_COUNTED)
    return 0 if row is None else int(row["number"])


async def replay_all(store: Store, wanted: EventFilter) -> int:
    """Let every event that matches be handled again, but those that wait for it anyway. How many.

    From the newest back, some hundreds in a transaction of their own, so that webhooks are taken meanwhile. Whoever is
    killed in between begins again, and nothing is lost by that.
    """
    number, place = 0, (_LAST, "")
    while True:
        async with store.reading() as tx:
            rows = await tx.fetch(
                _TO_REPLAY[wanted.shape], **await _parameters(tx, wanted), before=place[0], before_id=place[1],
                most=REPLAYED_AT_ONCE,
            )  # fmt: skip
        if rows:
            place = (rows[-1]["received_at"], rows[-1]["id"])
            async with store.transaction() as tx:
                number += await inbox.replay_all(tx, SOURCE, [row["id"] for row in rows], store.clock.now_ms())
        if len(rows) < REPLAYED_AT_ONCE:
            return number


async def owner_of_event(tx: Tx, subject: str) -> str | None:
    """Our customer whom an event is about."""
    found = await link_of_stripe(tx, subject)
    return found.customer if found is not None else None


async def _parameters(tx: Tx, wanted: EventFilter) -> dict[str, str | int]:
    stem = wanted.type.removesuffix("*")
    return {
        "source": SOURCE, "since": wanted.since, "until": wanted.until, "type": wanted.type,
        "type_like": _quoted(stem) + "%" if stem != wanted.type else "!!", "search": wanted.search,
        "search_like": f"%{_quoted(wanted.search.lower())}%", "subject": await _subject(tx, wanted.customer),
    }  # fmt: skip


async def _subject(tx: Tx, customer: str) -> str:
    """Stripe's id of a customer who is named by ours, by the product's own, or by Stripe's."""
    if not customer or await link_of_stripe(tx, customer) is not None:
        return customer
    try:
        known = await link_of_customer(tx, await resolve(tx, customer))
    except NotFound:
        if customer.startswith("cus_"):  # a stranger's, whom Stripe tells us of all the same
            return customer
        raise
    return known.id if known is not None else "none"  # never bought anything: there is nothing about it


def _quoted(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def view_event(event: EventLine | Event) -> EventView:
    """The event for machines."""
    return EventView(
        event.id, event.type, event.subject, event.status, rfc3339(event.received_at), event.attempts,
        rfc3339(event.due_at) if event.status == "pending" else None, _told(event.done_at), _told(event.failed_at),
        mask_text(event.error) if event.error else None,
    )  # fmt: skip


def masked_payload(payload: str) -> object:
    """What Stripe sent, without secrets and card details."""
    try:
        return mask(json.loads(payload))
    except ValueError:
        return mask_text(payload)


def _told(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


def _line(row: Row) -> EventLine:
    return EventLine(*(row[name] for name in EventLine.__struct_fields__))
