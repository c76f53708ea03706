"""The world around the sandbox in its tests: a browser without scripts, a webhook receiver, the controls."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

import stripe

SUCCESS_URL = "http://127.0.0.1:9/paid?session={CHECKOUT_SESSION_ID}"
CANCEL_URL = "http://127.0.0.1:9/pricing"


class Page(NamedTuple):
    """What a browser got."""

    status: int
    location: str | None
    text: str


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object) -> None:
        return None


class Browser:
    """Opens pages and sends their forms; never follows a redirect."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = urllib.request.build_opener(_Stay)

    def open(self, address: str, form: dict[str, str] | None = None) -> Page:
        data = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            answer = self._opener.open(urllib.parse.urljoin(self._url, address), data)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return Page(answer.status, answer.headers.get("location"), answer.read().decode())

    def pay(self, session: stripe.checkout.Session, number: str, **other: str) -> Page:
        """Types a card on the session's page and sends it."""
        typed = {
            "email": "ada@example.com",
            "number": number,
            "expiry": "12 / 40",
            "cvc": "123",
            "name": "Ada Lovelace",
        }
        assert session.url is not None
        return self.open(session.url, typed | other)


class Controls:
    """The sandbox's own controls."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, path: str) -> Any:
        return self._send(urllib.request.Request(f"{self._url}/_sandbox/{path}"))

    def post(self, path: str, **body: object) -> Any:
        data = json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        return self._send(urllib.request.Request(f"{self._url}/_sandbox/{path}", data, headers))

    def delete(self, path: str) -> Any:
        return self._send(urllib.request.Request(f"{self._url}/_sandbox/{path}", method="DELETE"))

    def settle(self) -> None:
        """Waits until every delivery has been tried."""
        assert self.post("deliveries/settle", timeout_ms=10_000)["settled"]

    def _send(self, request: urllib.request.Request) -> Any:
        try:
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)


class Heard(NamedTuple):
    """One webhook request as it arrived."""

    payload: bytes
    signature: str


class Receiver:
    """Keeps webhooks; answers with the statuses in `answers`, one each, then with 200."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.answers: list[int] = []
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                payload = self.rfile.read(int(self.headers["content-length"]))
                with receiver._arrived:
                    receiver.heard.append(Heard(payload, self.headers["stripe-signature"]))
                    status = receiver.answers.pop(0) if receiver.answers else 200
                    receiver._arrived.notify_all()
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/stripe"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, count: int) -> list[Heard]:
        """The webhooks heard, once there are that many."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.heard) >= count, 10), (
                f"only {len(self.heard)} of {count} came"
            )
            return list(self.heard)

    def events(self, secret: str) -> list[stripe.Event]:
        """What was heard, each verified by the SDK."""
        return [stripe.Webhook.construct_event(h.payload, h.signature, secret) for h in self.heard]

    def types(self) -> list[str]:
        """The types heard, in the order of their arrival."""
        return [json.loads(heard.payload)["type"] for heard in self.heard]


def starter_price(client: stripe.StripeClient, *, amount: int = 900, interval: str = "month") -> stripe.Price:
    """The price of a plan 'Starter'."""
    return client.v1.prices.create(
        {
            "currency": "usd",
            "unit_amount": amount,
            "recurring": {"interval": interval},
            "lookup_key": f"starter_{amount}_{interval}",
            "product_data": {"name": "Starter"},
        }
    )


def ada(client: stripe.StripeClient) -> stripe.Customer:
    """A customer."""
    return client.v1.customers.create(
        {"email": "ada@example.com", "name": "Ada Lovelace", "metadata": {"user": "usr_1"}}
    )


def subscribing(client: stripe.StripeClient, customer: str, price: str) -> stripe.checkout.Session:
    """An open Checkout session in which the customer subscribes."""
    return client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "customer": customer,
            "line_items": [{"price": price, "quantity": 1}],
            "success_url": SUCCESS_URL,
            "cancel_url": CANCEL_URL,
            "subscription_data": {"metadata": {"plan": "starter"}},
        }
    )
