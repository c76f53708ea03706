"""Reads the settings: the file, the environment and their rules; every mistake at once."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from tollhouse.settings.kinds import Unfit, has_password, read_value
from tollhouse.settings.model import LOCAL_ENVIRONMENTS, Settings
from tollhouse.settings.problems import ENVIRONMENT as PROCESS
from tollhouse.settings.problems import ConfigurationProblems, Problem, did_you_mean, listed, shown
from tollhouse.settings.reader import NAME, NAME_ALLOWED, Table, root
from tollhouse.settings.rules import breaches
from tollhouse.settings.secret import Secret
from tollhouse.settings.sources import Found, Sources, Variables, process_variables, read_dotenv, table_at, toml_paths
from tollhouse.settings.table import SETTINGS, Setting
from tollhouse.settings.toml import Document, dotted, read_document

Purpose = Literal["plans", "data", "serve"]
"""What the settings are needed for: reading the catalogue, working on the database, or serving."""

SECTIONS = ("product", "meters", "actions", "tools", "plans", "packs", "billing", "settings", "environments")
"""The tables of tollhouse.toml; the first seven are the catalogue's."""

WELL_KNOWN = ("development", "demo", "test", "rehearsal", "staging", "production")
_MISTAKEN = {"prod": "production", "prd": "production", "live": "production", "dev": "development", "stage": "staging"}
_PRICE_VARIABLE = "STRIPE_PRICE_"
_PRICE_ID = re.compile(r"price_[A-Za-z0-9_]{3,250}")
_RULED_WITH = {"web.cookie_domain": "url", "server.workers": "database_url"}
_BY_KEY = {setting.key: setting for setting in SETTINGS if setting.path != "environment"}


def load_settings(
    path: Path, environ: Mapping[str, str], *, purpose: Purpose = "serve", dotenv: Path | None = None
) -> Settings:
    """The settings of this environment. `dotenv` is read in development only.

    Raises ConfigurationProblems with every problem of the file's settings and of the environment.
    """
    problems: list[Problem] = []
    settings = read_settings(read_document(path), environ, problems, purpose=purpose, dotenv=dotenv)
    if problems:
        raise ConfigurationProblems(problems)
    return settings


def read_settings(
    document: Document,
    environ: Mapping[str, str],
    problems: list[Problem],
    *,
    purpose: Purpose = "serve",
    dotenv: Path | None = None,
) -> Settings:
    """As `load_settings`, of a document that has been read; adds to `problems` instead of raising.

    What it returns is meant for use only when it added none.
    """
    _check_tables(document, problems)
    environment = _environment(document, environ, problems)
    sources = Sources(_variables(environment, environ, dotenv, problems), document, environment)
    places: dict[str, Found] = {}
    failed: set[str] = set()
    tree: dict[str, object] = {"environment": environment}
    for setting in SETTINGS:
        if setting.path == "environment":
            continue
        before = len(problems)
        found = sources.find(setting, problems)
        value = None
        if found is not None:
            places[setting.path] = found
            value = _value(setting, found, problems)
        elif _needed(setting, environment, purpose, document) and len(problems) == before:
            problems.append(_missing(setting, environment, document))
        if len(problems) > before:
            failed.add(setting.path)
        _put(tree, setting.path, _default(setting) if value is None else value)
    _put(tree, "stripe.prices", _prices(sources, problems))
    settings = msgspec.convert(tree, Settings)
    _check_rules(settings, places, failed, document, problems)
    return settings


def _environment(document: Document, environ: Mapping[str, str], problems: list[Problem]) -> str:
    """The environment's name. An unknown one is reported, and the one that was probably meant is checked in its place."""
    name = (environ.get("ENVIRONMENT") or "development").strip().lower()
    declared = [key for key in table_at(document, ("environments",)) if NAME.fullmatch(key)]
    allowed = listed(dict.fromkeys([*WELL_KNOWN, *declared]))
    if name in _MISTAKEN:
        fix = f"set ENVIRONMENT={_MISTAKEN[name]}"
        problems.append(Problem(PROCESS, "ENVIRONMENT", shown(name), allowed, fix))
        return _MISTAKEN[name]
    if name in WELL_KNOWN or name in declared:
        return name
    close = did_you_mean(name, [*WELL_KNOWN, *declared])
    table = f"[environments.{name}]" if NAME.fullmatch(name) else "a table of [environments]"
    fix = f"set ENVIRONMENT={close}" if close else f"add {table} to {document.file}"
    problems.append(Problem(PROCESS, "ENVIRONMENT", shown(name), allowed, fix))
    return close or "staging"


def _variables(
    environment: str, environ: Mapping[str, str], dotenv: Path | None, problems: list[Problem]
) -> tuple[Variables, ...]:
    """The origins of variables, the strongest first."""
    process = process_variables(environ)
    if dotenv is None or environment != "development":
        return (process,)
    try:
        local = read_dotenv(dotenv)
    except OSError as error:
        fix = "make it readable for this user, or take it away"
        problems.append(Problem(str(dotenv), "the file", error.strerror or str(error), "a readable file", fix))
        return (process,)
    named = local.values.get("ENVIRONMENT", "")
    if named not in ("", "development"):
        fix = "set ENVIRONMENT in the process environment; .env serves development alone"
        line = local.lines.get("ENVIRONMENT")
        problems.append(Problem(local.file, "ENVIRONMENT", shown(named), "development, or nothing", fix, line))
    return process, local


