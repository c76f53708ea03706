"""Whose time a request is answered in: a customer of a test clock lives by that clock, on the pages too."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

from tollhouse_sandbox.billing import test_clocks
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.world import INTERNAL, World

_NAMED = {
    "charge": "charge",
    "customer": "customer",
    "invoice": "invoice",
    "payment_intent": "payment_intent",
    "payment_method": "payment_method",
    "subscription": "subscription",
    "test_clock": test_clocks.KIND,
}


def of_call(world: World, ids: tuple[str, ...], sent: Doc) -> AbstractContextManager[None]:
    """The time of the objects that a call names, in its path or its parameters."""
    if not world.store.count(test_clocks.KIND):
        return nullcontext()
    return test_clocks.time_of(world, _named(world, ids, sent))


def of_page(world: World, path: str) -> AbstractContextManager[None]:
    """The time of the object that a page is about."""
    if not world.store.count(test_clocks.KIND):
        return nullcontext()
    step = path.strip("/").split("/")[1:2]
    known = (world.store.get("private", step[0]) or {}) if step else {}
    return test_clocks.time_of(world, _named(world, (*step, known.get("portal_session", "")), {}))


def _named(world: World, ids: tuple[str, ...], sent: Doc) -> Iterator[Doc | None]:
    for key in ids:
        for kind in world.store.kinds():
            if kind not in INTERNAL and kind != test_clocks.KIND:
                yield world.store.get(kind, key)
    for name, kind in _NAMED.items():
        if isinstance(sent.get(name), str):
            yield world.store.get(kind, sent[name])
