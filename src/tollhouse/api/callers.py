"""Which server calls: its secret key, and the throttle that floods of wrong credentials meet before anything else."""

from typing import Any

from tollhouse.house import House
from tollhouse.identity.throttle import network_of
from tollhouse.kernel.errors import NotAuthenticated


def authenticate(house: House, scope: Any) -> str | None:
    """The request's Idempotency-Key as the framework would give it (Latin-1, which `one_key` undoes), once its secret key
    was found good: that costs no statement and no throttle.

    Raises NotAuthenticated, and TooManyAttempts once too many wrong keys have come from this network.
    """
    known, idempotency_key = False, None
    for name, value in scope["headers"]:
        if name == b"authorization":
            known = value[:7].lower() == b"bearer " and house.keys.knows(value[7:])
        elif name == b"idempotency-key":
            idempotency_key = value.decode("latin-1")
    if not known:
        count_stranger(house, scope)
        raise NotAuthenticated("no valid secret key came with the request", fix="send `Authorization: Bearer th_sk_…`")
    return idempotency_key


def count_stranger(house: House, scope: Any) -> None:
    """One more request without good credentials from this network. Raises TooManyAttempts with `retry_after`."""
    house.strangers.attempt(network(scope), house.store.clock.now_ms())


def forgive_stranger(house: House, scope: Any) -> None:
    """The credentials were good after all."""
    house.strangers.forgive(network(scope))


def network(scope: Any) -> str:
    """The address that the request came from, as it is counted."""
    client = scope.get("client")
    return network_of(client[0]) if client else ""