def _value(setting: Setting, found: Found, problems: list[Problem]) -> object | None:
    value: object = None
    try:
        value = None if setting.secret and found.in_toml else read_value(setting, found.value)
    except Unfit as error:
        problems.append(Problem(found.file, found.key, error.found, setting.allowed, error.fix, found.line))
        return None
    if found.in_toml and _is_secret(setting, value):
        fix = f"take it out of the file, change it where it was made, and set {setting.variable} in the environment"
        what = "a secret (not shown)" if setting.secret else "an address with a password in it (not shown)"
        problems.append(Problem(found.file, found.key, what, "no secrets in this file", fix, found.line))
        return None
    return value


def _is_secret(setting: Setting, value: object) -> bool:
    return setting.secret or (isinstance(value, Secret) and has_password(value.reveal()))


def _needed(setting: Setting, environment: str, purpose: Purpose, document: Document) -> bool:
    if purpose == "plans" or (purpose == "data" and setting.path != "database_url"):
        return False
    if setting.need == "payments":
        return environment not in LOCAL_ENVIRONMENTS and _sells(document)
    return setting.need == "always" or (setting.need == "deployed" and environment not in LOCAL_ENVIRONMENTS)


def _sells(document: Document) -> bool:
    """Whether any plan of the file has a price."""
    plans = table_at(document, ("plans",)).values()
    return any(isinstance(plan, dict) and plan.get("prices") for plan in plans)


def _missing(setting: Setting, environment: str, document: Document) -> Problem:
    where = f"the environment of {environment}"
    if setting.secret:
        fix = f"set {setting.variable} in {where}, or {setting.variable}_FILE to a file that holds it"
        fix += f"; make one with `{setting.generate}`" if setting.generate else ""
    else:
        fix = f"set {setting.variable} in {where}, or {setting.key} in [environments.{environment}] of {document.file}"
    return Problem(PROCESS, setting.variable, "nothing", setting.allowed, fix)


def _default(setting: Setting) -> object | None:
    """The default as a value. A missing address of a deployed environment is reported; the local one stands in."""
    default = setting.default_local if setting.default is None else setting.default
    if default is None:
        return () if setting.kind in ("origins", "paths", "secrets") else None
    return read_value(setting, default)


def _put(tree: dict[str, object], path: str, value: object) -> None:
    group, _, name = path.rpartition(".")
    if not group:
        tree[name] = value
        return
    branch = tree.setdefault(group, {})
    if isinstance(branch, dict):
        branch[name] = value


def _prices(sources: Sources, problems: list[Problem]) -> dict[str, str]:
    """Stripe's price ids by what follows `STRIPE_PRICE_`, in upper case."""
    found: dict[str, Found] = {}
    for path in reversed(toml_paths(sources.environment)):
        at = (*path, "stripe_prices")
        for name, value in table_at(sources.document, at).items():
            key = (*at, name)
            place = sources.document.line(key)
            found[name.upper().replace("-", "_")] = Found(value, sources.document.file, dotted(key), place)
    for variables in reversed(sources.variables):
        names = {name.removesuffix("_FILE") for name in variables.values if name.startswith(_PRICE_VARIABLE)}
        for name in sorted(names):
            variable = variables.find(name, problems)
            if variable is not None:
                found[name.removeprefix(_PRICE_VARIABLE).upper()] = variable
    prices = {}
    for name, place_of in found.items():
        value = place_of.value
        if isinstance(value, str) and _PRICE_ID.fullmatch(value):
            prices[name] = value
        else:
            fix = "copy the price's id from Stripe's dashboard: Products → the plan → its price"
            problems.append(
                Problem(place_of.file, place_of.key, shown(value), "a price id such as price_1Sabc", fix, place_of.line)
            )
    return prices


def _check_rules(
    settings: Settings, places: dict[str, Found], failed: set[str], document: Document, problems: list[Problem]
) -> None:
    by_path = {setting.path: setting for setting in SETTINGS}
    for breach in breaches(settings):
        if breach.path in failed or _RULED_WITH.get(breach.path) in failed:
            continue
        place = places.get(breach.path)
        if place is None:
            problems.append(
                Problem(
                    document.file, by_path[breach.path].key, f"{breach.found} (the default)", breach.allowed, breach.fix
                )
            )
        else:
            problems.append(Problem(place.file, place.key, breach.found, breach.allowed, breach.fix, place.line))


def _check_tables(document: Document, problems: list[Problem]) -> None:
    """The shape of the file: its sections, and every settings table of every environment."""
    top = root(document, problems)
    for section in SECTIONS:
        top.has(section)
    top.finish()
    tables = [top.table("settings", "a table of settings")]
    environments = top.table("environments", "a table for each environment")
    if environments is not None:
        for name in environments.values:
            if name in _MISTAKEN:
                allowed = f"{listed(WELL_KNOWN)}, or a name that is not short for one of them"
                environments.problem(name, shown(name), allowed, f"rename it to {_MISTAKEN[name]}")
            elif not NAME.fullmatch(name):
                environments.problem(
                    name, shown(name), f"a name of {NAME_ALLOWED}", "rename it, for example to staging"
                )
            tables.append(environments.table(name, "a table of settings"))
    for table in tables:
        if table is not None:
            _check_settings_table(table, problems)


def _check_settings_table(table: Table, problems: list[Problem]) -> None:
    for key, setting in _BY_KEY.items():
        if table.has(key):
            at = (*table.path, key)
            line = table.document.line(at)
            _value(setting, Found(table.values[key], table.document.file, dotted(at), line, in_toml=True), problems)
    if table.has("stripe_prices"):
        table.table("stripe_prices", "a table of price ids by plan")
    table.finish("a setting (docs/reference/settings.md lists them)")
