"""Stripe's API as the official SDK meets it: keys, errors, idempotency, pages, expansion, metadata."""

from __future__ import annotations

import http.client
import json
import urllib.parse

import pytest
import stripe

from tests.sandbox.conftest import KEY
from tests.sandbox.outside import Controls, ada, starter_price
from tollhouse_sandbox.config import API_VERSION, Config
from tollhouse_sandbox.server import Running, running_in_thread


def _send(
    sandbox: Running, method: str, path: str, body: str = "", **headers: str
) -> tuple[int, dict[str, str], dict[str, object]]:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(sandbox.url).netloc)
    sent = {"Authorization": f"Bearer {KEY}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, sent)
    answer = connection.getresponse()
    try:
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, json.load(answer)
    finally:
        connection.close()


def test_the_version_is_the_one_that_the_sdk_pins() -> None:
    assert stripe.api_version == API_VERSION


def test_a_call_without_a_key_is_told_how_to_send_one(sandbox: Running) -> None:
    status, _, answer = _send(sandbox, "GET", "/v1/customers", Authorization="")
    assert status == 401
    assert "You did not provide an API key" in str(answer["error"])


def test_a_key_may_come_by_basic_authentication(sandbox: Running) -> None:
    status, _, _ = _send(sandbox, "GET", "/v1/customers", Authorization="Basic c2tfdGVzdF9hYmM6")
    assert status == 200


@pytest.mark.parametrize("key", ["sk_live_1234567890abcd", "nonsense_1234567890"])
def test_without_a_list_only_test_keys_are_accepted(sandbox: Running, key: str) -> None:
    client = stripe.StripeClient(key, base_addresses={"api": sandbox.url})
    with pytest.raises(stripe.AuthenticationError, match=rf"Invalid API Key provided: {key[:8]}\*+{key[-4:]}"):
        client.v1.customers.list()


def test_listed_keys_choose_the_mode_and_the_modes_share_nothing() -> None:
    with running_in_thread(Config(port=0, secret_keys=("sk_test_one", "sk_live_two"))) as sandbox:
        test, live = (
            stripe.StripeClient(key, base_addresses={"api": sandbox.url}) for key in ("sk_test_one", "sk_live_two")
        )
        mine = live.v1.customers.create({"email": "live@example.com"})
        assert mine.livemode is True
        assert test.v1.customers.list().data == []
        with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
            test.v1.customers.retrieve(mine.id)
        with pytest.raises(stripe.AuthenticationError):
            stripe.StripeClient("sk_test_other", base_addresses={"api": sandbox.url}).v1.customers.list()


def test_a_missing_object_is_a_404_in_stripes_words(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="No such customer: 'cus_x'") as caught:
        client.v1.customers.retrieve("cus_x")
    assert (caught.value.http_status, caught.value.code, caught.value.param) == (404, "resource_missing", "id")


def test_parameters_are_checked_in_stripes_words(client: stripe.StripeClient) -> None:
    for parameters, message, code in (
        ({"foo": "1"}, "Received unknown parameter: foo", "parameter_unknown"),
        ({"foo": "1", "bar": "2"}, "Received unknown parameters: foo, bar", "parameter_unknown"),
        (
            {"currency": "usd", "recurring": {"interval": "month", "x": 1}},
            "Received unknown parameter: recurring\\[x\\]",
            "parameter_unknown",
        ),
        ({"unit_amount": 1}, "Missing required param: currency.", "parameter_missing"),
        ({"currency": "usd", "unit_amount": "many"}, "Invalid integer: many", "parameter_invalid_integer"),
        (
            {"currency": "usd", "recurring": {"interval": "eon"}},
            "Invalid recurring\\[interval\\]: must be one of day, month, week, or year",
            None,
        ),
        ({"currency": "usd", "nickname": ""}, "You passed an empty string for 'nickname'", "parameter_invalid_empty"),
        ({"currency": "usd", "unit_amount": 1, "product": "prod_x"}, "No such product: 'prod_x'", "resource_missing"),
    ):
        with pytest.raises(stripe.InvalidRequestError, match=message) as caught:
            client.v1.prices.create(parameters)  # type: ignore[arg-type]
        assert (caught.value.http_status, caught.value.code) == (400, code)


def test_an_unknown_path_is_told(sandbox: Running) -> None:
    status, _, answer = _send(sandbox, "GET", "/v1/nonsense")
    assert status == 404
    assert "Unrecognized request URL (GET: /v1/nonsense)" in str(answer["error"])


@pytest.mark.parametrize(
    "body", ["a[b=1", "a[b]=1&a=2", "a=1&a[b]=2", "a" + "[b]" * 40 + "=1", "\x00=%00", "email[0]=x"]
)
def test_a_form_that_makes_no_sense_is_refused_and_breaks_nothing(sandbox: Running, body: str) -> None:
    status, _, answer = _send(sandbox, "POST", "/v1/customers", body)
    assert (status, "error" in answer) == (400, True)


def test_the_same_key_gives_the_first_answer_again(sandbox: Running, client: stripe.StripeClient) -> None:
    first = client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "once"})
    second = client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "once"})
    assert first.id == second.id
    assert len(client.v1.customers.list().data) == 1
    _, headers, _ = _send(sandbox, "POST", "/v1/customers", "email=a%40example.com", Idempotency_Key="once")
    assert headers["idempotent-replayed"] == "true"
    assert headers["request-id"].startswith("req_")


