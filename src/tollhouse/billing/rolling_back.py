"""Roll Stripe back, and undo it (row U10, after Upiik's runbook): webhooks off, maintenance on, the state backed up, users told.

Each step writes what it is going to do before it does it, and looks before it acts: killed anywhere, whoever runs it again
goes on. Undoing goes the other way by what was written: it enables the endpoints that this roll-back disabled and no
others, fetches the events that they missed, and ends the maintenance that it switched on. A backup and letters stay.

An endpoint that is disabled carries the roll-back's name in its metadata at Stripe, so that `stripe setup` leaves it alone.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
from msgspec.structs import replace

from tollhouse.billing import maintenance, rollback
from tollhouse.billing.account import ROLLBACK_KEY, EndpointFacts
from tollhouse.billing.catching_up import Told, follow, quiet, store_missing
from tollhouse.billing.furnishing import endpoints_of
from tollhouse.billing.rollback import (
    BACKUP,
    ENDPOINTS,
    EVENTS,
    FORWARD,
    LETTERS,
    MAINTENANCE,
    Endpoint,
    Options,
    Record,
    Rollback,
    Step,
)
from tollhouse.billing.stripe import StripeAccount
from tollhouse.billing.syncing import Syncer
from tollhouse.catalog.model import Catalog
from tollhouse.kernel.errors import Conflict, NotFound, TollhouseError
from tollhouse.kernel.facts import MailRequested
from tollhouse.settings import Settings
from tollhouse.store import Sql, Tx, outbox
from tollhouse.store.copying import copy_database, usual_folder
from tollhouse.store.opening import AnyStore

AT_ONCE = 500
LETTER = "maintenance"
REASON = "roll-back of Stripe"

log = structlog.get_logger(__name__)

_USERS = Sql(
    "select id, email, locale from users where verified_at is not null and id > :after order by id limit :most"
)
_COUNT_USERS = Sql("select count(*) as number from users where verified_at is not null")


class Roller:
    """One run of a roll-back, in either direction. `told` hears of progress, `said` of each step that is done."""

    def __init__(
        self, store: AnyStore, catalog: Catalog, gateway: StripeAccount, settings: Settings, *,
        folder: Path | None = None, told: Told = quiet, said: Callable[[str], None] = lambda line: None,
    ) -> None:  # fmt: skip
        self.store, self.catalog, self.gateway, self.settings = store, catalog, gateway, settings
        self.folder = folder or usual_folder(store)
        self.told, self.said = told, said

    # --- forward ---

    async def plan(self, options: Options) -> list[tuple[str, str]]:
        """What a roll-back with these options would do now: step and words. Does nothing."""
        async with self.store.reading() as tx:
            found = await rollback.open_rollback(tx)
            row = await tx.fetch_one(_COUNT_USERS)
        if found is not None and found.state != "rolling_back":
            return []
        done = {} if found is None else {name for name, step in found.steps.items() if step.done_at is not None}
        words = {
            ENDPOINTS: "disable " + (", ".join(f"{each.id} ({each.url})" for each in await self._ours()) or "none: there is none"),
            MAINTENANCE: f"pause new subscriptions for {options.lasts_ms // 60_000} minutes",
            BACKUP: f"copy the database to {self.folder}",
            LETTERS: f"write to {row['number'] if row else 0} users",
        }  # fmt: skip
        return [(name, words[name]) for name in FORWARD if options.wants(name) and name not in done]

    async def roll_back(self, options: Options, *, by_whom: str) -> Rollback:
        """Do it, or what is left of one that was begun. Done already, it changes nothing.

        Raises Conflict `undoing` while one is being undone, ConfigurationError, Unavailable (then run it again).
        """
        async with self.store.transaction() as tx:
            found = await rollback.begin(tx, options, by_whom=by_whom, now=self._now())
        if found.state == "undoing":
            raise Conflict(
                f"the roll-back {found.id} is being undone", code="undoing",
                fix="finish that first: `tollhouse stripe rollback --undo`",
            )  # fmt: skip
        if found.state == "rolled_back":
            return found
        log.warning("stripe.rollback", id=found.id, by=by_whom)
        work = {
            ENDPOINTS: self._disable, MAINTENANCE: self._switch_on, BACKUP: self._back_up, LETTERS: self._write_letters,
        }  # fmt: skip
        try:
            for name in FORWARD:
                step = found.steps.get(name)
                if found.options.wants(name) and (step is None or step.done_at is None):
                    self.said(await work[name](found))
        except TollhouseError as error:
            await self._stopped(found, error)
            raise
        async with self.store.transaction() as tx:
            await rollback.finish(tx, found.id, self._now())
            return await rollback.read(tx, found.id)

    async def _disable(self, found: Rollback) -> str:
        """Our endpoints that are enabled now, and whatever an earlier run of this roll-back meant to disable."""
        ours = tuple(Endpoint(each.id, each.url) for each in await self._ours())
        step = await self._begin(found, ENDPOINTS, Record(endpoints=ours))
        there = {each.id: each for each in await self.gateway.endpoints()}
        for endpoint in step.record.endpoints:
            facts = there.get(endpoint.id)
            if facts is None or (not facts.enabled and facts.metadata.get(ROLLBACK_KEY) != found.id):
                continue  # deleted, or disabled by somebody else since
            if facts.enabled:
                await self._change(endpoint.id, {"disabled": True, "metadata": {ROLLBACK_KEY: found.id}})
            async with self.store.transaction() as tx:
                forward = await rollback.goes_forward(tx, found.id)
            if not forward:  # it was undone while we were asking
                await self._change(endpoint.id, {"disabled": False, "metadata": {ROLLBACK_KEY: ""}})
        await self._done(found, ENDPOINTS)
        return f"webhook endpoints disabled: {', '.join(each.id for each in step.record.endpoints) or 'there was none'}"

    async def _ours(self) -> list[EndpointFacts]:
        """Those that call this instance and are enabled; nobody else's."""
        return [each for each in endpoints_of(await self.gateway.endpoints(), self.settings) if each.enabled]

    async def _change(self, endpoint: str, changes: dict[str, object]) -> None:
        try:
            await self.gateway.update_endpoint(endpoint, changes)
        except NotFound:  # deleted meanwhile
            return

    async def _switch_on(self, found: Rollback) -> str:
        async with self.store.transaction() as tx:
            await self._require_forward(tx, found)
            now = self._now()
            begun = await maintenance.switch_on(
                tx, by_whom=found.by_whom, reason=REASON, lasts_ms=found.options.lasts_ms, now=now, rollback=found.id
            )
            await rollback.begin_step(tx, found.id, MAINTENANCE, Record(maintenance=begun.id), now)
            await rollback.step_done(tx, found.id, MAINTENANCE, now)
        return f"new subscriptions paused until {_plain(begun.ends_at)}"

    async def _back_up(self, found: Rollback) -> str:
        await self._begin(found, BACKUP, Record())
        path = await copy_database(self.store, self.folder, f"tollhouse-{found.id}")
        async with self.store.transaction() as tx:
            await self._require_forward(tx, found)
            await rollback.write_step(tx, found.id, BACKUP, Record(file=str(path)))
            await rollback.step_done(tx, found.id, BACKUP, self._now())
        return f"state backed up: {path}"

    async def _write_letters(self, found: Rollback) -> str:
        """One to each user whose address is proven; how far it is, is written with the letters themselves."""
        record = (await self._begin(found, LETTERS, Record())).record
        async with self.store.reading() as tx:
            row = await tx.fetch_one(_COUNT_USERS)
            on = await maintenance.current(tx, self._now())
        total = 0 if row is None else int(row["number"])
        while True:
            async with self.store.transaction() as tx:
                await self._require_forward(tx, found)
                users = await tx.fetch(_USERS, after=record.after, most=AT_ONCE)
                for user in users:
                    fact = MailRequested(
                        LETTER, user["email"], user["locale"], self._values(on.ends_at if on else None)
                    )
                    await outbox.put_once(tx, fact, f"{found.id}:{user['id']}", now=self._now())
                if users:
                    record = replace(record, after=users[-1]["id"], letters=record.letters + len(users))
                await rollback.write_step(tx, found.id, LETTERS, record)
                if len(users) < AT_ONCE:
                    await rollback.step_done(tx, found.id, LETTERS, self._now())
            self.told("letters", record.letters, total)
            if len(users) < AT_ONCE:
                return f"users told: {record.letters}"

    def _values(self, ends_at: int | None) -> dict[str, str]:
        return {"until": _plain(ends_at) if ends_at else "–", "url": self.settings.url.rstrip("/") + "/app"}

    # --- back ---

    async def plan_undo(self) -> list[tuple[str, str]]:
        """What undoing would do now: step and words. Does nothing."""
        async with self.store.reading() as tx:
            found = await rollback.open_rollback(tx)
        if found is None:
            return []
        lines = []
        if (step := found.steps.get(ENDPOINTS)) is not None:
            marked = [each for each in await self.gateway.endpoints() if each.metadata.get(ROLLBACK_KEY) == found.id]
            names = [f"{each.id} ({each.url})" for each in marked if each.id in {e.id for e in step.record.endpoints}]
            lines.append((ENDPOINTS, f"enable {', '.join(names) or 'none: none is disabled any more'}"))
            lines.append((EVENTS, f"fetch and apply what Stripe lists since {_plain(step.begun_at)}"))
        if MAINTENANCE in found.steps:
            lines.append((MAINTENANCE, "sell again"))
        return lines

    async def undo(self, *, by_whom: str) -> Rollback:
        """Undo the roll-back that is open, finished or not. Killed anywhere, it is run again.

        Raises Conflict `not_rolled_back`, ConfigurationError, Unavailable (then run it again).
        """
        async with self.store.transaction() as tx:
            found = await rollback.open_rollback(tx)
            if found is None:
                raise Conflict("Stripe is not rolled back", code="not_rolled_back", fix="nothing is to be done")
            await rollback.turn_round(tx, found.id, by_whom=by_whom, now=self._now())
            found = await rollback.read(tx, found.id)
        log.warning("stripe.rollback_undo", id=found.id, by=by_whom)
        try:
            if ENDPOINTS in found.steps:
                self.said(await self._enable(found))
                self.said(await self._fetch_events(found))
            if MAINTENANCE in found.steps:
                self.said(await self._switch_off(found, by_whom))
        except TollhouseError as error:
            await self._stopped(found, error)
            raise
        async with self.store.transaction() as tx:
            await rollback.close(tx, found.id, self._now())
            return await rollback.read(tx, found.id)

    async def _enable(self, found: Rollback) -> str:
        """Exactly those that carry this roll-back's name; what somebody else has done with one since stays."""
        step = found.steps[ENDPOINTS]
        there = {each.id: each for each in await self.gateway.endpoints()}
        outcome = []
        for endpoint in step.record.endpoints:
            facts = there.get(endpoint.id)
            if facts is None:
                outcome.append(replace(endpoint, found="gone"))
            elif facts.metadata.get(ROLLBACK_KEY) == found.id:
                await self._change(endpoint.id, {"disabled": False, "metadata": {ROLLBACK_KEY: ""}})
                outcome.append(replace(endpoint, found="enabled"))
            else:  # by an earlier run, by hand, or never disabled
                outcome.append(replace(endpoint, found=endpoint.found or ("enabled" if facts.enabled else "left")))
        async with self.store.transaction() as tx:
            await rollback.write_step(tx, found.id, ENDPOINTS, Record(endpoints=tuple(outcome)))
            await rollback.step_undone(tx, found.id, ENDPOINTS, self._now())
        return "webhook endpoints: " + (
            ", ".join(f"{each.id} {WORDS[each.found]}" for each in outcome) or "there was none"
        )  # fmt: skip

    async def _fetch_events(self, found: Rollback) -> str:
        """What Stripe could not deliver, from its own list; applied, and counted."""
        async with self.store.transaction() as tx:
            step = await rollback.begin_step(tx, found.id, EVENTS, Record(), self._now())
        if step.done_at is None:

            async def counted(tx: Tx, number: int) -> None:
                await rollback.count_fetched(tx, found.id, number)

            since = found.steps[ENDPOINTS].begun_at
            listed = await store_missing(self.store, self.gateway, since, counted, self.told)
            proof = await follow(Syncer(self.store, self.catalog, self.gateway), listed, self.told)
            async with self.store.transaction() as tx:
                await rollback.write_step(tx, found.id, EVENTS, Record(proof=proof))
                await rollback.step_done(tx, found.id, EVENTS, self._now())
        async with self.store.reading() as tx:
            step = (await rollback.read(tx, found.id)).steps[EVENTS]
        return f"events missed meanwhile and fetched: {step.fetched}"

    async def _switch_off(self, found: Rollback, by_whom: str) -> str:
        async with self.store.transaction() as tx:
            now = self._now()
            ended = await maintenance.switch_off(tx, by_whom=by_whom, now=now, rollback=found.id)
            await rollback.step_undone(tx, found.id, MAINTENANCE, now)
        return "maintenance ended" if ended else "maintenance had ended"

    # --- both ---

    async def _begin(self, found: Rollback, name: str, record: Record) -> Step:
        async with self.store.transaction() as tx:
            await self._require_forward(tx, found)
            return await rollback.begin_step(tx, found.id, name, record, self._now())

    async def _done(self, found: Rollback, name: str) -> None:
        async with self.store.transaction() as tx:
            await self._require_forward(tx, found)
            await rollback.step_done(tx, found.id, name, self._now())

    async def _require_forward(self, tx: Tx, found: Rollback) -> None:
        if not await rollback.goes_forward(tx, found.id):
            raise Conflict(
                f"the roll-back {found.id} is being undone by somebody else", code="undoing",
                fix="look at it: `tollhouse stripe rollback --plan`",
            )  # fmt: skip

    async def _stopped(self, found: Rollback, error: TollhouseError) -> None:
        log.error("stripe.rollback_stopped", id=found.id, error=str(error))
        async with self.store.transaction() as tx:
            await rollback.stopped(tx, found.id, str(error))

    def _now(self) -> int:
        return self.store.clock.now_ms()


WORDS = {
    "enabled": "enabled again",
    "gone": "is gone from Stripe",
    "left": "left disabled: somebody else disabled it",
    "": "",
}


def _plain(at_ms: int) -> str:
    """`2026-11-28 09:00 UTC`: read alike in every language."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
