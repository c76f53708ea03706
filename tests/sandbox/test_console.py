"""The sandbox's own pages about webhooks: what each endpoint got, and buttons for what is to go wrong."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import httpx
import pytest
import stripe

from tests.sandbox.conftest import KEY
from tests.sandbox.outside import Browser, Controls, Receiver, ada
from tollhouse_sandbox.server import Running


@pytest.fixture
def endpoint(client: stripe.StripeClient, receiver: Receiver) -> stripe.WebhookEndpoint:
    """Hears everything."""
    return client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})


def newest(controls: Controls) -> dict[str, Any]:
    found: dict[str, Any] = controls.get("deliveries")["data"][0]
    return found


def test_a_delivery_is_shown_with_its_attempts_and_payload(
    client: stripe.StripeClient, controls: Controls, browser: Browser, receiver: Receiver, endpoint: Any
) -> None:
    receiver.answers = [503]
    ada(client)
    receiver.wait_for(2)
    controls.settle()
    key = newest(controls)["id"]
    listed = browser.open("/deliveries").text
    assert receiver.url in listed
    assert f'href="/deliveries/{key}"' in listed
    shown = browser.open(f"/deliveries/{key}").text
    assert "<td>503</td>" in shown
    assert "<td>200</td>" in shown
    assert "ada@example.com" in shown
    assert browser.open("/deliveries/dlv_none").status == 404


def test_an_endpoints_signing_secret_is_folded_away_until_it_is_asked_for(
    client: stripe.StripeClient, browser: Browser, receiver: Receiver, endpoint: Any
) -> None:
    other = client.v1.webhook_endpoints.create({"url": receiver.url + "/other", "enabled_events": ["charge.updated"]})
    page = browser.open("/deliveries").text
    for made in (endpoint, other):
        folded = f'<details class="secret"><summary>Reveal signing secret</summary><code>{made.secret}</code></details>'
        assert page.count(str(made.secret)) == page.count(folded) == 1


def test_it_is_sent_again_from_its_page_and_from_the_events(
    client: stripe.StripeClient, controls: Controls, browser: Browser, receiver: Receiver, endpoint: Any
) -> None:
    ada(client)
    receiver.wait_for(1)
    delivery = newest(controls)
    again = browser.open(f"/deliveries/{delivery['id']}/resend", {})
    assert again.location != f"/deliveries/{delivery['id']}"
    assert str(again.location).startswith("/deliveries/dlv_")
    receiver.wait_for(2)
    assert f'action="/events/{delivery["event"]}/resend"' in browser.open(f"/objects/event/{delivery['event']}").text
    browser.open(f"/events/{delivery['event']}/resend", {})
    receiver.wait_for(3)
    assert {json.loads(heard.payload)["id"] for heard in receiver.heard} == {delivery["event"]}


def test_deliveries_are_picked_by_status_and_endpoint(
    client: stripe.StripeClient, controls: Controls, browser: Browser, receiver: Receiver, endpoint: Any
) -> None:
    controls.post("faults", drop=1)
    ada(client)
    ada(client)
    receiver.wait_for(1)
    controls.settle()
    lost, arrived = (
        controls.get("deliveries?status=dropped")["data"],
        controls.get("deliveries?status=succeeded")["data"],
    )
    page = browser.open("/deliveries?status=dropped").text
    assert f"/deliveries/{lost[0]['id']}" in page
    assert f"/deliveries/{arrived[0]['id']}" not in page
    assert "never sent" in browser.open(f"/deliveries/{lost[0]['id']}").text
    assert "There is no such delivery." in browser.open("/deliveries?endpoint=we_none").text


def test_an_endpoint_is_disabled_enabled_and_deleted(
    client: stripe.StripeClient, controls: Controls, browser: Browser, receiver: Receiver, endpoint: Any
) -> None:
    browser.open(f"/endpoints/{endpoint.id}", {"answer": "disable"})
    assert client.v1.webhook_endpoints.retrieve(endpoint.id).status == "disabled"
    ada(client)
    assert controls.get("deliveries")["total"] == 0
    browser.open(f"/endpoints/{endpoint.id}", {"answer": "enable"})
    assert client.v1.webhook_endpoints.retrieve(endpoint.id).status == "enabled"
    browser.open(f"/endpoints/{endpoint.id}", {"answer": "delete"})
    assert client.v1.webhook_endpoints.list().data == []


def test_faults_are_put_in_force_and_taken_back(
    client: stripe.StripeClient, controls: Controls, browser: Browser, receiver: Receiver, endpoint: Any
) -> None:
    form = {"drop": "2", "delay_ms": "5", "double": "1", "hold": "1", "error_count": "1", "error_status": "429"}
    assert browser.open("/faults", form).status == 303
    in_force = controls.get("faults")
    assert (in_force["drop"], in_force["delay_ms"], in_force["double"], in_force["reorder"]) == (2, 5, True, False)
    with pytest.raises(stripe.RateLimitError):
        ada(client)
    page = browser.open("/faults").text
    assert re.search(r'name="drop" inputmode="numeric" value="2"', page)
    assert "In force: 4" in page
    ada(client)  # doubled, and both are lost
    ada(client)
    assert "2 are held." in browser.open("/faults").text
    browser.open("/deliveries/release", {"order": "reverse"})
    receiver.wait_for(2)
    browser.open("/faults", {"drop_type": "customer.*", "error_status": "500"})
    assert controls.get("faults")["drop"] == "customer.*"
    browser.open("/faults", {"answer": "clear"})
    assert controls.get("faults")["drop"] == 0
    assert "None in force" in browser.open("/faults").text


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"drop": "-1"}, "Enter a whole number from 0 to 1,000,000."),
        ({"delay_ms": "9999999"}, "Enter a whole number from 0 to 600,000."),
        ({"api_latency_ms": "soon"}, "Enter a whole number from 0 to 600,000."),
    ],
)
def test_a_wrong_number_is_told_beside_its_field(
    controls: Controls, browser: Browser, form: dict[str, str], message: str
) -> None:
    page = browser.open("/faults", {"error_status": "500", "double": "1", **form})
    assert page.status == 400
    assert message in page.text
    assert f'value="{next(iter(form.values()))}"' in page.text
    assert not controls.get("faults")["double"]


def test_a_rate_limit_is_told_as_stripe_tells_it(sandbox: Running, controls: Controls) -> None:
    def call() -> httpx.Response:
        return httpx.get(f"{sandbox.url}/v1/customers", headers={"Authorization": f"Bearer {KEY}"})

    controls.post("faults", api_errors=[{"status": 429, "should_retry": True, "retry_after": 2}])
    refused = call()
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limit"
    assert refused.json()["error"]["message"].startswith("Request rate limit exceeded.")
    told = {name: refused.headers.get(name) for name in ("stripe-rate-limited-reason", "retry-after")}
    assert told == {"stripe-rate-limited-reason": "global-rate", "retry-after": "2"}
    assert refused.headers["stripe-should-retry"] == "true"

    controls.post("faults", api_errors=[], api_calls_a_second=5)
    with httpx.Client(headers={"Authorization": f"Bearer {KEY}"}) as quick:  # one connection: 8 calls within a second
        answers = [quick.get(f"{sandbox.url}/v1/customers") for _ in range(8)]
    assert [answer.status_code for answer in answers[:5]] == [200] * 5
    assert answers[-1].status_code == 429
    assert "retry-after" not in answers[-1].headers
    time.sleep(1.1)
    assert call().status_code == 200
