"""Admit: take all of an action's cost or none of it, and say why."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.admission.world import World


@pytest.mark.row("A4", "A5")
async def test_a_launch_takes_its_cost_at_once_and_at_zero_it_is_refused_with_the_plan_that_would_allow_it(
    world: World,
) -> None:
    ada = await world.customer("ada")
    first = await world.admit(ada, "launch")
    assert first["allowed"] is True
    assert first["debits"] == {"credits": 50}
    assert first["meters"]["credits"] == {"total": 100, "used": 50, "remaining": 50, "resets_at": None}
    assert (await world.admit(ada, "launch"))["allowed"] is True
    refused = await world.admit(ada, "launch")
    assert (refused["allowed"], refused["id"]) == (False, None)
    assert refused["reason"] == {
        "code": "credits_exhausted", "meter": "credits", "needed": 50, "remaining": 0, "resets_at": None,
        "upgrade": {"plan": "starter", "url": "/pricing?plan=starter"},
    }  # fmt: skip
    assert [entry.action for entry in await world.entries(ada, "admission")].count("launch") == 2


@pytest.mark.row("X3")
async def test_thousandths_of_a_credit_stay_exact(world: World) -> None:
    ada = await world.customer("ada")
    for _ in range(10):
        assert (await world.admit(ada, "chat", amount={"credits": Decimal("0.001")}))["allowed"]
    assert await world.left(ada) == Decimal("99.99")
    assert (await world.admit(ada, "chat"))["debits"] == {"credits": Decimal("0.5")}
    assert await world.left(ada) == Decimal("99.49")
