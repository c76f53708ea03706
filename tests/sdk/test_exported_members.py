"""What users import is named on purpose, and both clients can do the same."""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path

import pytest

import tollhouse_sdk
from tests.support.tree import ROOT
from tollhouse_sdk import errors
from tollhouse_sdk.aio import AsyncCustomers
from tollhouse_sdk.client import Customers

SOURCES = ROOT / "sdk" / "src" / "tollhouse_sdk"


def test_every_public_name_is_exported_on_purpose() -> None:
    """What the front door imports is what it exports, sorted, and nothing else."""
    tree = ast.parse((SOURCES / "__init__.py").read_text())
    imported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(tollhouse_sdk.__all__) == imported
    assert tollhouse_sdk.__all__ == sorted(tollhouse_sdk.__all__)
    for name in tollhouse_sdk.__all__:
        assert hasattr(tollhouse_sdk, name)


def test_every_error_is_exported_and_descends_from_one() -> None:
    """`except TollhouseError` catches whatever the client raises of its own."""
    ours = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert len(ours) > 10
    for kind in ours:
        assert issubclass(kind, tollhouse_sdk.TollhouseError)
        assert getattr(tollhouse_sdk, kind.__name__) is kind
        assert kind.__name__ in (errors.__doc__ or "")


@pytest.mark.parametrize(
    ("blocking", "asyncio"),
    [(tollhouse_sdk.Tollhouse, tollhouse_sdk.AsyncTollhouse), (Customers, AsyncCustomers)],
)
def test_both_clients_have_the_same_methods(blocking: type, asyncio: type) -> None:
    """The same names with the same parameters; only what they return is awaited."""
    mine, theirs = _methods(blocking), _methods(asyncio)
    assert mine.keys() == theirs.keys()
    for name in mine.keys() - {"__init__"}:
        assert mine[name] == theirs[name], name


def test_the_client_imports_nothing_of_the_server() -> None:
    """It is installed where no server is."""
    allowed = ("tollhouse_sdk", "aiohttp", "msgspec", "urllib3")
    for path in SOURCES.glob("*.py"):
        for name in _imports(path):
            assert name.split(".")[0] in allowed or name.split(".")[0] in _stdlib(), f"{path.name} imports {name}"


def _methods(kind: type) -> dict[str, list[tuple[str, object, object]]]:
    found: dict[str, list[tuple[str, object, object]]] = {}
    for name, function in inspect.getmembers(kind, inspect.isfunction):
        if name.startswith("_") and name != "__init__":
            continue
        parameters = inspect.signature(function).parameters.values()
        found[name] = [(p.name, p.kind, p.default) for p in parameters]
    return found


def _imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return names


def _stdlib() -> frozenset[str]:
    return sys.stdlib_module_names
