"""A retired plan may be archived at Stripe: setup leaves it so, and validate finds nothing wrong with it."""

from __future__ import annotations

import json

from tests.billing.shop import AURION, Shop


def test_what_is_archived_of_a_retired_plan_stays_archived(shop: Shop) -> None:
    client = shop.client.v1
    old = client.products.create({"name": "Minutes"})
    month: dict[str, str] = {"interval": "month"}
    price = client.prices.create(
        {"currency": "usd", "unit_amount": 1_900, "recurring": month, "product": old.id}  # type: ignore[typeddict-item]
    )
    client.prices.update(price.id, {"active": False})
    client.products.update(old.id, {"active": False})
    sold = f'prices = [{{ amount = 1_900, currency = "usd", every = "month", stripe_price = "{price.id}" }}]'
    shop.write(f"{AURION}\n[plans.minutes]\nretired = true\n{sold}\nlimits = {{ requests = 60, projects = 1 }}\n")

    assert "minutes" not in {made["plan"] for made in shop.setup()["products"]}
    assert client.products.retrieve(old.id).active is False
    assert client.prices.retrieve(price.id).active is False
    found = json.loads(shop.command("stripe", "validate", "--json").out)
    findings = found["checks"]
    wrong = [line for line in findings if line["status"] == "failed" and "minutes" in json.dumps(line)]
    assert wrong == []
    assert any(price.id in json.dumps(line) for line in findings)
