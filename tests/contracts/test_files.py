"""What holds for files: short, locked, and every claim of the feature list proven by a test that names it."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator

import pytest

from tests.support.tree import ROOT, files, name

LONGEST_FILE_LINES = 400
LONGEST_FUNCTION_LINES = 60
LOCKS = ("run", "demo", "dev", "build")
PROJECTS = ("pyproject.toml", "sdk/pyproject.toml", "sandbox/pyproject.toml")


def test_a_long_file_says_why_near_its_top() -> None:
    unexplained = {}
    for path in files(".py", ".js", ".css", ".html", ".sql"):
        lines = path.read_text().splitlines()
        if len(lines) > LONGEST_FILE_LINES and not any("reason for length:" in line for line in lines[:10]):
            unexplained[name(path)] = len(lines)
    assert not unexplained, "split the file, or say '# reason for length: …' near its top"


def test_a_function_fits_on_a_screen() -> None:
    long = {}
    for path in files(".py"):
        if "migrations" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                length = node.end_lineno - node.lineno + 1
                if length > LONGEST_FUNCTION_LINES:
                    long[f"{name(path)}:{node.lineno} {node.name}"] = length
    assert not long, f"longer than {LONGEST_FUNCTION_LINES} lines"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_download_address(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    told = re.findall(r"^.*(?:://|--index|--extra-index|--find-links| @ |^-[ief] ).*$", text, re.MULTILINE)
    assert told == [], "write it anew with `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_one_version_and_hashes(lock: str) -> None:
    requirements = _locked(lock)
    assert requirements
    unpinned = [line for line in requirements.values() if "==" not in line or "--hash=sha256:" not in line]
    assert unpinned == []


def test_everything_that_a_project_asks_for_is_locked() -> None:
    locked = set(_locked("dev"))
    for project in PROJECTS:
        text = tomllib.loads((ROOT / project).read_text())
        wanted = [*text["project"]["dependencies"], *text["build-system"]["requires"]]
        for group in text.get("dependency-groups", {}).values():
            wanted += group
        missing = {_package(requirement) for requirement in wanted} - locked
        assert not missing, f"{project} asks for packages that no lock has: run `make lock`"


def test_the_run_lock_holds_what_the_server_imports_and_no_test_tool() -> None:
    text = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run = set(_locked("run"))
    assert {_package(requirement) for requirement in text["project"]["dependencies"]} <= run
    assert not {_package(tool) for tool in text["dependency-groups"]["dev"]} & run


def test_the_locks_agree_on_every_version() -> None:
    dev = _locked("dev")
    for lock in ("run", "demo", "build"):
        for package, line in _locked(lock).items():
            assert line.split()[0] == dev[package].split()[0], f"{package} differs between {lock}.txt and dev.txt"


def test_every_claimed_row_is_proven_by_a_test_that_names_it() -> None:
    claimed = set(tomllib.loads((ROOT / "docs" / "claims.toml").read_text())["rows"])
    proven: dict[str, list[str]] = {}
    for row, where in _row_marks():
        proven.setdefault(row, []).append(where)
    assert claimed - proven.keys() == set(), "claimed in docs/claims.toml, but no test is marked with the row"
    assert {row: proven[row] for row in proven.keys() - claimed} == {}, "marked, but not claimed in docs/claims.toml"


def test_the_feature_list_promises_what_is_claimed_and_no_more() -> None:
    claims = tomllib.loads((ROOT / "docs" / "claims.toml").read_text())["rows"]
    claimed = {row: f"in part: {claim['part']}" if "part" in claim else "works" for row, claim in claims.items()}
    text = (ROOT / "docs" / "features.md").read_text()
    listed = dict(re.findall(r"^\| ([A-Z]\d+) \| .* \| (works|in part: .*|planned) \|$", text, re.MULTILINE))
    assert {row: state for row, state in listed.items() if state != "planned"} == claimed


def _row_marks() -> Iterator[tuple[str, str]]:
    """(row, place) of every row marker on a test function or class; a marker on anything else proves nothing."""
    for path in files(".py"):
        if name(path).split("/")[0] != "tests":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name.lower().startswith(
                "test"
            ):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.row":
                        yield from ((ast.literal_eval(row), f"{name(path)}::{node.name}") for row in mark.args)


def _locked(lock: str) -> dict[str, str]:
    """Package → its whole requirement on one line."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return {_package(line): line for line in lines}


def _package(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()
