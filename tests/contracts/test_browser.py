"""The browser that the journeys drive is there and works."""

from __future__ import annotations

import pytest

from tests.support.chromium import running_chromium


@pytest.mark.browser
async def test_chromium_shows_a_page_and_runs_its_script() -> None:
    async with running_chromium() as browser:
        page = await browser.new_page()
        await page.set_content("<output></output><script>document.querySelector('output').value = 6 * 7</script>")
        assert await page.locator("output").text_content() == "42"
