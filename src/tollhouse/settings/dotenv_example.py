"""The `.env.example` that `tollhouse init` writes: each secret's name, meaning and origin, and no value."""

import textwrap

from tollhouse.settings.table import SETTINGS, Setting

_HEAD = """\
# The secrets of one environment. In development, copy this file to .env beside tollhouse.toml and fill it in: only
# development reads it. Elsewhere set these in the process environment, or name a file that holds the value:
# SESSION_SECRET_FILE=/run/secrets/session_secret. Never the same values in two environments; never in tollhouse.toml.
"""
_TAIL = """\
# Ids of prices that exist in Stripe already; without them a price is found by its lookup key.
# STRIPE_PRICE_STARTER=
# STRIPE_PRICE_STARTER_YEARLY=
"""


def dotenv_example() -> str:
    """The file's text."""
    return "\n".join([_HEAD, *(_entry(setting) for setting in SETTINGS if _may_be_secret(setting)), _TAIL])


def _may_be_secret(setting: Setting) -> bool:
    return setting.secret or setting.kind in ("database", "smtp") or setting.path == "stripe.publishable_key"


def _entry(setting: Setting) -> str:
    needed = {
        "always": "Needed everywhere.",
        "deployed": "Needed outside development.",
        "payments": "Needed outside development where plans are sold.",
        "never": "Optional.",
    }[setting.need]
    lines = textwrap.wrap(setting.meaning, 118, initial_indent="# ", subsequent_indent="# ")
    lines.append(f"# {needed} Form: {setting.allowed}")
    if setting.generate:
        lines.append(f"# Make one with: {setting.generate}")
    return "\n".join([*lines, f"{'' if setting.need == 'always' else '# '}{setting.variable}=", ""])
