"""`/v1/customers/:id/tax_ids` and `/v1/tax_ids/:id`."""

from tollhouse_sandbox.billing import tax_ids
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import invalid, no_such
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import page
from tollhouse_sandbox.stripe_api.params import PAGE, TEXT, Spec, one_of, required

_CREATE: Spec = {"type": required(one_of(*tax_ids.TYPES)), "value": required(TEXT)}


def create(call: Call) -> Doc:
    """One more tax id of a customer."""
    customer = call.find("customer", call.ids[0], "customer")
    given = call.read(_CREATE)
    value = given["value"].replace(" ", "").upper()
    if not tax_ids.is_written_right(given["type"], value):
        raise invalid(f"Invalid value for {given['type']}.", "value", "tax_id_invalid")
    return tax_ids.create(call.world, customer, given["type"], value)


def list_(call: Call) -> Doc:
    """A customer's, newest first."""
    customer = call.find("customer", call.ids[0], "customer")
    asked = call.read(PAGE)
    rows = call.world.store.where(tax_ids.KIND, "customer", customer["id"])
    return page(call, tax_ids.KIND, rows, asked)


def retrieve(call: Call) -> Doc:
    """One tax id."""
    return _found(call)


def delete(call: Call) -> Doc:
    """Takes it from its customer; invoices that name it keep it."""
    gone = _found(call)
    call.world.store.delete(tax_ids.KIND, gone["id"])
    call.world.emit("customer.tax_id.deleted", gone)
    return {"id": gone["id"], "object": tax_ids.KIND, "deleted": True}


def _found(call: Call) -> Doc:
    found = call.find(tax_ids.KIND, call.ids[-1])
    if len(call.ids) > 1 and found["customer"] != call.ids[0]:
        raise no_such(tax_ids.KIND, call.ids[-1], "id")
    return found
