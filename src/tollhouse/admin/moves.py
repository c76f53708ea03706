"""Moves of customers to another plan or version: who would move and what changes, and how far each move is. Read only.

They are told and moved by `tollhouse migrate pricing`, so that nobody moves thousands by a click.
"""

from litestar import Response, get

from tollhouse.admin.site import TheOffice, receive_staff
from tollhouse.billing.moves import choose
from tollhouse.billing.moves_found import failures, moves_made, sum_up
from tollhouse.billing.moving_words import change_told
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.pages.visiting import AnyRequest

MOST_FAILURES = 100
MOST_COUNTED = 2_000


@get("/admin/moves")
async def moves_page(office: TheOffice, request: AnyRequest) -> Response[str]:
    """How far the moves are; and when staff ask by `from` and `to`, who would move."""
    visit = await receive_staff(office, request)
    catalog, store, query = office.house.catalog, office.house.store, visit.shell.query
    source, target = query.get("from", ""), query.get("to", "")
    values: dict[str, object] = {
        "versions": sorted(catalog.versions), "on_sale": catalog.on_sale, "source": source, "target": target,
        "groups": None, "wrong": "",
    }  # fmt: skip
    if "from" in query:
        try:
            choice = choose(catalog, source or None, (source and target) or None)
            groups, looked, whole = await sum_up(store, catalog, choice, MOST_COUNTED)
            locale = visit.shell.locale
            changes = [[change_told(changed, locale) for changed in group.changes] for group in groups]
            values |= {
                "groups": list(zip(groups, changes, strict=True)),
                "looked": looked,
                "most": None if whole else MOST_COUNTED,
            }
        except InvalidRequest as error:
            values["wrong"] = error.fix or error.detail
    async with store.reading() as tx:
        values |= {"made": await moves_made(tx), "failures": await failures(tx, MOST_FAILURES)}
    return office.pages.render("moves.html", visit.shell, values, cookies=visit.cookies)


HANDLERS = (moves_page,)
