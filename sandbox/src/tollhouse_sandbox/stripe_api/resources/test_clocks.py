"""`/v1/test_helpers/test_clocks`."""

from tollhouse_sandbox.billing import test_clocks
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import StripeError
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.lists import page
from tollhouse_sandbox.stripe_api.params import INTEGER, PAGE, TEXT, Spec, required

_CREATE: Spec = {"frozen_time": required(INTEGER), "name": TEXT}
_ADVANCE: Spec = {"frozen_time": required(INTEGER)}


def create(call: Call) -> Doc:
    """A clock that stands still until it is advanced."""
    given = call.read(_CREATE)
    if call.livemode:
        raise StripeError(400, "Test clocks can only be used in test mode.")
    return test_clocks.create(call.world, frozen_time=given["frozen_time"], name=given.get("name"))


def retrieve(call: Call) -> Doc:
    """A clock."""
    return call.find(test_clocks.KIND, call.ids[0])


def list_(call: Call) -> Doc:
    """Newest first."""
    return page(call, test_clocks.KIND, call.world.store.newest(test_clocks.KIND), call.read(PAGE))


def advance(call: Call) -> Doc:
    """Sends the clock forward: `advancing` in this answer, and `ready` once it has arrived."""
    clock = call.find(test_clocks.KIND, call.ids[0])
    return test_clocks.begin_advance(call.world, clock, call.read(_ADVANCE)["frozen_time"])


def delete(call: Call) -> Doc:
    """Deletes the clock with its customers."""
    clock = call.find(test_clocks.KIND, call.ids[0])
    call.read({})
    test_clocks.check_ready(clock)
    test_clocks.delete(call.world, clock)
    return {"id": clock["id"], "object": test_clocks.KIND, "deleted": True}
