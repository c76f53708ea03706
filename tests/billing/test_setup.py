"""`tollhouse stripe setup`: everything made once, changed where the catalogue changed, adopted where it is there."""

from __future__ import annotations

import asyncio
import json
import secrets
import stat
from typing import Any

import pytest

from tests.billing.shop import AURION, ENDPOINT, KEY, URL, Shop, open_shop
from tests.cli.running import CommandLine
from tests.sandbox.outside import Controls
from tollhouse.billing.account import HANDLED_EVENTS, fingerprint
from tollhouse.billing.exporting import export
from tollhouse.billing.ids_file import write_ids
from tollhouse.billing.stripe import SUPPORTED_API_VERSION
from tollhouse.billing.stripe.gateway import StripeGateway
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import Running, running_in_thread

PACKED = (
    AURION
    + '\n[packs.boost]\ntitle = "Boost"\ncredits = { credits = 500 }\nprices = [{ amount = 500, currency = "usd" }]\n'
)


@pytest.mark.row("S13", "U3")
def test_run_twice_it_changes_nothing(tollhouse: CommandLine, sandbox: Running, schema_url: str) -> None:
    shop = open_shop(tollhouse, sandbox, schema_url)
    shop.write(PACKED)
    first = shop.setup()
    there, ids = shop.there(), shop.ids

    assert [price["outcome"] for price in first["prices"]] == ["created"] * 6
    assert [product["outcome"] for product in first["products"]] == ["created"] * 6
    assert (first["webhook_endpoint"]["outcome"], first["portal"]["outcome"]) == ("created", "created")
    assert there["endpoints"] == [(ENDPOINT, list(HANDLED_EVENTS), "enabled", SUPPORTED_API_VERSION)]
    assert there["portals"] == [
        [
            (f"tollhouse_aurion_{plan}", [f"tollhouse_{plan}_month_usd"])
            for plan in ("enterprise", "plus", "pro", "starter")
        ]
    ]

    again = shop.setup()
    assert again["changes"] == 0
    assert "webhook_secret" not in again
    assert (shop.there(), shop.ids) == (there, ids)
    planned = shop.plan()
    assert (planned.status, planned.out) == (0, "nothing to do\n")


@pytest.mark.row("S13")
def test_a_plan_shows_what_would_be_done_and_does_nothing(shop: Shop) -> None:
    before = shop.there()
    planned = shop.plan()
    assert planned.status == 2
    done = [line.split("\t")[:3] for line in planned.out.splitlines()]
    assert ["create", "product", "starter"] in done
    assert ["create", "price", "starter, 9.00 USD a month"] in done
    assert ["create", "webhook endpoint", ENDPOINT] in done
    assert ["create", "portal", "customer portal"] in done
    assert shop.there() == before
    assert shop.ids is None

    shop.setup()
    shop.write(AURION.replace("amount = 900,", "amount = 1_200,").replace('title = "Plus"', 'title = "Plus+"'))
    document = shop.setup("--plan")
    assert document["changes"] == 4  # the product Plus, the price of Starter, the portal, the file
    assert next(price["detail"] for price in document["prices"]) == "9.00 USD a month → 12.00 USD a month"
    assert shop.plan().status == 2


@pytest.mark.row("S13")
def test_a_changed_amount_makes_a_new_price_that_takes_the_key_over(shop: Shop) -> None:
    old = shop.setup()["prices"][0]["price"]
    shop.write(AURION.replace("amount = 900,", "amount = 1_200,"))
    done = shop.setup()
    new = done["prices"][0]
    assert (new["outcome"], [price["outcome"] for price in done["prices"][1:]]) == ("replaced", ["found"] * 4)
    assert (done["portal"]["outcome"], done["webhook_endpoint"]["outcome"]) == ("updated", "found")
    assert shop.client.v1.prices.retrieve(new["price"]).lookup_key == "tollhouse_starter_month_usd"
    kept = shop.client.v1.prices.retrieve(old)
    assert (kept.active, kept.lookup_key, kept.unit_amount) == (True, None, 900)
    assert shop.ids is not None
    assert shop.ids.prices["STRIPE_PRICE_STARTER"] == new["price"]
    assert shop.setup()["changes"] == 0


