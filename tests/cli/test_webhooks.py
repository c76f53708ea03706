"""`tollhouse webhooks`: Stripe's events are listed page by page, shown without secrets, and replayed."""

import asyncio
import json

import pytest

from tests.cli.running import CommandLine
from tollhouse.store import inbox, open_store

CARD = "4242" * 4


@pytest.fixture
def stocked(tollhouse: CommandLine) -> CommandLine:
    """An installation in which evt_1 and evt_2 are parked, and evt_0 is being handled."""
    assert tollhouse("init", "--preset", "aurion", "--with-secrets").status == 0
    assert tollhouse("db", "upgrade").status == 0

    async def fill() -> None:
        store = await open_store(f"sqlite:///{next(tollhouse.directory.glob('*.db'))}")
        try:
            async with store.transaction() as tx:
                for number in range(3):
                    payload = json.dumps({"id": f"evt_{number}", "card": {"number": CARD}})
                    await inbox.receive(
                        tx, "stripe", f"evt_{number}", "invoice.paid", f"cus_{number}", payload, 1_000 + number
                    )
                for event in (await inbox.claim(tx, 2_000, 60_000, "claim"))[1:]:
                    await inbox.park(tx, event, "claim", attempts=12, error="no plan maps to it", failed_at=2_000)
        finally:
            await store.close()

    asyncio.run(fill())
    return tollhouse


def test_events_are_listed_page_by_page_and_shown(stocked: CommandLine) -> None:
    first = json.loads(stocked("webhooks", "list", "--json", "--limit", "1").out)
    assert [event["id"] for event in first["items"]] == ["evt_2"]
    second = json.loads(stocked("webhooks", "list", "--json", "--before", first["next"]).out)
    assert ([event["id"] for event in second["items"]], second["next"]) == (["evt_1"], None)
    assert len(stocked("webhooks", "list", "--status", "all").out.splitlines()) == 3
    shown = stocked("webhooks", "show", "evt_1", "--json").out
    assert (json.loads(shown)["event"]["error"], CARD in shown) == ("no plan maps to it", False)
    assert CARD not in stocked("webhooks", "show", "evt_1").out


def test_one_is_replayed_or_all_that_match(stocked: CommandLine) -> None:
    assert stocked("webhooks", "replay", "evt_2", "--json").out == '{\n  "replayed": 1\n}\n'
    assert stocked("webhooks", "replay", "--all", "--search", "evt_9").out == "0 to be handled again\n"
    assert stocked("webhooks", "replay", "--all", "--type", "invoice.*").out == "1 to be handled again\n"
    assert stocked("webhooks", "list").out == ""


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (("replay",), "webhooks list"), (("replay", "evt_1", "--all"), "webhooks list"), (("replay", "evt_1", "--type", "x"), "alone"),
        (("show", "evt_9"), "evt_"), (("list", "--status", "gone"), "parked"), (("list", "--since", "soon"), "2026-11-28"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_with_its_fix(stocked: CommandLine, words: tuple[str, ...], fix: str) -> None:
    said = stocked("webhooks", *words)
    assert said.status == 1
    assert fix in said.err
