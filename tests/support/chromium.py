"""The Chromium that browser tests drive: the system's, or the one that Playwright has fetched."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

GIVEN_PROGRAM_VARIABLE = "TOLLHOUSE_TEST_CHROMIUM"
# No sandbox: containers and root have none. The rest keeps the browser from talking to anyone but the page's server.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def program() -> str | None:
    """The browser's path: the one given, the system's, or None for Playwright's own."""
    # Ubuntu's chromium-browser is no browser but a note to install a snap.
    return os.environ.get(GIVEN_PROGRAM_VARIABLE) or shutil.which("chromium") or shutil.which("google-chrome")


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """A browser without a window, closed when the block ends."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program(), args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()