@pytest.mark.row("S13")
def test_a_plan_of_another_name_changes_its_product(shop: Shop) -> None:
    shop.setup()
    shop.client.v1.products.update("tollhouse_aurion_starter", {"active": False})
    shop.write(AURION.replace('title = "Plus"', 'title = "Plus+"'))
    done = {product["plan"]: product for product in shop.setup()["products"]}
    assert (done["plus"]["outcome"], done["plus"]["detail"]) == ("updated", "name")
    assert (done["starter"]["outcome"], done["starter"]["detail"]) == ("updated", "active")
    assert shop.client.v1.products.retrieve("tollhouse_aurion_plus").name == "AURION Plus+"
    assert shop.client.v1.products.retrieve("tollhouse_aurion_starter").active
    assert shop.setup()["changes"] == 0


@pytest.mark.row("S13", "U3")
def test_what_is_there_is_adopted(shop: Shop) -> None:
    client = shop.client
    mine = client.v1.products.create({"name": "My own Starter"})
    month: Any = {"interval": "month"}
    own = client.v1.prices.create({"currency": "usd", "unit_amount": 900, "recurring": month, "product": mine.id})
    keyed = client.v1.prices.create(
        {
            "currency": "usd", "unit_amount": 2900, "recurring": month, "lookup_key": "tollhouse_plus_month_usd",
            "product_data": {"name": "My own Plus"},
        }
    )  # fmt: skip
    endpoint = client.v1.webhook_endpoints.create(
        {"url": ENDPOINT + "/", "enabled_events": ["invoice.payment_failed", "price.created"]}
    )
    client.v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
    secret = shop.secret_of(endpoint.id)
    shop.write(AURION.replace("[plans.starter]", f'[plans.starter]\nstripe_products = ["{mine.id}"]'))

    done = shop.setup()

    prices = {price["plan"]: (price["price"], price["outcome"]) for price in done["prices"]}
    assert (prices["starter"], prices["plus"]) == ((own.id, "adopted"), (keyed.id, "found"))
    assert client.v1.prices.retrieve(own.id).lookup_key == "tollhouse_starter_month_usd"
    assert (client.v1.products.retrieve(mine.id).name, len(shop.there()["products"])) == ("My own Starter", 5)
    assert "webhook_secret" not in done
    kept = client.v1.webhook_endpoints.retrieve(endpoint.id)
    assert (done["webhook_endpoint"]["id"], done["webhook_endpoint"]["outcome"]) == (endpoint.id, "updated")
    assert (kept.status, kept.enabled_events[:2]) == ("enabled", ["invoice.payment_failed", "price.created"])
    assert set(HANDLED_EVENTS) <= set(kept.enabled_events)
    assert shop.secret_of(endpoint.id) == secret
    assert shop.setup()["changes"] == 0


@pytest.mark.row("S13")
def test_a_price_that_the_environment_names_is_used_as_it_is(shop: Shop) -> None:
    month: Any = {"interval": "month"}
    params: Any = {"currency": "usd", "recurring": month, "product_data": {"name": "Elsewhere"}}
    right = shop.client.v1.prices.create(params | {"unit_amount": 900})
    wrong = shop.client.v1.prices.create(params | {"unit_amount": 950})
    shop.command.set(STRIPE_PRICE_STARTER=wrong.id)
    before = shop.there()
    refused = shop.command("stripe", "setup")
    assert refused.status == 1
    assert f"{wrong.id} is 9.50 USD a month in Stripe, and 9.00 USD a month in the catalogue" in refused.err
    assert shop.there() == before, "what cannot be done is told before anything is"

    shop.command.set(STRIPE_PRICE_STARTER=right.id)
    assert [price["outcome"] for price in shop.setup()["prices"]] == ["found", *["created"] * 4]

    shop.command.set(STRIPE_PRICE_STARTER="price_nowhere")
    refused = shop.command("stripe", "setup")
    assert (refused.status, "Stripe has no price price_nowhere, which STRIPE_PRICE_STARTER" in refused.err) == (1, True)
    assert "fix: unset it, and setup finds or makes the price" in refused.err
    shop.command.set(STRIPE_PRICE_STARTER="")
    assert shop.setup()["prices"][0]["outcome"] in ("found", "created")


