"""`tollhouse stripe listen`: a test account's events, forwarded to an instance that Stripe cannot reach.

The account's list of events is asked again and again; each event is signed with the instance's own secret and posted, in
order, as Stripe would. An event counts as forwarded once the instance has taken it in. So nothing is lost by a stop, and
an event that is sent twice is taken in once (its id is the key).
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec

from tollhouse.billing.account import WEBHOOK_PATH
from tollhouse.billing.ids_file import write_whole
from tollhouse.billing.stripe import EVENTS_PAGE as PAGE
from tollhouse.billing.stripe import StripeAccount, read_event, sign
from tollhouse.kernel.errors import ConfigurationError, InvalidRequest, NotFound, Unavailable

POLL_SECONDS = 1.0
TIMEOUT_SECONDS = 30.0
PAUSES_SECONDS = (1.0, 2.0, 5.0, 10.0)
LATER = (404, 408, 429)  # of a client's mistakes, those that end when the instance is there


class Place(msgspec.Struct, frozen=True):
    """Where listening stopped: the last event that was forwarded, or the moment (s) since which none came."""

    account: str
    event: str | None
    since: int


class Forwarded(msgspec.Struct, frozen=True):
    """One event and how the instance answered."""

    id: str
    type: str
    status: int


def read_place(path: Path) -> Place | None:
    """Where an earlier run stopped; None when there was none, or it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Place)
    except (OSError, msgspec.MsgspecError):
        return None


def write_place(path: Path, place: Place) -> None:
    """Remember it."""
    try:
        write_whole(path, msgspec.json.encode(place).decode() + "\n", mode=0o600)
    except OSError as error:
        raise Unavailable(
            f"{path}: {error.strerror}", code="not_writable", fix="let this user write beside the configuration file"
        ) from None


class Listener:
    """Forwards what is new. `told` hears of each event, and of waiting."""

    def __init__(
        self, gateway: StripeAccount, url: str, secret: str, path: Path, *,
        now_seconds: Callable[[], int], told: Callable[[Forwarded | str], None],
    ) -> None:  # fmt: skip
        self.gateway, self.secret, self.path = gateway, secret, path
        self.address = url.rstrip("/") + WEBHOOK_PATH
        self.now_seconds, self.told = now_seconds, told

    async def run(self, *, once: bool = False) -> int:
        """Until it is stopped; with `once`, until nothing is left. How many were forwarded.

        Raises ConfigurationError for a live key, or a secret that the instance does not have.
        """
        if self.gateway.live_mode:
            raise ConfigurationError(
                "listening forwards test events, and STRIPE_SECRET_KEY is a live key", setting="STRIPE_SECRET_KEY",
                fix="set a test key; in production the endpoint of `tollhouse stripe setup` receives the events",
            )  # fmt: skip
        place = await self._place()
        number = 0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)) as http:
            while True:
                place, sent = await self._step(http, place)
                number += sent
                if sent == 0:
                    if once:
                        return number
                    await asyncio.sleep(POLL_SECONDS)

    async def _place(self) -> Place:
        account = (await self.gateway.account()).id
        known = read_place(self.path)
        if known is not None and known.account == account:
            return known
        newest = await self.gateway.events(since=None, limit=1)
        place = Place(account, read_event(newest[-1]).id if newest else None, self.now_seconds())
        write_place(self.path, place)
        return place

    async def _step(self, http: aiohttp.ClientSession, place: Place) -> tuple[Place, int]:
        """Forward the events after this place, at most a page; the new place, and how many there were."""
        number = 0
        for payload in await self._newer(place):
            event = read_event(payload)
            status = await self._deliver(http, payload)
            place = msgspec.structs.replace(place, event=event.id)
            write_place(self.path, place)
            self.told(Forwarded(event.id, event.type, status))
            number += 1
        return place, number

    async def _newer(self, place: Place) -> list[bytes]:
        try:
            if place.event is not None:
                return await self.gateway.events(newer_than=place.event)
            return await self._since(place.since)
        except (NotFound, InvalidRequest):
            self.told(f"Stripe keeps {place.event} no more (30 days): what came since then is not forwarded")
            self.path.unlink(missing_ok=True)
            raise ConfigurationError(
                f"Stripe does not know the event {place.event}, at which listening stopped",
                setting=str(self.path),
                fix="run it again: it begins with what comes from now on; `tollhouse stripe reconcile` makes up for the rest",
            ) from None
        except Unavailable as error:
            self.told(f"{error.detail}; trying again")
            return []

    async def _since(self, moment: int) -> list[bytes]:
        """All of them: a page holds the newest, and what is older comes first."""
        page = found = await self.gateway.events(since=moment)
        while len(page) == PAGE:
            page = await self.gateway.events(since=moment, older_than=read_event(page[0]).id)
            found = [*page, *found]
        return found

    async def _deliver(self, http: aiohttp.ClientSession, payload: bytes) -> int:
        """Until the instance takes it in, or says that it never will. Raises ConfigurationError when it has another secret."""
        text = payload.decode()
        emitted = read_event(payload).created_at // 1000  # a sandbox's clock may be ahead of ours
        tries = 0
        while True:
            signature = sign(text, self.secret, max(self.now_seconds(), emitted))
            headers = {"stripe-signature": signature, "content-type": "application/json"}
            try:
                async with http.post(self.address, data=payload, headers=headers) as answer:
                    status, said = answer.status, await answer.text()
            except (aiohttp.ClientError, TimeoutError) as error:
                status, said = 0, str(error) or type(error).__name__
            if 200 <= status < 300:
                return status
            if status == 400 and "bad_signature" in said:
                raise ConfigurationError(
                    f"{self.address} does not accept events that are signed with STRIPE_WEBHOOK_SECRET",
                    setting="STRIPE_WEBHOOK_SECRET", fix="set it to what the running instance verifies",
                )  # fmt: skip
            if 400 <= status < 500 and status not in LATER:
                return status
            what = f"answers {status}" if status else f"does not answer ({said})"
            self.told(f"{self.address} {what}; trying again")
            await asyncio.sleep(PAUSES_SECONDS[min(tries, len(PAUSES_SECONDS) - 1)])
            tries += 1


def secret_to_sign_with(secrets: tuple[str, ...]) -> str:
    """The first that the instance verifies. Raises ConfigurationError without one."""
    if not secrets:
        raise ConfigurationError(
            "STRIPE_WEBHOOK_SECRET is not set, here and for the instance", setting="STRIPE_WEBHOOK_SECRET",
            fix="set it to whsec_ and 32 random letters, the same for both, and start the instance again",
        )  # fmt: skip
    return secrets[0]
