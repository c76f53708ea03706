"""Blocks for blocking code: a slot that is kept while the block runs, a hold that is settled at its end."""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tollhouse_sdk.errors import TollhouseError
from tollhouse_sdk.models import Admission, Amounts, Ended, Heartbeat, Hold, HoldResult

log = logging.getLogger("tollhouse_sdk")


class Slot:
    """A leased slot, kept by heartbeats from a thread while the block runs, and given back at its end.

    An action that holds no slot is admitted all the same; there is nothing to keep then.
    """

    def __init__(
        self, admit: Callable[[], Admission], heartbeat: Callable[[str], Heartbeat], end: Callable[[str], Ended]
    ) -> None:
        self._admit = admit
        self._heartbeat = heartbeat
        self._end = end
        self._over = threading.Event()
        self._gone = threading.Event()
        self._admission: Admission | None = None
        self._failure: TollhouseError | None = None

    @property
    def admission(self) -> Admission:
        """The admission of this block."""
        if self._admission is None:
            raise RuntimeError("the slot is not taken yet; fix: enter the `with` block first")
        return self._admission

    @property
    def id(self) -> str:
        """The id of the admission."""
        return self.admission.admitted_id

    @property
    def lost(self) -> bool:
        """Whether the slot is gone: it came back by itself and no other was free, or the key was revoked."""
        return self._failure is not None

    def raise_if_lost(self) -> None:
        """Call it between the steps of long work. Raises what the failed heartbeat was answered, usually LeaseLost."""
        if self._failure is not None:
            raise self._failure

    def wait_lost(self, timeout: float | None = None) -> bool:
        """Waits until the slot is lost, at most `timeout` seconds; whether it is."""
        return self._gone.wait(timeout)

    def __enter__(self) -> Self:
        self._admission = self._admit().require()
        lease = self._admission.lease
        if lease is not None:
            threading.Thread(
                target=self._keep, args=(self.id, lease.heartbeat_every), name=f"keep {self.id}", daemon=True
            ).start()
        return self

    def _keep(self, admission: str, every: float) -> None:
        while not self._over.wait(every):
            try:
                every = self._heartbeat(admission).lease.heartbeat_every
            except TollhouseError as error:
                if self._over.is_set():
                    return
                if not error.retryable:
                    self._failure = error
                    self._gone.set()
                    return
                log.warning("no heartbeat for %s: %s", admission, error)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self.admission.lease is None or self.lost:
            return
        try:
            self._end(self.id)
        except TollhouseError as failure:  # the work is done, and the slot comes back by itself
            log.warning("the slot %s was not given back: %s", self.id, failure)


class Held:
    """A hold that is settled when the block ends, and released when the block raises."""

    def __init__(
        self,
        hold: Callable[[], Hold],
        settle: Callable[[str, Amounts], HoldResult],
        release: Callable[[str], HoldResult],
    ) -> None:
        self._make = hold
        self._settle = settle
        self._release = release
        self._cost: Amounts = {}
        self._hold: Hold | None = None
        self.result: HoldResult | None = None

    @property
    def hold(self) -> Hold:
        """The hold of this block."""
        if self._hold is None:
            raise RuntimeError("nothing is held yet; fix: enter the `with` block first")
        return self._hold

    @property
    def id(self) -> str:
        """The id of the hold."""
        return self.hold.admitted_id

    def costs(self, amount: Amounts) -> None:
        """Says the final cost by meter, to be settled when the block ends. Said again, the last word counts."""
        self._cost = dict(amount)

    def __enter__(self) -> Self:
        self._hold = self._make().require()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.result = self._settle(self.id, self._cost)
            return
        try:
            self.result = self._release(self.id)
        except TollhouseError as failure:  # the block's own error is the one to tell
            error.add_note(f"the hold {self.id} was not released: {failure}")