@pytest.mark.row("S13")
def test_a_price_that_was_exported_moves_on_with_the_catalogue(shop: Shop) -> None:
    first = shop.setup()["prices"][0]["price"]
    shop.command.set(STRIPE_PRICE_STARTER=first)
    assert shop.setup()["changes"] == 0
    shop.write(AURION.replace("amount = 900,", "amount = 1_200,"))
    for outcome in ("replaced", "found"):
        done = shop.setup()["prices"][0]
        assert done["outcome"] == outcome
        assert f"{first}, which STRIPE_PRICE_STARTER names, is the old price" in done["detail"]
    shop.command.set(STRIPE_PRICE_STARTER=done["price"])
    assert shop.setup()["prices"][0]["detail"] == ""


async def test_customers_get_the_portal_that_was_set_up(shop: Shop) -> None:
    customer = shop.client.v1.customers.create({"email": "ada@example.com"}).id
    gateway = StripeGateway(KEY, api_base=shop.sandbox.url)
    try:
        for product in ("aurion", "another"):
            if product == "aurion":
                await asyncio.to_thread(shop.setup)
            await gateway.create_portal(customer, URL, product)
            gateway._portal = None
    finally:
        await gateway.close()
    assert shop.ids is not None
    used = [session["configuration"] for session in sessions_of(shop)]
    assert (used[0], used[1] != used[0]) == (shop.ids.portal_configuration, True)


def sessions_of(shop: Shop) -> list[dict[str, Any]]:
    return list(Controls(shop.sandbox.url).get("state")["objects"]["billing_portal.session"])


@pytest.mark.row("U3")
def test_the_secret_of_a_new_endpoint_is_shown_once(shop: Shop) -> None:
    ran = shop.command("stripe", "setup")
    assert shop.ids is not None
    known = shop.ids.webhook_endpoints[ENDPOINT]
    secret = shop.secret_of(known.id)
    assert f"STRIPE_WEBHOOK_SECRET={secret}\n" in ran.out
    assert known.secret == fingerprint(secret)
    assert secret not in (shop.command.directory / "stripe.test.json").read_text()
    again = shop.command("stripe", "setup")
    assert "whsec_" not in again.out + again.err


@pytest.mark.row("S13", "U3")
def test_what_has_to_be_set_is_exported_as_dotenv_and_json(shop: Shop) -> None:
    environment = shop.command.directory / ".env.live"
    environment.write_text("# ours\nPORT=8000\nSTRIPE_WEBHOOK_SECRET=whsec_old\n")
    ran = shop.command("stripe", "setup", "--export", "dotenv", "--to", str(environment))
    assert ran.status == 0
    assert "whsec_" not in ran.out
    assert shop.ids is not None
    ids = shop.ids
    secret = shop.secret_of(ids.webhook_endpoints[ENDPOINT].id)
    lines = environment.read_text().splitlines()
    assert lines[:3] == ["# ours", "PORT=8000", f"STRIPE_WEBHOOK_SECRET={secret}"]
    assert f"STRIPE_PRICE_STARTER={ids.prices['STRIPE_PRICE_STARTER']}" in lines
    assert "STRIPE_ACCOUNT=acct_1SandboxTollhouse" in lines
    assert stat.S_IMODE(environment.stat().st_mode) == 0o600
    kept = "# STRIPE_WEBHOOK_SECRET: told when the endpoint was made; keep the one you have"
    assert kept not in lines
    assert kept in shop.command("stripe", "setup", "--export", "dotenv").out.splitlines()

    exported = json.loads(shop.command("stripe", "setup", "--export", "json").out)
    assert exported == {"STRIPE_ACCOUNT": "acct_1SandboxTollhouse", **ids.prices}
    # What was exported is an environment in which nothing is left to do.
    shop.command.set(**exported)
    assert shop.plan().status == 0

    for wrong in (("--export", "yaml"), ("--to", "x.env"), ("--plan", "--export", "json")):
        assert "fix:" in shop.command("stripe", "setup", *wrong).err
    broken = shop.command.directory / "broken.json"
    broken.write_text("{")
    assert "is no JSON object" in shop.command("stripe", "setup", "--export", "json", "--to", str(broken)).err


