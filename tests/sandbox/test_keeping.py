"""What survives a restart, how the sandbox is started, and its mail."""

from __future__ import annotations

import os
import re
import signal
import smtplib
import subprocess
import sys
import urllib.request
from email.message import EmailMessage
from pathlib import Path

import pytest
import stripe

from tests.sandbox.conftest import KEY
from tests.sandbox.outside import Browser, Controls, Receiver, ada, starter_price, subscribing
from tollhouse_sandbox.config import Config
from tollhouse_sandbox.server import Running, running, running_in_thread


def _client(url: str) -> stripe.StripeClient:
    return stripe.StripeClient(KEY, base_addresses={"api": url}, max_network_retries=0)


def _letter(to: str = "ada@example.com", *, html: bool = True) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Shop <shop@example.com>", to, "Confirmez votre adresse é"
    message.set_content("Click http://127.0.0.1:8787/verify?token=abc&x=1 now.")
    if html:
        message.add_alternative(
            '<p><a href="http://127.0.0.1:8787/verify?token=abc&amp;x=1">Verify</a></p>', subtype="html"
        )
    return message


def _send(sandbox: Running, message: EmailMessage) -> None:
    assert sandbox.smtp_port is not None
    with smtplib.SMTP("127.0.0.1", sandbox.smtp_port) as server:
        server.send_message(message)


def test_everything_is_there_after_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    config = Config(port=0, data_file=str(tmp_path / "sandbox.db"), delivery_pauses_seconds=(0.02,))
    with running_in_thread(config) as first:
        client, controls = _client(first.url), Controls(first.url)
        endpoint = client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["customer.created"]})
        controls.post("faults", hold=True)
        customer = client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "once"})
        session = subscribing(client, customer.id, starter_price(client).id)
        Browser(first.url).pay(session, "4242424242424242")
        live = client.v1.subscriptions.list().data[0]
        controls.post("clock/advance", seconds=1000)
        now = controls.get("clock")["now"]
        _send(first, _letter())
        before = controls.get("state")["objects"]
    with running_in_thread(config) as second:
        client, controls = _client(second.url), Controls(second.url)
        assert controls.get("state")["objects"] == before
        assert 0 <= controls.get("clock")["now"] - now < 60
        assert client.v1.customers.create({"email": "a@example.com"}, {"idempotency_key": "once"}).id == customer.id
        assert len(controls.get("mail")["data"]) == 1
        controls.post("deliveries/release")
        receiver.wait_for(1)
        assert endpoint.secret is not None
        assert receiver.events(endpoint.secret)[0].data.object["id"] == customer.id
        controls.post("clock/advance", to=live["items"].data[0].current_period_end)
        assert len(client.v1.invoices.list({"subscription": live.id}).data) == 2
        client.v1.prices.update(live["items"].data[0].price.id, {"nickname": "renamed"})
        assert client.v1.subscriptions.retrieve(live.id)["items"].data[0].price.nickname == "renamed"


def test_an_undelivered_webhook_is_delivered_after_a_restart(tmp_path: Path, receiver: Receiver) -> None:
    config = Config(port=0, data_file=str(tmp_path / "sandbox.db"), delivery_pauses_seconds=(600,))
    with running_in_thread(config) as first:
        client = _client(first.url)
        client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
        receiver.answers = [503]
        ada(client)
        receiver.wait_for(1)
        Controls(first.url).settle()
    with running_in_thread(config):
        receiver.wait_for(2)
    assert receiver.heard[0].payload == receiver.heard[1].payload


def test_a_reset_forgets_everything(client: stripe.StripeClient, controls: Controls) -> None:
    ada(client)
    controls.post("faults", hold=True)
    controls.post("clock/advance", seconds=86_400)
    assert controls.post("reset")["offset_seconds"] == 0
    assert client.v1.customers.list().data == []
    assert client.v1.events.list().data == []
    assert controls.get("faults")["hold"] is False


async def test_it_runs_beside_an_event_loop() -> None:
    async with running(Config(port=0)) as sandbox:
        assert _client(sandbox.url).v1.customers.list().data == []


