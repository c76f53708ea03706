"""Passwords: argon2id, two at once, and a bounded queue."""

from __future__ import annotations

import asyncio
import threading

from tollhouse.identity.passwords import MEMORY_KIB, MOST_WAITING, Passwords, Verdict
from tollhouse.kernel.errors import Unavailable


class Counted(Passwords):
    """Knows how many checks ran at the same time; each waits for a second one to join it."""

    def __init__(self) -> None:
        super().__init__(memory_kib=8, passes=1, parallelism=1)
        self._lock = threading.Lock()
        self._meet = threading.Barrier(2)
        self._running = 0
        self.most = 0

    def _verify(self, stored: str | None, password: str) -> Verdict:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        self._meet.wait(10)
        with self._lock:
            self._running -= 1
        return Verdict(False)


async def test_a_hash_is_argon2id_with_64_mib() -> None:
    passwords = Passwords()
    stored = await passwords.hash("quatre mots bien choisis")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert MEMORY_KIB == 65_536
    assert await passwords.verify(stored, "quatre mots bien choisis") == Verdict(True, False)
    assert not (await passwords.verify(stored, "quatre mots mal choisis")).matches
    passwords.close()


async def test_an_accent_typed_in_two_ways_is_one_password() -> None:
    passwords = Passwords(memory_kib=8, passes=1, parallelism=1)
    stored = await passwords.hash("caf\u00e9 cr\u00e8me du matin")
    assert (await passwords.verify(stored, "cafe\u0301 cre\u0300me du matin")).matches
    passwords.close()


async def test_two_are_checked_at_once_and_no_more_than_64_wait() -> None:
    passwords = Counted()
    outcomes = await asyncio.gather(*(passwords.verify(None, "x") for _ in range(100)), return_exceptions=True)
    assert passwords.most == 2
    assert sum(isinstance(outcome, Verdict) for outcome in outcomes) == MOST_WAITING
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 100 - MOST_WAITING
    passwords.close()


async def test_a_hash_that_nobody_understands_matches_nothing() -> None:
    passwords = Passwords(memory_kib=8, passes=1, parallelism=1)
    assert await passwords.verify("plain text", "plain text") == Verdict(False)
    passwords.close()
