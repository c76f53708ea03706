"""The client for ordinary, blocking code. `AsyncTollhouse` has the same methods."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Protocol, Self

from tollhouse_sdk import calls
from tollhouse_sdk.calls import Answer, Call
from tollhouse_sdk.errors import TollhouseError
from tollhouse_sdk.models import (
    Admission,
    Amounts,
    Ask,
    BatchAnswer,
    Catalog,
    Customer,
    Ended,
    Entry,
    EntryPage,
    Grant,
    Heartbeat,
    Hold,
    HoldResult,
    OnExpiry,
    Paid,
    Project,
    Refund,
)
from tollhouse_sdk.options import changed, options_from
from tollhouse_sdk.retries import Retries
from tollhouse_sdk.slots import Held, Slot
from tollhouse_sdk.transport import HttpTransport, Transport


class Send(Protocol):
    """Sends a call, with its retries."""

    def __call__(self, call: Call[Answer]) -> Answer: ...


class Tollhouse:
    """May this customer do this now? Safe to share between threads; close it, or use it in a `with` block.

    Every call is retried on broken connections, timeouts, 429, 502, 503 and 504, with the same idempotency key, so
    that nothing is debited twice. Raises the errors of `tollhouse_sdk.errors`; a refusal is an answer.
    """

    def __init__(
        self,
        url: str | None = None,
        secret_key: str | None = None,
        *,
        timeout: float = 10.0,
        deadline: float = 30.0,
        retries: Retries | None = None,
        transport: Transport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`timeout`: seconds for one attempt; `deadline`: for a call with all its attempts and pauses."""
        self._options = options_from(url, secret_key, timeout, deadline, retries)
        self._transport = transport or HttpTransport()
        self._sleep = sleep
        self.customers = Customers(self._send)

    def __repr__(self) -> str:
        return f"Tollhouse({self._options.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the kept connections."""
        self._transport.close()

    def with_options(
        self, *, timeout: float | None = None, deadline: float | None = None, retries: Retries | None = None
    ) -> "Tollhouse":
        """A client with other limits that shares this one's connections: `client.with_options(deadline=0.5).admit(…)`."""
        options = changed(self._options, timeout, deadline, retries)
        return Tollhouse(
            options.url,
            options.secret_key,
            timeout=options.timeout,
            deadline=options.deadline,
            retries=options.retries,
            transport=self._transport,
            sleep=self._sleep,
        )

    def _send(self, call: Call[Answer]) -> Answer:
        attempts = self._options.attempts(time.monotonic())
        while True:
            try:
                timeout = attempts.next_timeout(time.monotonic())
                return call.read(self._transport.send(self._options.request(call, timeout)))
            except TollhouseError as failure:
                failure.key = call.key
                pause = attempts.pause_after(failure, time.monotonic())
            self._sleep(pause)

    def admit(
        self,
        customer: str,
        action: str,
        *,
        key: str | None = None,
        amount: Amounts | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Admission:
        """Decide and debit in one durable step. `amount` only where the catalogue lets the caller price the action."""
        return self._send(calls.admit(customer, action, key, amount, metadata))

    def admit_batch(self, items: Sequence[Ask]) -> list[BatchAnswer]:
        """1 to 1,000 admissions, decided in order, answered in order; an item that fails answers with its ApiError."""
        return self._send(calls.admit_batch(items))

    def check(
        self,
        customer: str,
        action: str,
        *,
        amount: Amounts | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Admission:
        """What `admit` would answer now, without a debit."""
        return self._send(calls.check(customer, action, amount, metadata))

    def heartbeat(self, admission: str) -> Heartbeat:
        """Keep a leased slot. Raises LeaseLost when it was lost and none is free. See `session`."""
        return self._send(calls.heartbeat(admission))

    def end(self, admission: str) -> Ended:
        """Give a leased slot back."""
        return self._send(calls.end(admission))

    def refund(
        self, admission: str, *, reason: str, amount: Amounts | Decimal | int | None = None, key: str | None = None
    ) -> Refund:
        """Give back all that is left of an admission, or `amount`. Raises Conflict when that is more than is left."""
        return self._send(calls.refund(admission, reason, key, amount))

    def hold(
        self,
        customer: str,
        action: str,
        *,
        ttl: str = "60s",
        on_expiry: OnExpiry = "return",
        key: str | None = None,
        amount: Amounts | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Hold:
        """Debit now, settle later. A hold that nobody settles within `ttl` comes back, or stays charged. See `held`."""
        return self._send(calls.hold(customer, action, ttl, on_expiry, key, amount, metadata))

    def settle(self, hold: str, amount: Amounts) -> HoldResult:
        """The final cost by meter; meters left out cost what was held. Raises Conflict when it was settled otherwise."""
        return self._send(calls.settle(hold, amount))

    def extend(self, hold: str, ttl: str) -> HoldResult:
        """The hold lasts `ttl` from now. Raises Conflict when it has ended."""
        return self._send(calls.extend(hold, ttl))

    def release(self, hold: str) -> HoldResult:
        """All of the hold comes back. Raises Conflict when it was settled or has expired."""
        return self._send(calls.release(hold))

    def catalog(self) -> Catalog:
        """What is sold: plans and packs with their prices."""
        return self._send(calls.catalog())

    def session(
        self,
        customer: str,
        action: str,
        *,
        key: str | None = None,
        amount: Amounts | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Slot:
        """`with client.session(…) as slot:` admits, heartbeats from a thread, and ends. Raises Refused on entering."""
        call = calls.admit(customer, action, key, amount, metadata)
        return Slot(lambda: self._send(call), self.heartbeat, self.end)

    def held(
        self,
        customer: str,
        action: str,
        *,
        ttl: str = "60s",
        on_expiry: OnExpiry = "return",
        key: str | None = None,
        amount: Amounts | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> Held:
        """`with client.held(…) as held:` holds, settles at the end, releases when the block raises.

        Inside, `held.costs(amount)` says the final cost; unsaid, it is what was held. Raises Refused on entering.
        """
        call = calls.hold(customer, action, ttl, on_expiry, key, amount, metadata)
        return Held(lambda: self._send(call), self.settle, self.release)


class Customers:
    """`client.customers`: who they are, their projects, their book, what they are given.

    Wherever a customer is named, its `cus_` id, a member's `usr_` id or the product's own id will do.
    """

    def __init__(self, send: Send) -> None:
        self._send = send

    def create(
        self,
        email: str,
        *,
        external_id: str | None = None,
        name: str | None = None,
        city: str | None = None,
        locale: str | None = None,
    ) -> Customer:
        """The customer, made with its plan and sign-up grant when it is new. Raises Conflict `email_taken`."""
        return self._send(calls.create_customer(email, external_id, name, city, locale))

    def get(self, customer: str) -> Customer:
        """Plan, standing and every meter. Raises NotFound."""
        return self._send(calls.get_customer(customer))

    def checkout(
        self,
        customer: str,
        *,
        plan: str | None = None,
        pack: str | None = None,
        interval: str | None = None,
        currency: str | None = None,
        email: str | None = None,
    ) -> str:
        """The address of a Checkout page for a plan (by the month or the year) or a pack (in one of its currencies).

        Raises Conflict `already_subscribed` for a plan where there is a subscription; its `fields` have the portal's `url`.
        """
        call = calls.checkout(customer, plan, pack, interval, currency, email)
        return self._send(call).url

    def create_project(self, customer: str, name: str, *, key: str | None = None) -> Project:
        """One more project, with its debit. Raises Forbidden `count_exhausted` when the plan allows no more."""
        return self._send(calls.create_project(customer, name, key))

    def projects(self, customer: str) -> list[Project]:
        """The customer's projects, the oldest first."""
        return self._send(calls.list_projects(customer)).items

    def entries(self, customer: str, *, page_size: int = 100) -> Iterator[Entry]:
        """The whole book, the newest first; pages are fetched while it is read."""
        after: str | None = None
        while True:
            page = self.entries_page(customer, after=after, limit=page_size)
            yield from page.entries
            if page.next is None:
                return
            after = page.next

    def entries_page(self, customer: str, *, after: str | None = None, limit: int = 100) -> EntryPage:
        """One page of the book; `after` is the `next` of the page before."""
        return self._send(calls.list_entries(customer, after, limit))

    def grant(
        self,
        customer: str,
        meter: str,
        amount: Decimal | int,
        *,
        reason: str,
        key: str | None = None,
        expires_at: datetime | None = None,
        paid: Paid | None = None,
    ) -> Grant:
        """A lot of credits, once per key. With `paid` it is a top-up that was bought, without it a gift."""
        return self._send(calls.grant(customer, meter, amount, reason, key, expires_at, paid))
