"""Maintenance, pause and roll-back as an instance that serves begins them: on pages and by `/v1/admin`."""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from tollhouse.billing import catching_up, maintenance, pausing, rollback
from tollhouse.billing.maintenance import Maintenance
from tollhouse.billing.pausing import Pause
from tollhouse.billing.rollback import Options, Rollback
from tollhouse.billing.rolling_back import Roller
from tollhouse.billing.stripe import StripeAccount, open_account
from tollhouse.billing.syncing import Syncer
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.background import Background
from tollhouse.kernel.errors import Conflict
from tollhouse.settings import Settings
from tollhouse.store.opening import AnyStore

ROLLBACK, UNDO, RESUME = "stripe-rollback", "stripe-rollback-undo", "stripe-resume"


class State(msgspec.Struct, frozen=True):
    """How it stands at `now` (ms). `waiting`: events that are stored and not applied yet. Histories have the newest first."""

    now: int
    current: Maintenance | None
    history: list[Maintenance]
    pause: Pause | None
    pauses: list[Pause]
    waiting: int
    rollback: Rollback | None
    rollbacks: list[Rollback]
    busy: bool  # this process is at a roll-back, its undoing or a resumption


class Desk:
    """What an instance needs for it."""

    def __init__(self, store: AnyStore, catalog: Catalog, settings: Settings) -> None:
        self.store, self.catalog, self.settings = store, catalog, settings
        self._background = Background()

    async def state(self) -> State:
        """All of it."""
        async with self.store.reading() as tx:
            now = self.store.clock.now_ms()
            return State(
                now, await maintenance.current(tx, now), await maintenance.history(tx), await pausing.open_pause(tx),
                await pausing.pauses(tx), await pausing.waiting(tx), await rollback.open_rollback(tx),
                await rollback.rollbacks(tx),
                any(self._background.is_running(name) for name in (ROLLBACK, UNDO, RESUME)),
            )  # fmt: skip

    async def pause(self, *, by_whom: str, reason: str) -> Pause:
        """Park events. Raises as `pausing.pause`."""
        return await pausing.pause(self.store, by_whom=by_whom, reason=reason)

    async def resume(self, *, by_whom: str) -> bool:
        """Apply and prove what was parked. True when it is done; it goes on otherwise. Raises as `catching_up.resume`."""
        async with self.store.reading() as tx:
            if await pausing.open_pause(tx) is None:
                raise Conflict("Stripe's events are not parked", code="not_paused", fix="nothing is to be done")

        async def work(gateway: StripeAccount) -> None:
            syncer = Syncer(self.store, self.catalog, gateway)
            await catching_up.resume(syncer, gateway, by_whom=by_whom)

        return await self._begin(RESUME, work)

    async def roll_back(self, options: Options, *, by_whom: str, typed: str) -> bool:
        """Roll back, or go on with it. True when it is done; it goes on otherwise. Raises as `Roller.roll_back`, and Conflict
        `not_confirmed` unless the environment's name was typed, `busy` while this process undoes one."""
        self._require_confirmed(typed)
        self._require_idle(UNDO, "a roll-back is being undone")
        return await self._begin(ROLLBACK, lambda gateway: self._roller(gateway).roll_back(options, by_whom=by_whom))

    async def undo(self, *, by_whom: str, typed: str) -> bool:
        """Undo the roll-back that is open. As `roll_back`; Conflict `busy` while this process is still rolling back."""
        self._require_confirmed(typed)
        self._require_idle(ROLLBACK, "the roll-back is still under way")
        return await self._begin(UNDO, lambda gateway: self._roller(gateway).undo(by_whom=by_whom))

    def _require_confirmed(self, typed: str) -> None:
        name = self.settings.environment
        if typed.strip() != name:
            raise Conflict(
                "nothing was done: the environment's name was not typed", code="not_confirmed", fix=f"type {name}"
            )

    def _require_idle(self, other: str, what: str) -> None:
        if self._background.is_running(other):
            raise Conflict(f"nothing was done: {what}", code="busy", fix="wait until it has ended, then do it again")

    def _roller(self, gateway: StripeAccount) -> Roller:
        return Roller(self.store, self.catalog, gateway, self.settings)

    async def _begin(self, name: str, work: Callable[[StripeAccount], Coroutine[Any, Any, Any]]) -> bool:
        async def whole() -> None:
            async with open_account(self.settings) as gateway:
                await work(gateway)

        return await self._background.begin(name, whole)
