"""What the quickstart and the client's README show works as it stands there, against the demo."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.demo import Demo
from tests.support.tree import ROOT

DEMO_URL = "http://127.0.0.1:8787"


def blocks(page: str, language: str, demo: Demo) -> list[str]:
    """The page's code in this language, for this demo's address and key."""
    text = (ROOT / page).read_text()
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [code.replace(DEMO_URL, demo.url).replace("th_sk_…", demo.secret_key) for code in found]


@pytest.fixture
def clone(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which this demo was started."""
    (tmp_path / ".demo").mkdir()
    (tmp_path / ".demo" / "demo.json").write_bytes((demo.folder.parent / "demo.json").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_quickstarts_calls_by_curl_and_by_the_client(
    demo: Demo, clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [shell] = blocks("docs/quickstart.md", "sh", demo)
    said = subprocess.run(["sh", "-ec", shell], cwd=clone, capture_output=True, text=True, timeout=60, check=True)
    customer, decision = re.findall(r"\{.*?\}(?=\{|$)", said.stdout.strip())
    assert json.loads(customer)["external_id"] == "user_42"
    assert json.loads(decision)["debits"]["credits"] == 50
    [code] = blocks("docs/quickstart.md", "python", demo)
    exec(compile(code, "docs/quickstart.md", "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert told[:3] == ["launch 1 left: 50", "launch 2 left: 0", "launch 3 refused: credits_exhausted buy: starter"]
    assert any("launch_tool_app-builder" in line for line in told[3:])


def test_the_clients_readme_runs_from_top_to_bottom(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for number, code in enumerate(blocks("sdk/README.md", "python", demo), 1):
        exec(compile(code, f"sdk/README.md, block {number}", "exec"), names)
    told = capsys.readouterr().out
    assert "'credits': Decimal('50')" in told
    assert "{'credits': Decimal('1.25')} {'credits': Decimal('3.75')}" in told
