"""What signing in needs at hand, built once by bootstrap and passed to the actions."""

import msgspec

from tollhouse.identity.model import Visitor
from tollhouse.identity.passwords import Passwords
from tollhouse.identity.seal import Seal
from tollhouse.identity.throttle import Throttle, network_of
from tollhouse.kernel.clock import MINUTE

FREE_PER_ADDRESS = 20
"""People behind one address are many: they get more attempts before they have to wait than one e-mail address gets."""


class IdentityDesk(msgspec.Struct, frozen=True):
    """Passwords, seal and throttles, and what links in e-mails begin with (`url`, without a path)."""

    passwords: Passwords
    seal: Seal
    url: str
    product: str
    per_email: Throttle
    per_address: Throttle

    def attempt(self, what: str, email: str | None, visitor: Visitor, now: int) -> None:
        """Count an attempt at `what`. Raises TooManyAttempts."""
        self.per_address.attempt(f"{what} {network_of(visitor.address)}", now)
        if email is not None:
            self.per_email.attempt(f"{what} {email}", now)

    def succeeded(self, what: str, email: str, visitor: Visitor) -> None:
        """The attempt was the right person's."""
        self.per_email.clear(f"{what} {email}")
        self.per_address.forgive(f"{what} {network_of(visitor.address)}")


def open_desk(session_secret: str, url: str, product: str, passwords: Passwords | None = None) -> IdentityDesk:
    """The desk of this process. `session_secret` is SESSION_SECRET."""
    return IdentityDesk(
        passwords or Passwords(),
        Seal(session_secret),
        url.rstrip("/"),
        product,
        per_email=Throttle(longest_pause_ms=MINUTE),
        per_address=Throttle(FREE_PER_ADDRESS),
    )
