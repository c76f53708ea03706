"""The world of these stories, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.billing.shop import Serving, Shop, open_shop
from tests.billing.world import World, opened
from tests.cli.running import CommandLine
from tests.support.databases import new_sqlite
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import Running, running_in_thread


@pytest.fixture
async def world(schema_url: str) -> AsyncIterator[World]:
    async with opened(schema_url) as world:
        yield world


@pytest.fixture
def tollhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """`tollhouse("stripe", "setup")` runs that command and answers its status and words."""
    return CommandLine(tmp_path, monkeypatch, capsys)


@pytest.fixture
def sandbox() -> Iterator[Running]:
    with running_in_thread(Config(port=0, smtp_port=None)) as running:
        yield running


@pytest.fixture
def shop(tollhouse: CommandLine, sandbox: Running, tmp_path: Path) -> Shop:
    """AURION on SQLite, nothing set up yet."""
    return open_shop(tollhouse, sandbox, new_sqlite(tmp_path))


@pytest.fixture
async def quick_world(schema_url: str) -> AsyncIterator[World]:
    """For stories that are lived again and again."""
    async with opened(schema_url, quick=True) as world:
        yield world


@pytest.fixture
def served(tollhouse: CommandLine, sandbox: Running, schema_url: str, tmp_path: Path) -> Iterator[Shop]:
    """AURION, set up at Stripe and served with the secret of its endpoint; nothing is wrong."""
    shop = open_shop(tollhouse, sandbox, schema_url)
    with Serving(shop, tmp_path / "serving") as server:
        shop.command.set(TOLLHOUSE_URL=server.url)
        secret = shop.setup()["webhook_secret"]
        shop.command.set(STRIPE_WEBHOOK_SECRET=secret)
        server.environ.update(STRIPE_WEBHOOK_SECRET=secret)
        server.start()
        shop.server = server
        yield shop
