"""The town of these stories, built once for each preset."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.journeys.town import Town, standing
from tests.support.chromium import running_chromium
from tests.support.databases import new_sqlite


@pytest.fixture(scope="session")
def aurion(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The product that sells credits and launches tools."""
    directory: Path = tmp_path_factory.mktemp("aurion")
    with standing(new_sqlite(directory), "aurion", directory / "serve") as town:
        yield town


@pytest.fixture(scope="session")
def upiik(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """The product that is paid by the month or the year."""
    directory: Path = tmp_path_factory.mktemp("upiik")
    with standing(new_sqlite(directory), "upiik", directory / "serve") as town:
        yield town


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A browser whose user reads English; an error of a script fails the test."""
    problems: list[str] = []
    async with running_chromium() as browser:
        context = await browser.new_context(locale="en-US", viewport={"width": 1280, "height": 900})
        page = await context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if "Content Security Policy" in said.text else None)
        yield page
    assert problems == []