@pytest.mark.row("S13")
def test_each_mode_has_its_own_file_and_objects(shop: Shop) -> None:
    shop.setup()
    test_ids = shop.ids
    config = Config(port=0, smtp_port=None, mode="live", account_id="acct_live")
    with running_in_thread(config) as live:
        key = "sk_live_" + secrets.token_hex(8)
        shop.command.set(ENVIRONMENT="rehearsal", STRIPE_SECRET_KEY=key, STRIPE_API_BASE=live.url)
        there = Shop(shop.command, live, key)
        assert there.plan().status == 2
        done = there.setup()
        assert (done["mode"], done["account"]) == ("live", "acct_live")
        assert there.ids is not None
        assert there.client.v1.prices.retrieve(there.ids.prices["STRIPE_PRICE_STARTER"]).livemode
    assert shop.ids == test_ids


@pytest.mark.row("S13")
def test_a_key_of_another_account_changes_nothing(shop: Shop) -> None:
    shop.setup()
    with running_in_thread(Config(port=0, smtp_port=None, account_id="acct_other")) as other:
        shop.command.set(STRIPE_API_BASE=other.url)
        ran = shop.command("stripe", "setup")
        assert ran.status == 1
        assert "a key of the account acct_other (Sandbox), and an earlier run set up acct_1SandboxTollhouse" in ran.err
        shop.command.set(STRIPE_ACCOUNT="acct_third")
        assert "and STRIPE_ACCOUNT says acct_third" in shop.command("stripe", "setup").err
        assert Shop(shop.command, other).there()["products"] == []


def test_a_local_address_is_not_registered_at_stripe_itself(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollhouse.billing.furnishing.unreachable", lambda settings: True)
    done = shop.setup()
    assert done["webhook_endpoint"]["outcome"] == "skipped"
    assert "tollhouse stripe listen" in done["webhook_endpoint"]["detail"]
    assert shop.there()["endpoints"] == []
    assert shop.setup()["changes"] == 0


class Killed(BaseException):
    """The process ends here; nothing catches it, nothing is cleaned up by us."""


class Assassin:
    """Kills a run at its n-th step: before a call leaves, after it has taken effect, or while a file is written."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.steps = 0, 0
        call = StripeGateway._answer

        async def answer(gateway: StripeGateway, method: str, *arguments: Any, **more: Any) -> Any:
            if method == "get":
                return await call(gateway, method, *arguments, **more)
            self.step()
            given = await call(gateway, method, *arguments, **more)
            self.step()
            return given

        def stepping(work: Any) -> Any:
            def stepped(*arguments: Any, **more: Any) -> None:
                self.step()
                work(*arguments, **more)
                self.step()

            return stepped

        monkeypatch.setattr(StripeGateway, "_answer", answer)
        monkeypatch.setattr("tollhouse.cli.stripe_setup.write_ids", stepping(write_ids))
        monkeypatch.setattr("tollhouse.cli.stripe_setup.export", stepping(export))

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            raise Killed


@pytest.mark.row("S13", "U3")
def test_killed_at_every_step_it_is_finished_by_running_it_again(
    shop: Shop, sandbox: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.write(PACKED)
    environment = shop.command.directory / "secrets.env"
    arguments = ("stripe", "setup", "--export", "dotenv", "--to", str(environment))
    assassin = Assassin(monkeypatch)
    assert shop.command(*arguments).status == 0
    wanted, steps = shop.there(), assassin.steps
    assert steps > 25
    for at in range(1, steps + 1):
        Controls(sandbox.url).post("reset")
        for leftover in (environment, shop.command.directory / "stripe.test.json"):
            leftover.unlink(missing_ok=True)
        assassin.at, assassin.steps = at, 0
        with pytest.raises(Killed):
            shop.command(*arguments)
        assassin.at = 0
        again = shop.command(*arguments)
        assert again.status == 0, again.err
        assert shop.there() == wanted, f"killed at step {at}"
        assert shop.ids is not None
        assert shop.ids.attempts == {}
        secret = shop.secret_of(shop.ids.webhook_endpoints[ENDPOINT].id)
        assert f"STRIPE_WEBHOOK_SECRET={secret}\n" in environment.read_text(), f"killed at step {at}"
        assert shop.plan().status == 0
