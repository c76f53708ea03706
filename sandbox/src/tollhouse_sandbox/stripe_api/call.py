"""One API call as a resource's handler sees it."""

import msgspec

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import no_such
from tollhouse_sandbox.stripe_api.params import Spec, read
from tollhouse_sandbox.world import World


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls in which mode, the ids in the path, and the parameters as sent."""

    world: World
    livemode: bool
    path: str
    ids: tuple[str, ...]
    sent: Doc
    expand: tuple[str, ...] = ()

    def read(self, spec: Spec) -> Doc:
        """The parameters by the endpoint's table (`expand` is taken care of elsewhere)."""
        return read(self.sent, spec)

    def find(self, kind: str, key: str, param: str = "id") -> Doc:
        """The object in the caller's mode, or Stripe's 'No such …'."""
        found = self.world.store.get(kind, key)
        if found is None or found.get("livemode", self.livemode) != self.livemode:
            raise no_such(kind, key, param)
        return found
