"""An installation's command line, and the merchant's own view of its Stripe account, for the commands that set it up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import stripe

from tests.cli.running import CommandLine, Ran
from tests.sandbox.outside import Controls
from tests.support.postgres import free_port
from tests.support.serving import SESSION_SECRET, RunningServer
from tollhouse import presets
from tollhouse.billing.ids_file import Ids, read_ids
from tollhouse_sandbox.server import Running

KEY = "sk_test_setup"
URL = "http://127.0.0.1:8787"
ENDPOINT = f"{URL}/webhooks/stripe"
AURION = (Path(presets.__file__).parent / "aurion.toml").read_text()


class Shop:
    """The command line of an installation, and the merchant's own view of its Stripe account."""

    server: RunningServer

    def __init__(self, command: CommandLine, sandbox: Running, key: str = KEY, database_url: str = "") -> None:
        self.database_url = database_url
        self.command = command
        self.sandbox = sandbox
        self.client = stripe.StripeClient(key, base_addresses={"api": sandbox.url}, max_network_retries=0)
        self.mode = "live" if "_live_" in key else "test"
        self.write(AURION)

    def write(self, toml: str) -> None:
        (self.command.directory / "tollhouse.toml").write_text(toml)

    def setup(self, *arguments: str) -> Any:
        ran = self.command("stripe", "setup", "--json", *arguments)
        assert ran.status in (0, 2), ran.err
        return json.loads(ran.out)

    def plan(self) -> Ran:
        return self.command("stripe", "setup", "--plan")

    @property
    def ids(self) -> Ids | None:
        return read_ids(self.command.directory / f"stripe.{self.mode}.json")

    def there(self) -> dict[str, Any]:
        """Everything that setup makes, without what differs from one making to the next."""
        state = Controls(self.sandbox.url).get("state")["objects"]
        prices = {price["id"]: price["lookup_key"] for price in state.get("price", [])}
        portals = [portal for portal in state.get("billing_portal.configuration", []) if not portal["is_default"]]
        return {
            "products": sorted((found["id"], found["name"], found["active"]) for found in state.get("product", [])),
            "prices": sorted(
                (str(found["lookup_key"]), found["unit_amount"], found["product"]) for found in state.get("price", [])
            ),
            "endpoints": [
                (found["url"], found["enabled_events"], found["status"], found["api_version"])
                for found in state.get("webhook_endpoint", [])
            ],
            "portals": [
                sorted(
                    (product["product"], sorted(prices[price] for price in product["prices"]))
                    for product in portal["features"]["subscription_update"]["products"] or []
                )
                for portal in portals
            ],
        }

    def secret_of(self, endpoint: str) -> str:
        """What only Stripe knows."""
        private = self.sandbox.app_state.store.get("private", endpoint)
        assert private is not None
        return str(private["secret"])


def open_shop(command: CommandLine, sandbox: Running, database_url: str) -> Shop:
    command.set(
        DATABASE_URL=database_url, ENVIRONMENT="test", SESSION_SECRET=SESSION_SECRET, STRIPE_SECRET_KEY=KEY,
        STRIPE_API_BASE=sandbox.url,
    )  # fmt: skip
    return Shop(command, sandbox, database_url=database_url)


class Serving:
    """A server of this shop that is started by whoever knows its secret."""

    def __init__(self, shop: Shop, directory: Path) -> None:
        directory.mkdir()
        environ = {"STRIPE_SECRET_KEY": KEY, "STRIPE_API_BASE": shop.sandbox.url}
        self.server = RunningServer(
            shop.database_url, AURION, directory, secret_key="", port=free_port(), prelude="", **environ
        )

    def __enter__(self) -> RunningServer:
        return self.server

    def __exit__(self, *failure: object) -> None:
        self.server.kill()
