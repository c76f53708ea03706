"""An endpoint's secret is changed while events come in: none is refused, and validate knows the new one."""

from __future__ import annotations

import json

import pytest

from tests.billing.shop import Shop
from tests.sandbox.outside import Controls

HOUR = 3_600


def statuses(shop: Shop) -> set[int]:
    """How the instance answers what Stripe sends it now."""
    controls = Controls(shop.sandbox.url)
    before = controls.get("deliveries")["total"]
    controls.post("trigger", event="invoice.payment_failed", lookup_key="tollhouse_starter_month_usd")
    controls.settle()
    deliveries = controls.get("deliveries")
    fresh = deliveries["data"][: deliveries["total"] - before]
    return {delivery["attempts"][0]["status_code"] for delivery in fresh}


def restarted(shop: Shop, secrets: str) -> None:
    shop.command.set(STRIPE_WEBHOOK_SECRET=secrets)
    shop.server.stop()
    shop.server.environ.update(STRIPE_WEBHOOK_SECRET=secrets)
    shop.server.start()


def wrong(shop: Shop) -> list[str]:
    checks = json.loads(shop.command("stripe", "validate", "--json").out)["checks"]
    return [check["code"] for check in checks if check["status"] == "failed"]


@pytest.mark.row("U3")
@pytest.mark.parametrize("old_for_seconds", [HOUR, 0])
def test_the_old_and_the_new_secret_verify_while_it_is_changed(served: Shop, old_for_seconds: int) -> None:
    endpoint = served.client.v1.webhook_endpoints.list().data[0].id
    old = served.secret_of(endpoint)
    assert statuses(served) == {200}

    path = f"webhook_endpoints/{endpoint}/roll"
    new = Controls(served.sandbox.url).post(path, old_for_seconds=old_for_seconds)["secret"]
    assert statuses(served) == ({200} if old_for_seconds else {400})

    restarted(served, f"{new},{old}")
    assert statuses(served) == {200}
    done = served.setup()["webhook_endpoint"]
    assert (done["outcome"], done["detail"]) == ("updated", "marked with the secrets that are set now")
    assert served.setup()["changes"] == 0
    assert wrong(served) == []

    Controls(served.sandbox.url).post(path, old_for_seconds=0)  # and once more: what was new is the old one now
    newest = served.secret_of(endpoint)
    restarted(served, f"{newest},{new}")
    served.setup()
    restarted(served, newest)
    assert statuses(served) == {200}
    served.setup()
    assert wrong(served) == []

    restarted(served, old)
    assert statuses(served) == ({200} if old_for_seconds else {400})
    assert "webhook_secret_wrong" in wrong(served)
