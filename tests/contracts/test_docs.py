"""What holds for the documentation: its links lead somewhere, and the commands that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.tree import ROOT, files, name

PAGES = [*(ROOT / page for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")), *files(".md")]
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)\s#]*)(#[^)\s]+)?\)")
TARGET = re.compile(r"^([a-z-]+):.*##", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_to_a_file_or_heading_leads_somewhere(page: Path) -> None:
    for path, anchor in LINK.findall(page.read_text()):
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)} links to {path}, which does not exist"
        if anchor and target.suffix == ".md":
            assert anchor.lstrip("#") in _anchors(target), f"{name(page)}: {path}{anchor} has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_target_that_a_page_names_exists(page: Path) -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    named = set(re.findall(r"\bmake ([a-z-]+)(?=`|$)", page.read_text(), re.MULTILINE))
    assert named <= targets


def test_the_readme_says_how_to_run_the_tests() -> None:
    assert re.search(r"^\s*make test$|`make test`", (ROOT / "README.md").read_text(), re.MULTILINE)


def test_every_decision_says_its_context_decision_and_consequences() -> None:
    decisions = [path for path in files(".md") if path.parent.name == "decisions" and path.name[:4].isdigit()]
    assert decisions
    numbers = [path.name[:4] for path in decisions]
    assert len(set(numbers)) == len(numbers), "two decisions share a number"
    for path in decisions:
        headings = re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences", "Alternatives"], name(path)


def _anchors(page: Path) -> set[str]:
    """Headings of a page as the anchors that GitHub makes of them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
