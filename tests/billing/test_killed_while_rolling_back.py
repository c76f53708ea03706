"""kill -9 of a roll-back, and of its undoing, before and after everything it does: run again it ends as if nothing had been."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.billing.drills import ADDRESS, Drill, accounts_in, drilling, in_a_process
from tests.billing.world import PAYS
from tollhouse.billing import actions
from tollhouse.billing.account import ROLLBACK_KEY
from tollhouse.billing.syncing import LEASE_MS

USERS = 3


class Rounds:
    """Roll-backs one after another, and what must hold after each."""

    def __init__(self, drill: Drill) -> None:
        self.drill = drill
        self.rounds = self.customers = 0

    async def prepare(self) -> None:
        self.ours, self.others = await self.drill.endpoint(ADDRESS), await self.drill.endpoint("https://x.example.com/")
        await self.drill.users(USERS)
        self.before = await self.drill.endpoints()

    async def is_rolled_back(self, where: str) -> None:
        """Rolled back by whoever comes next, each thing once."""
        self.rounds += 1
        done = await self.drill.roll_back(tell_users=True)
        assert done.state == "rolled_back", where
        there = await self.drill.endpoints()
        assert there[self.ours] == (False, {"kept": "yes", ROLLBACK_KEY: done.id}), where
        assert there[self.others] == self.before[self.others], where
        assert await self.drill.on(), where
        assert accounts_in(Path(done.steps["backup"].record.file)) == self.customers, where
        assert done.steps["letters"].record.letters == USERS, where
        mails = await self.drill.world.facts("mail.requested")
        assert len(mails) == USERS * self.rounds, where

    async def is_undone(self, where: str) -> None:
        """Undone by whoever comes next, and everything as it was."""
        undone = await self.drill.undo()
        assert undone.state == "undone", where
        assert await self.drill.endpoints() == self.before, where
        assert not await self.drill.on(), where
        proof = undone.steps["events"].record.proof
        assert proof is not None, where
        assert proof.complete, where


@pytest.mark.row("U10")
@pytest.mark.timeout(300)
async def test_killed_while_rolling_back_at_any_step(schema_url: str, tmp_path: Path) -> None:
    async with drilling(schema_url, tmp_path / "backups") as drill:
        rounds = Rounds(drill)
        await rounds.prepare()
        steps = await in_a_process(drill, schema_url, undo=False)
        assert len(steps) > 20, steps
        await rounds.is_rolled_back("not killed")
        await rounds.is_undone("not killed")
        for at in range(1, len(steps) + 1):
            await in_a_process(drill, schema_url, undo=False, at=at)
            await rounds.is_rolled_back(f"killed before {steps[at - 1]}, {at}")
            await rounds.is_undone(f"killed before {steps[at - 1]}, {at}")


@pytest.mark.row("U10")
@pytest.mark.timeout(300)
async def test_killed_while_undoing_at_any_step(schema_url: str, tmp_path: Path) -> None:
    async with drilling(schema_url, tmp_path / "backups") as drill:
        rounds, world = Rounds(drill), drill.world
        await rounds.prepare()
        at, steps = 0, [""]
        while at < len(steps):
            customer = await world.customer(f"killed-{at}@example.com")
            rounds.customers += 1
            page = await actions.start_checkout(world.till, await world.payer(customer), "starter")
            await rounds.is_rolled_back(f"before step {at}")
            await world.submit(page, PAYS)  # on a page that was open already; Stripe can tell nobody
            if at == 0:
                steps = ["", *await in_a_process(drill, schema_url, undo=True)]
                assert len(steps) > 20, steps
            else:
                await in_a_process(drill, schema_url, undo=True, at=at)
                world.store.clock.test_offset_ms += LEASE_MS + 1  # what it had claimed is free again
                await rounds.is_undone(f"killed before {steps[at]}, {at}")
            assert (await world.state(customer)).plan == "starter", steps[at]
            assert await world.credits(customer) == 1_000, steps[at]
            assert await drill.endpoints() == rounds.before
            at += 1
