"""A sandbox for each test, the official SDK as its client, and an endpoint that hears its webhooks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from tests.sandbox.outside import Browser, Controls, Receiver
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import Running, running_in_thread

KEY = "sk_test_sandbox"


@pytest.fixture
def config() -> Config:
    """Start-up settings; a test module may override this fixture."""
    return Config(port=0, delivery_pauses_seconds=(0.02, 0.05))


@pytest.fixture
def sandbox(config: Config) -> Iterator[Running]:
    """A sandbox that answers, with nothing in it."""
    with running_in_thread(config) as running:
        yield running


@pytest.fixture
def client(sandbox: Running) -> stripe.StripeClient:
    """The official SDK in test mode, without its own retries."""
    return stripe.StripeClient(KEY, base_addresses={"api": sandbox.url}, max_network_retries=0)


@pytest.fixture
def controls(sandbox: Running) -> Controls:
    """`/_sandbox/…`."""
    return Controls(sandbox.url)


@pytest.fixture
def browser(sandbox: Running) -> Browser:
    """Somebody who opens the hosted pages, without JavaScript."""
    return Browser(sandbox.url)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A server that keeps every webhook it gets."""
    with Receiver() as server:
        yield server