def test_the_same_key_with_other_parameters_is_an_error(client: stripe.StripeClient) -> None:
    client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "once"})
    with pytest.raises(stripe.IdempotencyError, match="can only be used with the same parameters") as caught:
        client.v1.customers.create({"email": "b@example.com"}, {"idempotency_key": "once"})
    assert caught.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError, match="can only be used for the same endpoint"):
        client.v1.products.create({"name": "x"}, {"idempotency_key": "once"})


def test_a_refused_request_leaves_its_key_free(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.customers.create({"email": "no address"}, {"idempotency_key": "again"})
    assert client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "again"}).id


def test_lists_are_paged_newest_first_in_both_directions(client: stripe.StripeClient) -> None:
    ids = [client.v1.customers.create({"name": str(number)}).id for number in range(7)][::-1]
    first = client.v1.customers.list({"limit": 3})
    assert ([c.id for c in first.data], first.has_more) == (ids[:3], True)
    after = client.v1.customers.list({"limit": 3, "starting_after": ids[3]})
    assert ([c.id for c in after.data], after.has_more) == (ids[4:], False)
    before = client.v1.customers.list({"limit": 3, "ending_before": ids[4]})
    assert ([c.id for c in before.data], before.has_more) == (ids[1:4], True)
    assert [c.id for c in client.v1.customers.list({"limit": 2}).auto_paging_iter()] == ids
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        client.v1.customers.list({"starting_after": "cus_x"})


def test_metadata_is_merged_and_emptied_by_name(client: stripe.StripeClient) -> None:
    customer = client.v1.customers.create({"metadata": {"a": "1", "b": "2"}})
    merged = client.v1.customers.update(customer.id, {"metadata": {"b": "", "c": "3"}})
    assert merged.to_dict()["metadata"] == {"a": "1", "c": "3"}
    assert client.v1.customers.update(customer.id, {"metadata": ""}).to_dict()["metadata"] == {}


def test_expansion_follows_dots_and_refuses_what_is_no_object(client: stripe.StripeClient) -> None:
    price = starter_price(client)
    listed = client.v1.prices.list({"expand": ["data.product"]}).data[0]
    assert isinstance(listed.product, stripe.Product)
    assert listed.product.name == "Starter"
    assert isinstance(client.v1.prices.retrieve(price.id).product, str)
    for path in ("currency", "nonsense", "recurring"):
        with pytest.raises(stripe.InvalidRequestError, match=f"This property cannot be expanded \\({path}\\)"):
            client.v1.prices.retrieve(price.id, {"expand": [path]})
    with pytest.raises(stripe.InvalidRequestError, match="more than 4 levels"):
        client.v1.prices.retrieve(price.id, {"expand": ["a.b.c.d.e"]})


def test_a_lookup_key_moves_only_when_asked(client: stripe.StripeClient) -> None:
    old = starter_price(client)
    assert isinstance(old.product, str)
    assert old.lookup_key is not None
    with pytest.raises(stripe.InvalidRequestError, match="already uses that lookup key"):
        client.v1.prices.create(
            {"currency": "usd", "unit_amount": 1, "product": old.product, "lookup_key": old.lookup_key}
        )
    new = client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": 1000,
            "product": old.product,
            "lookup_key": old.lookup_key,
            "transfer_lookup_key": True,
        }
    )
    assert [price.id for price in client.v1.prices.list({"lookup_keys": [old.lookup_key]}).data] == [new.id]
    assert client.v1.prices.retrieve(old.id).lookup_key is None


def test_customers_are_found_by_mail_and_by_metadata(client: stripe.StripeClient) -> None:
    wanted = ada(client)
    client.v1.customers.create({"email": "bob@example.com", "metadata": {"user": "usr_2"}})
    assert [c.id for c in client.v1.customers.list({"email": "ada@example.com"}).data] == [wanted.id]
    for query in ("email:'ada@example.com'", "metadata['user']:'usr_1'", "name~'lovelace' AND email:'ADA@example.com'"):
        assert [c.id for c in client.v1.customers.search({"query": query}).data] == [wanted.id], query
    client.v1.customers.update(wanted.id, {"email": "new@example.com"})
    assert client.v1.customers.list({"email": "ada@example.com"}).data == []


def test_a_deleted_customer_says_so(client: stripe.StripeClient) -> None:
    customer = ada(client)
    assert client.v1.customers.delete(customer.id).deleted is True
    assert client.v1.customers.retrieve(customer.id).deleted is True
    assert client.v1.customers.list().data == []


def test_a_change_is_told_with_the_values_before_it(client: stripe.StripeClient) -> None:
    customer = ada(client)
    client.v1.customers.update(customer.id, {"name": "Ada King", "metadata": {"user": "usr_9"}})
    event = client.v1.events.list({"type": "customer.updated"}).data[0]
    assert event.data.to_dict()["previous_attributes"] == {"name": "Ada Lovelace", "metadata": {"user": "usr_1"}}
    assert event.request is not None
    assert str(event.request.id).startswith("req_")


def test_the_api_fails_on_demand_before_or_after_it_has_acted(client: stripe.StripeClient, controls: Controls) -> None:
    controls.post("faults", api_errors=[{"status": 500, "path": "/v1/customers"}])
    with pytest.raises(stripe.APIError):
        client.v1.customers.create({"name": "before"})
    assert client.v1.customers.list().data == []
    controls.post("faults", api_errors=[{"status": 500, "when": "after"}])
    with pytest.raises(stripe.APIError):
        client.v1.customers.create({"name": "after"}, {"idempotency_key": "lost"})
    assert client.v1.customers.create({"name": "after"}, {"idempotency_key": "lost"}).name == "after"
    assert len(client.v1.customers.list().data) == 1
    controls.post("faults", api_errors=[{"status": 429}])
    with pytest.raises(stripe.RateLimitError):
        client.v1.customers.list()
