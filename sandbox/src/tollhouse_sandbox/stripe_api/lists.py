"""Lists as Stripe pages them: newest first, by cursor."""

from collections.abc import Callable, Iterable

from tollhouse_sandbox.documents import Doc, listed
from tollhouse_sandbox.errors import invalid, no_such
from tollhouse_sandbox.stripe_api.call import Call

_BOUNDS: dict[str, Callable[[int, int], bool]] = {
    "gt": int.__gt__,
    "gte": int.__ge__,
    "lt": int.__lt__,
    "lte": int.__le__,
}


def page(call: Call, kind: str, newest_first: Iterable[Doc], asked: Doc) -> Doc:
    """One page of the caller's mode: `limit` (10, at most 100), `starting_after`, `ending_before`."""
    limit = asked.get("limit", 10)
    if not 1 <= limit <= 100:
        raise invalid(
            "This value must be " + ("less than or equal to 100." if limit > 100 else "greater than or equal to 1."),
            "limit",
        )
    after, before = asked.get("starting_after"), asked.get("ending_before")
    mine = (document for document in newest_first if document.get("livemode", call.livemode) == call.livemode)
    if after is None and before is None:
        return _cut(mine, limit, call.path)
    rows = list(mine)
    places = {row["id"]: place for place, row in enumerate(rows)}
    cursor = after if after is not None else before
    if cursor not in places:
        call.find(kind, str(cursor), "starting_after" if after is not None else "ending_before")
        raise no_such(kind, str(cursor), "starting_after" if after is not None else "ending_before")
    if after is not None:
        return _cut(rows[places[after] + 1 :], limit, call.path)
    newer = rows[: places[cursor]]
    return listed(newer[-limit:], call.path, has_more=len(newer) > limit)


def _cut(rows: Iterable[Doc], limit: int, url: str) -> Doc:
    taken: list[Doc] = []
    for row in rows:
        if len(taken) == limit:
            return listed(taken, url, has_more=True)
        taken.append(row)
    return listed(taken, url)


def created_within(asked: object, moment: int) -> bool:
    """Whether a moment meets the `created` filter: a moment, or bounds gt, gte, lt, lte."""
    if asked is None:
        return True
    if isinstance(asked, str):
        return moment == _moment(asked)
    if not isinstance(asked, dict) or not asked.keys() <= _BOUNDS.keys():
        raise invalid("Invalid created", "created")
    return all(_BOUNDS[bound](moment, _moment(value)) for bound, value in asked.items())


def _moment(text: object) -> int:
    if not isinstance(text, str) or not text.isdigit() or len(text) > 15:
        raise invalid(f"Invalid integer: {text}", "created", "parameter_invalid_integer")
    return int(text)
