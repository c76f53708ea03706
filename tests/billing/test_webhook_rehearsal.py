"""docs/how-to/when-a-webhook-fails.md: its rehearsal is done as it stands there, and a replay alone brings the plan."""

from __future__ import annotations

import json
import re
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.support.rehearsal import commands, rehearsal, wait_for

PASSWORD = "correct horse battery staple"
CARD = {"number": "4242 4242 4242 4242", "expiry": "12 / 40", "cvc": "123", "name": "Ada Lovelace"}


def until(what: str, true: Callable[[], object]) -> None:
    """Waits for what the page promises."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.2)


def submit(person: httpx.Client, page: str, named: str, **typed: str) -> httpx.Response:
    """Opens the page and sends its form that has these words in it, as a browser without scripts does."""
    opened = person.get(page, follow_redirects=True)
    forms = re.findall(r"<form[^>]*>.*?</form>", opened.text, re.DOTALL)
    form = next(form for form in forms if named in form)
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
    action = re.search(r'<form[^>]* action="([^"]+)"', form)
    address = urllib.parse.urljoin(str(opened.url), action[1]) if action else str(opened.url)
    return person.post(address, data=hidden | typed)


def test_the_rehearsal_ends_with_a_plan_that_a_replay_has_brought(tmp_path: Path) -> None:
    staff, wrong, look, mend, replay = commands("when-a-webhook-fails.md")
    with rehearsal(tmp_path) as live, httpx.Client(timeout=30) as ada, httpx.Client(timeout=30) as grace:
        read, _ = live.check.split("\n", 1)
        export = live.furnish.splitlines()[1]
        assert live.run(live.environment.splitlines()[-2] + "\n" + export).returncode == 0
        server = live.launch(live.serve)
        wait_for(f"{live.url}/health")
        added = live.run(f"{read}\n{staff}")
        assert added.returncode == 0, added.stderr
        live.stop(server)
        server = live.launch(live.serve.replace("tollhouse serve", wrong))
        wait_for(f"{live.url}/health")
        submit(grace, added.stdout.strip(), 'type="password"', password=PASSWORD)
        submit(grace, f"{live.url}/login", 'type="password"', email="you@example.com", password=PASSWORD)

        submit(ada, f"{live.url}/signup?lang=en", 'name="name"', name="Ada", email="ada@example.com", password=PASSWORD)
        checkout = submit(ada, f"{live.url}/pricing", "Choose Starter").headers["location"]
        paid = ada.post(checkout, data={**CARD, "email": "ada@example.com", "answer": "stay"})
        assert (paid.status_code, "<h1>Paid</h1>" in paid.text) == (200, True)

        def health() -> str:
            return str(ada.get(f"{live.url}/health/payments").json()["status"])

        def on_starter() -> bool:
            shown = re.search(r">Plan</p>\s*<p[^>]*><span[^>]*>(\w+)<", ada.get(f"{live.url}/app/billing").text)
            assert shown is not None
            return shown[1] == "Starter"

        def letters() -> str:
            return ada.get(f"{live.sandbox}/mail").text

        until("the health is critical", lambda: health() == "critical")
        until(
            "the letter has come", lambda: "critique" in letters() and "ops@example.com" in letters()
        )  # AURION speaks French
        looked = live.run(f"{read}\n{look}")
        assert '"critical"' in looked.stdout
        assert "checkout.session.completed" in looked.stdout
        assert "its signature was refused" in looked.stdout
        assert "its signature was refused" in grace.get(f"{live.url}/admin/webhooks").text
        assert not on_starter()

        # From here on the sandbox sends nothing again: what comes, the replay has brought.
        (endpoint,) = json.loads((live.product / "stripe.live.json").read_text())["webhook_endpoints"].values()
        ada.post(f"{live.sandbox}/endpoints/{endpoint['id']}", data={"answer": "disable"})
        live.stop(server)
        live.launch(live.serve.replace("tollhouse serve", wrong.replace("tollhouse serve", mend)))
        wait_for(f"{live.url}/health")
        assert (health(), on_starter()) == ("critical", False)
        told = letters().count("ops@example.com")
        replayed = live.run(f"{read}\n{replay}")
        assert (replayed.returncode, "webhook_secret" in replayed.stdout) == (0, True)
        assert re.search(r"(?m)^[1-9]\d* to be handled again", replayed.stdout), replayed.stdout
        until("the plan has come", on_starter)
        until("the health is healthy", lambda: health() == "healthy")
        until("a letter says that it is over", lambda: letters().count("ops@example.com") > told)
