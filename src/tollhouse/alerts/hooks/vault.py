"""Endpoints' secrets are needed again at every delivery, so they are kept locked: a copy of the database signs nothing."""

import base64

from tollhouse.kernel.errors import ConfigurationError
from tollhouse.kernel.locking import Locker


class Vault:
    """Locks under SESSION_SECRET, as text for a column."""

    def __init__(self, session_secret: str) -> None:
        self._locker = Locker(session_secret, "hooks")

    def __repr__(self) -> str:
        return "Vault()"

    def seal(self, endpoint: str, secret: str) -> str:
        """The secret as it is kept."""
        return base64.b64encode(self._locker.lock(endpoint, secret)).decode()

    def open(self, endpoint: str, sealed: str) -> str:
        """The secret itself. Raises ConfigurationError when SESSION_SECRET is another one than it was sealed with."""
        secret = self._locker.unlock(endpoint, base64.b64decode(sealed))
        if secret is None:
            raise ConfigurationError(
                f"the secret of {endpoint} was sealed with another SESSION_SECRET",
                code="hook_secret_unreadable",
                setting="SESSION_SECRET",
                fix=f"set SESSION_SECRET as it was, or run `tollhouse hooks rotate {endpoint} --overlap 0s`",
            )
        return secret
