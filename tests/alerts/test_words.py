"""Every alert has a title in French, and letters in French use it; what nobody says any more has none."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import tollhouse
from tollhouse.alerts.model import SEVERITIES, Alert
from tollhouse.alerts.telling import Readers, letter_of
from tollhouse.alerts.words import SEVERITIES as SEVERITIES_IN_FRENCH
from tollhouse.alerts.words import TITLES, severity_in, title_in

SOURCES = sorted(Path(tollhouse.__file__).parent.rglob("*.py"))
STATUSES = ("degraded", "critical")  # what `Payments are {status}` may say


def said(source: Path) -> Iterator[str]:
    """The texts of a file that stand beside a severity: in a call of OperatorAlert or of a helper that makes one."""
    for node in ast.walk(ast.parse(source.read_text())):
        if not isinstance(node, ast.Call | ast.Tuple):
            continue
        given = node.args if isinstance(node, ast.Call) else node.elts
        name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        if name in ("OperatorAlert", "_alert"):
            texts = [part.value for part in given if isinstance(part, ast.Constant) and isinstance(part.value, str)]
            yield from (text for text in texts if text not in SEVERITIES and " " in text and text[0].isupper())


def test_every_title_has_its_french() -> None:
    titles = {
        text for source in SOURCES for text in said(source) if not text.endswith(".") and source.name != "words.py"
    }
    assert len(titles) >= 8, titles
    assert titles <= set(TITLES), titles - set(TITLES)
    assert set(SEVERITIES_IN_FRENCH) == set(SEVERITIES)


def test_no_title_is_left_that_nobody_says() -> None:
    everything = "\n".join(source.read_text() for source in SOURCES if source.name != "words.py")
    built = {f"Payments are {status}" for status in STATUSES}
    assert {title for title in TITLES if title not in everything} == built
    assert 'f"Payments are {health.status}"' in everything


def test_a_letter_names_title_and_severity_in_the_readers_language() -> None:
    alert = Alert(
        "alt_1", "payments_failing", "high", "Customers cannot pay", "It said no.", "Mend it.", 2, 1_000, 2_000
    )
    french, english = (
        letter_of(
            "opened", [alert, alert], Readers("staff@example.com", locale, "production", "https://example.com", False)
        )
        for locale in ("fr-CA", "en")
    )
    assert (french["title"], french["severity"]) == ("Des clients ne peuvent pas payer (+ 1)", "élevé")
    assert "[élevé] Des clients ne peuvent pas payer (× 2)" in french["list"]
    assert (english["title"], english["severity"]) == ("Customers cannot pay (+ 1)", "high")
    assert title_in("fr", "Full moon") == "Full moon"
    assert severity_in("de", "low") == "low"