def test_the_command_says_when_it_is_ready_and_stops_when_asked(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).parent / "tollhouse-sandbox"), "serve", "--port", "0"]
    arguments = [*command, "--data", str(tmp_path / "s.db"), "--secret-key", KEY]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        ready = re.match(r"sandbox ready (http://127\.0\.0\.1:\d+)", line)
        assert ready, line
        assert _client(ready[1]).v1.customers.list().data == []
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_a_taken_port_is_told_with_the_fix(sandbox: Running, capsys: pytest.CaptureFixture[str]) -> None:
    from tollhouse_sandbox.cli import main

    assert main(["serve", "--port", sandbox.url.rpartition(":")[2]]) == 1
    assert "choose another port with --port" in capsys.readouterr().err


def test_mail_is_kept_with_both_parts_and_its_links(sandbox: Running, controls: Controls) -> None:
    _send(sandbox, _letter())
    _send(sandbox, _letter("bob@example.com", html=False))
    mail = controls.get("mail?to=ada@example.com")["data"]
    assert len(mail) == 1
    assert (mail[0]["from"], mail[0]["to"]) == ("Shop <shop@example.com>", ["ada@example.com"])
    assert mail[0]["subject"] == "Confirmez votre adresse é"
    assert mail[0]["links"] == ["http://127.0.0.1:8787/verify?token=abc&x=1"]
    assert "Verify" in mail[0]["html"]
    assert controls.delete("mail")["deleted"] == 2


def test_what_is_attached_is_saved_from_the_inbox(sandbox: Running, controls: Controls, browser: Browser) -> None:
    letter = _letter()
    letter.add_attachment(b"%PDF-1.7 bytes \xff", maintype="application", subtype="pdf", filename='a"\u00e9.pdf')
    _send(sandbox, letter)
    key = controls.get("mail")["data"][0]["id"]
    assert f'href="/mail/{key}/files/0"' in browser.open(f"/mail/{key}").text
    with urllib.request.urlopen(f"{sandbox.url}/mail/{key}/files/0") as answer:
        assert (answer.read(), answer.headers["content-type"]) == (b"%PDF-1.7 bytes \xff", "application/pdf")
        assert answer.headers["content-disposition"] == 'attachment; filename="a--.pdf"'
    for nowhere in (f"/mail/{key}/files/1", f"/mail/{key}/files/x", "/mail/none/files/0"):
        assert browser.open(nowhere).status == 404


def test_the_inbox_page_shows_a_message_in_a_frame_without_rights(
    sandbox: Running, controls: Controls, browser: Browser
) -> None:
    assert "The inbox is empty" in browser.open("/mail").text
    hostile = _letter()
    hostile.replace_header("Subject", "<script>alert(1)</script>")
    _send(sandbox, hostile)
    key = controls.get("mail")["data"][0]["id"]
    page = browser.open(f"/mail/{key}").text
    assert "<script>" not in page
    assert "<iframe" in page
    assert 'sandbox="allow-popups' in page
    assert 'href="http://127.0.0.1:8787/verify?token=abc&amp;x=1"' in page
    assert ">Verify</a>" in browser.open(f"/mail/{key}/html").text


def test_the_pages_of_the_sandbox_show_what_happened(
    client: stripe.StripeClient, browser: Browser, receiver: Receiver, controls: Controls
) -> None:
    assert "Nothing yet" in browser.open("/").text
    client.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    customer = ada(client)
    browser.pay(subscribing(client, customer.id, starter_price(client).id), "4242424242424242")
    controls.settle()
    assert "checkout.session.completed" in browser.open("/events").text
    assert "succeeded" in browser.open("/deliveries").text
    assert customer.id in browser.open("/objects/customer").text
    assert "ada@example.com" in browser.open(f"/objects/customer/{customer.id}").text
    assert "whsec_" not in browser.open("/objects/private").text
    invoice = client.v1.invoices.list().data[0]
    assert invoice.hosted_invoice_url is not None
    assert "$9.00" in browser.open(invoice.hosted_invoice_url).text
    before = controls.get("clock")["now"]
    assert browser.open("/clock", {"by": "month"}).status == 303
    assert controls.get("clock")["now"] - before >= 28 * 86_400
    assert len(client.v1.invoices.list().data) == 2
