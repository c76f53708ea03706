"""Passwords: rules for new ones, argon2id hashes, at most two made at once (64 MiB each), never on the event loop."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from tollhouse.kernel.errors import InvalidRequest, Unavailable

SHORTEST = 10
LONGEST = 200
AT_ONCE = 2
MOST_WAITING = 64
MEMORY_KIB = 65_536
PASSES = 3
PARALLELISM = 4

T = TypeVar("T")


class Verdict(msgspec.Struct, frozen=True):
    """Whether a password is right, and whether its hash was made with older parameters."""

    matches: bool
    outdated: bool = False


def check_new_password(password: str, email: str) -> None:
    """Raises InvalidRequest `weak_password` unless it has 10 to 200 characters and is not the e-mail address."""
    if len(password) < SHORTEST:
        raise InvalidRequest(
            "the password is too short",
            code="weak_password",
            fix=f"use at least {SHORTEST} characters; a few words are best",
        )
    if len(password) > LONGEST:
        raise InvalidRequest("the password is too long", code="weak_password", fix=f"use at most {LONGEST} characters")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in password):
        raise InvalidRequest(
            "the password holds control characters", code="weak_password", fix="use characters that a keyboard writes"
        )
    if password.strip().casefold() in (email.casefold(), email.partition("@")[0].casefold()):
        raise InvalidRequest(
            "the password is the e-mail address", code="weak_password", fix="choose something nobody knows"
        )


def _bytes(password: str) -> bytes:
    """NFC, so that é typed in two ways is one password."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


class Passwords:
    """Makes and checks argon2id hashes in two threads of its own."""

    def __init__(self, *, memory_kib: int = MEMORY_KIB, passes: int = PASSES, parallelism: int = PARALLELISM) -> None:
        self._hasher = PasswordHasher(
            time_cost=passes, memory_cost=memory_kib, parallelism=parallelism, hash_len=32, salt_len=16, type=Type.ID
        )
        self._threads = ThreadPoolExecutor(AT_ONCE, "tollhouse-passwords")
        self._waiting = 0
        self._decoy: str | None = None

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= MOST_WAITING:
            raise Unavailable("too many people are signing in at this moment", fix="try again in a few seconds")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    async def hash(self, password: str) -> str:
        """The hash to store. Raises Unavailable when 64 are waiting already."""
        return await self._run(lambda: self._hasher.hash(_bytes(password)))

    async def verify(self, stored: str | None, password: str) -> Verdict:
        """Whether the password is right. Without a stored hash it takes as long, and is wrong."""
        return await self._run(lambda: self._verify(stored, password))

    def _verify(self, stored: str | None, password: str) -> Verdict:
        if self._decoy is None:
            self._decoy = self._hasher.hash(secrets.token_bytes(32))
        unusable = stored is None or len(password) > LONGEST
        against = self._decoy if stored is None or unusable else stored
        try:
            self._hasher.verify(against, _bytes(password[:LONGEST]))
        except (VerificationError, InvalidHashError):
            return Verdict(False)
        return Verdict(not unusable, self._hasher.check_needs_rehash(against))

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
