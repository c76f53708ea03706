"""What webhooks out need of an installation's settings."""

import msgspec

from tollhouse.alerts.hooks.addresses import Reach
from tollhouse.alerts.hooks.vault import Vault
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.settings import LOCAL_ENVIRONMENTS, Settings


class Hooks(msgspec.Struct, frozen=True):
    """Where webhooks may go, and what opens their secrets."""

    vault: Vault
    reach: Reach


def open_hooks(settings: Settings) -> Hooks:
    """Raises ConfigurationError without SESSION_SECRET, which seals the endpoints' secrets."""
    secret = settings.web.session_secret
    if secret is None:
        raise ConfigurationError(
            "SESSION_SECRET is not set", setting="SESSION_SECRET", fix="run the command with the environment of `serve`"
        )
    local = settings.environment in LOCAL_ENVIRONMENTS
    return Hooks(Vault(secret.reveal()), Reach(plain_http=local, private=local or settings.hooks.allow_private))
