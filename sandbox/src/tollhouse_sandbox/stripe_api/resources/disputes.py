"""`/v1/disputes`."""

from collections.abc import Iterable

from tollhouse_sandbox.billing import disputes
from tollhouse_sandbox.documents import Doc, merged_metadata, snapshot
from tollhouse_sandbox.shapes import EVIDENCE
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import created_within, page
from tollhouse_sandbox.stripe_api.params import (
    BOOLEAN,
    CLEARABLE_TEXT,
    METADATA,
    MOMENT_RANGE,
    PAGE,
    TEXT,
    Spec,
    fields,
)

_UPDATE: Spec = {
    "evidence": fields(**{name: CLEARABLE_TEXT for name, value in EVIDENCE.items() if value is None}),
    "metadata": METADATA,
    "submit": BOOLEAN,
}
_LIST: Spec = {**PAGE, "charge": TEXT, "created": MOMENT_RANGE, "payment_intent": TEXT}


def retrieve(call: Call) -> Doc:
    """A dispute."""
    return call.find("dispute", call.ids[0])


def update(call: Call) -> Doc:
    """Answers with evidence, which goes to the bank unless `submit` is false."""
    dispute = call.find("dispute", call.ids[0])
    given = call.read(_UPDATE)
    if "metadata" in given:
        before = snapshot(dispute)
        dispute["metadata"] = merged_metadata(dispute["metadata"], given["metadata"])
        call.world.emit_change("charge.dispute.updated", dispute, before)
    if "evidence" in given or given.get("submit"):
        disputes.answer(call.world, dispute, given.get("evidence") or {}, submit=given.get("submit", True))
    return dispute


def close(call: Call) -> Doc:
    """Gives the dispute up: it is lost."""
    dispute = call.find("dispute", call.ids[0])
    call.read({})
    return disputes.close(call.world, dispute, won=False)


def list_(call: Call) -> Doc:
    """Newest first, by charge, payment intent and time."""
    asked = call.read(_LIST)
    store = call.world.store
    rows: Iterable[Doc]
    if "charge" in asked:
        rows = store.where("dispute", "charge", asked["charge"])
    elif "payment_intent" in asked:
        rows = store.where("dispute", "payment_intent", asked["payment_intent"])
    else:
        rows = store.newest("dispute")
    chosen = (row for row in rows if created_within(asked.get("created"), row["created"]))
    return page(call, "dispute", chosen, asked)
