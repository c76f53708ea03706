"""docs/reference/settings.md, made from the table of settings: `python -m tollhouse.settings.reference > that file`."""

import sys

from tollhouse.settings.table import SETTINGS, Need, Setting

_HEAD = """\
# Settings

<!-- Made from src/tollhouse/settings/table.py by `python -m tollhouse.settings.reference`; a test holds both equal. -->

Everything that an installation is told, besides [the catalogue](catalogue.md). `tollhouse plans check` tells every
mistake in it at once, each with its place, what is allowed and the fix.

## Where a value comes from

The first of these that has one:

1. the variable in the process environment; an empty variable counts as not set;
2. the file that `NAME_FILE` names, for any variable `NAME`: `SESSION_SECRET_FILE=/run/secrets/session_secret`;
3. in development only, the same two in the file `.env` beside `tollhouse.toml`;
4. the key in the table `[environments.NAME]` of `tollhouse.toml`, NAME being the value of `ENVIRONMENT`;
5. the key in its table `[settings]`, for all environments;
6. the default.

`tollhouse.toml` is looked for in the working directory; `--config` or `TOLLHOUSE_CONFIG` names another file.
**Secrets** never stand in `tollhouse.toml` and have no defaults. They are masked wherever settings are shown.

```toml
[settings]
stripe_webhook_paths = ["/api/stripe-webhook"]

[environments.staging]
url = "https://staging.example.com"
log_level = "debug"
```

## Environments

`development` is what is taken when `ENVIRONMENT` says nothing. `development`, `demo`, `test` and `rehearsal` run on one's own
machine: an address and a database are given by default, mail and Stripe may be missing. Every other name needs them, and
needs a table of its own unless it is `staging` or `production`.

`production`, and every name that begins with `production-`, refuses: CORS for everybody, addresses and origins that are
local or without https, the demo, the test clock, the sandbox, Stripe's test keys. Every other environment refuses
Stripe's live keys, except `rehearsal`: there going live is tried with live keys against a sandbox on the same machine, and
Stripe's test keys, Stripe itself and any other host in its place are refused. Everywhere, the cookie domain has to fit the address, and several workers need PostgreSQL.
"""

_TAIL = """\
## Ids of Stripe's prices

A price is found in Stripe by its lookup key. Where Stripe holds prices of its own making, name their ids:

| variable | names |
|---|---|
| `STRIPE_PRICE_<PLAN>` | the plan's monthly price, or its only one |
| `STRIPE_PRICE_<PLAN>_MONTHLY`, `STRIPE_PRICE_<PLAN>_YEARLY` | the plan's price for that period |
| `STRIPE_PRICE_<PLAN>_<PERIOD>_<CURRENCY>` | the same, where the plan has several currencies |
| `STRIPE_PRICE_MONTHLY`, `STRIPE_PRICE_YEARLY` | the same, where the catalogue sells one plan only |

`<PLAN>` is the plan's name in capitals, `-` written as `_`. A variable that names no price of the catalogue is a mistake.
In the file, ids of one environment stand in a table `stripe_prices` of it: `stripe_prices = { starter = "price_1Sabc" }`.
"""

_NEEDS: dict[Need, str] = {
    "never": "no",
    "always": "to serve",
    "deployed": "outside development, demo, test and rehearsal",
    "payments": "outside development, demo, test and rehearsal, where plans are sold",
}
_TITLES = {
    "server": "The server",
    "web": "Browsers and sessions",
    "stripe": "Stripe",
    "alerts": "Monitoring and alerts",
    "mail": "Mail",
    "hooks": "Webhooks out",
    "admission": "Admission",
}


def reference() -> str:
    """The page's text."""
    parts = [_HEAD]
    for component, title in _TITLES.items():
        parts.append(f"## {title}\n")
        parts += [_entry(setting) for setting in SETTINGS if setting.component == component]
    return "\n".join([*parts, _TAIL])


def _entry(setting: Setting) -> str:
    key = "environment only" if setting.secret or setting.path == "environment" else f"`{setting.key}`"
    facts = [
        f"- in tollhouse.toml: {key}",
        f"- allowed: {setting.allowed}",
        f"- default: {_default(setting)}",
        f"- needed: {_NEEDS[setting.need]}",
    ]
    if setting.generate:
        facts.append(f"- make one with: `{setting.generate}`")
    secret = " (secret)" if setting.secret else ""
    return "\n".join([f"### `{setting.variable}`{secret}\n", setting.meaning + "\n", *facts, ""])


def _default(setting: Setting) -> str:
    if setting.default_local is not None:
        return f"`{setting.default_local}` in development, demo, test and rehearsal; none elsewhere"
    if setting.default is None:
        return "none"
    return f"`{str(setting.default).lower() if isinstance(setting.default, bool) else setting.default}`"


if __name__ == "__main__":
    sys.stdout.write(reference())
