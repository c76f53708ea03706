"""Every error code that the source can give stands in the reference, and the reference holds no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.tree import ROOT, name
from tollhouse.api.codes import PREFIXES, all_codes, reference
from tollhouse.api.problems import STATUS
from tollhouse.kernel import errors

SOURCE = ROOT / "src" / "tollhouse"
PAGE = ROOT / "docs" / "reference" / "errors.md"
ERRORS = {kind.__name__ for kind in vars(errors).values() if isinstance(kind, type)}
MADE_OF_FIELD = {"f'invalid_{field}'": {"invalid_ttl", "invalid_by"}}


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(SOURCE.rglob("*.py")):
        if path.name != "codes.py":
            yield path, ast.parse(path.read_text())


def codes_of(tree: ast.Module) -> Iterator[ast.expr]:
    """What a module gives as a code: `code=…`, `default_code = …`, the first of a Shortage, the second of a problem."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "code")
            if called == "Shortage" and node.args:
                yield node.args[0]
            if called == "problem" and len(node.args) > 2 and isinstance(getattr(node.args[0], "value", None), int):
                yield node.args[1]
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "default_code":
            yield node.value


def codes_in_source() -> dict[str, str]:
    """Every code with a place that gives it."""
    found: dict[str, str] = {}
    for path, tree in modules():
        for given in codes_of(tree):
            if isinstance(given, ast.Constant) and isinstance(given.value, str):
                found[given.value] = name(path)
            elif (text := ast.unparse(given)) in MADE_OF_FIELD:
                found |= dict.fromkeys(MADE_OF_FIELD[text], name(path))
            else:
                assert passed_on(given), f"{name(path)}:{given.lineno}: nobody can tell what {text} may be"
    return found


def passed_on(given: ast.expr) -> bool:
    """Another error's code, or one of somebody else's with our prefix before it."""
    if isinstance(given, ast.JoinedStr):
        return isinstance(given.values[0], ast.Constant) and given.values[0].value in PREFIXES
    return ast.unparse(given).endswith((".code", ".get('code')"))


def test_every_code_of_the_source_is_in_the_reference() -> None:
    listed = {code.name for code in all_codes()}
    missing = {code: place for code, place in codes_in_source().items() if code not in listed}
    assert missing == {}, "add them to src/tollhouse/api/codes.py"


def test_the_reference_holds_no_code_that_nobody_gives() -> None:
    framework = {"unsupported_media_type", "not_found", "not_allowed", "error"}
    given = codes_in_source().keys() | framework
    assert {code.name for code in all_codes()} - given == set()


def test_no_code_is_listed_twice() -> None:
    names = [code.name for code in all_codes()]
    assert sorted(names) == sorted(set(names))


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text("utf-8") == reference(), "run: python -m tollhouse.api.codes > docs/reference/errors.md"


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if isinstance(kind, type) and kind.__module__ == errors.__name__]
)
def test_the_listed_status_of_an_error_is_the_one_that_it_gets(kind: type[errors.TollhouseError]) -> None:
    if kind is errors.TollhouseError:
        return
    listed = {code.name: code.status for code in all_codes()}
    expected = next((status for known, status in STATUS if issubclass(kind, known)), 500)
    assert listed[kind.default_code] == expected
