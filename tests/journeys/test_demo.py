"""`tollhouse demo`: one command brings up a product that lives, and goes on with it the next time."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.demo import Demo, running_demo, two_free_ports

PRESETS = ["aigate", "upiik", "luneo"]


def get(demo: Demo, path: str) -> Any:
    """A call of the product's server."""
    request = urllib.request.Request(demo.url + path, headers={"Authorization": f"Bearer {demo.secret_key}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`tollhouse arguments`, to its end."""
    line = [sys.executable, "-m", "tollhouse", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)


def test_the_description_is_what_the_design_fixes_and_its_owners_alone(demo: Demo) -> None:
    """demo.json has these fields and no others; secrets are readable by nobody else."""
    path = demo.folder.parent / "demo.json"
    told = json.loads(path.read_text())
    assert set(told) == {"url", "sandbox_url", "secret_key", "project_key", "admin", "user"}
    assert set(told["admin"]) == {"email", "password"}
    assert set(told["user"]) == {"email", "password", "customer"}
    assert told["project_key"].startswith("th_pk_")
    for name in ("demo.json", "secrets.json"):
        assert stat.S_IMODE((demo.folder.parent / name).stat().st_mode) == 0o600


def test_the_people_show_what_the_product_is_about(demo: Demo) -> None:
    """The user has credits left, somebody pays, somebody is past due."""
    user = get(demo, f"/v1/customers/{demo.user.customer}")
    assert user["plan"] == "free"
    assert 0 < user["meters"]["credits"]["remaining"] < 100
    assert get(demo, f"/v1/customers/{demo.user.customer}/entries")["entries"][0]["at"] < right_now()
    with urllib.request.urlopen(f"{demo.sandbox_url}/_sandbox/state", timeout=10) as answer:
        subscriptions = json.load(answer)["objects"]["subscription"]
    assert {subscription["status"] for subscription in subscriptions} >= {"active", "past_due"}


def test_there_was_maintenance_and_none_is_on(demo: Demo) -> None:
    told = command("maintenance", "status", "--json", "--config", str(demo.folder / "tollhouse.toml"))
    state = json.loads(told.stdout)
    assert (state["on"], len(state["history"])) == (False, 2)
    assert [one["ended_by"] for one in state["history"]] == [None, "admin@example.com"]


def test_something_went_wrong_once_and_one_event_waits(demo: Demo) -> None:
    """Staff see an alert that is over, an event that waits, and deliveries that arrived and one that did not."""
    config = ("--json", "--config", str(demo.folder / "tollhouse.toml"))
    parked = json.loads(command("stripe", "events", *config).stdout)["items"]
    assert [event["type"] for event in parked] == ["invoice.payment_failed"]
    secrets = json.loads((demo.folder.parent / "secrets.json").read_text())["aurion"]
    headers = {"Authorization": f"Bearer {secrets['admin_api_key']}"}
    alerts = httpx.get(f"{demo.url}/v1/admin/alerts", headers=headers).json()
    [past] = [alert for alert in alerts["past"] if alert["kind"] == "webhook_signature"]
    assert (past["happened"], past["severity"], past["ended_at"] is not None) == (3, "high", True)
    [endpoint] = json.loads(command("hooks", "list", *config).stdout)["items"]
    deliveries = json.loads(command("hooks", "deliveries", endpoint["id"], *config).stdout)["items"]
    assert [one["status"] for one in deliveries] == ["failed", "delivered", "delivered"]


@pytest.mark.parametrize(("who", "page"), [("user", "/app"), ("admin", "/admin")])
def test_the_passwords_of_the_description_open_the_pages(demo: Demo, who: str, page: str) -> None:
    """The user sees what is left, staff see the customers."""
    account = demo.user if who == "user" else demo.admin
    with httpx.Client(base_url=demo.url, follow_redirects=True) as browser:
        form = re.search(r'name="csrf" value="([^"]+)"', browser.get("/login").text)
        assert form
        fields = {"csrf": form[1], "email": account.email, "password": account.password, "next": page}
        assert browser.post("/login", data=fields).status_code == 200
        shown = browser.get(page)
    assert shown.status_code == 200
    assert shown.url.path.startswith(page)
    assert ("paying@example.com" in shown.text) == (who == "admin")


def right_now() -> str:
    """Now, as the contract writes times."""
    return datetime.now(UTC).isoformat()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_comes_up_and_its_books_are_true(preset: str, tmp_path: Path) -> None:
    """Started, used, stopped: `verify` finds nothing, and a second start goes on with the same data."""
    with running_demo(tmp_path / "demo", preset) as first:
        before = get(first, f"/v1/customers/{first.user.customer}/entries")
    verified = command("verify", "--config", str(first.folder / "tollhouse.toml"))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    with running_demo(tmp_path / "demo", preset) as second:
        assert second.secret_key == first.secret_key
        assert second.user == first.user
        assert get(second, f"/v1/customers/{second.user.customer}/entries") == before


def test_a_busy_port_is_told_with_its_fix(tmp_path: Path) -> None:
    """Somebody else listens where the sandbox would: nothing is started."""
    port = two_free_ports()
    with socket.create_server(("127.0.0.1", port + 1)):
        told = command("demo", "--dir", str(tmp_path / "demo"), "--port", str(port))
    assert told.returncode == 1
    assert f"port {port + 1} is in use" in told.stderr
    assert f"--port {port + 10}" in told.stderr
    assert told.stdout == ""


def test_two_demos_never_share_data(demo: Demo) -> None:
    """A second one on the same folder is refused, whatever its port."""
    told = command("demo", "--dir", str(demo.folder.parent), "--port", str(two_free_ports()))
    assert told.returncode == 1
    assert "is running already" in told.stderr


def test_a_first_run_that_was_cut_short_is_made_again(tmp_path: Path) -> None:
    """Without its data, the secrets that fitted them are forgotten: the demo comes up as new."""
    folder = tmp_path / "demo"
    with running_demo(folder) as first:
        pass
    (first.folder / "tollhouse.db").unlink()
    with running_demo(folder) as second:
        assert second.user.customer != first.user.customer
        assert get(second, f"/v1/customers/{second.user.customer}")["plan"] == "free"


def test_processes_that_outlive_a_killed_demo_keep_their_data(tmp_path: Path) -> None:
    """Killed the hard way, it leaves its two processes; the next demo says how to stop them, and touches nothing."""
    folder, port = tmp_path / "demo", two_free_ports()
    line = [sys.executable, "-m", "tollhouse", "demo", "--dir", str(folder), "--port", str(port)]
    said = tmp_path / "said"
    with (
        said.open("w") as errors,
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=errors, text=True) as first,
    ):
        assert first.stdout is not None
        assert first.stdout.readline() == f"ready http://127.0.0.1:{port}\n"
        assert "maintenance" not in said.read_text(), "what the people of the demo did in the past is no news"
        first.kill()
    left = [int(number) for number in (folder / "aurion" / "lock").read_text().split()[1:]]
    try:
        told = command("demo", "--dir", str(folder), "--port", str(two_free_ports()))
        assert told.returncode == 1
        assert f"kill {first.pid} {left[0]} {left[1]}" in told.stderr
    finally:
        for number in left:
            os.kill(number, signal.SIGTERM)
