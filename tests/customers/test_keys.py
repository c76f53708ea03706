"""Secret keys: hashed, shown once, revocable; known in memory, and trusted only as long as the database can be asked."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import pytest

from tests.customers.world import World, opened
from tollhouse.customers import keys
from tollhouse.customers.keyring import KeyRing
from tollhouse.customers.model import NewSecretKey
from tollhouse.kernel.errors import NotFound, Unavailable
from tollhouse.store import Sql, Tx
from tollhouse.store.errors import ConnectionLost
from tollhouse.store.opening import AnyStore


class Ticks:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


class Unreachable:
    """A store that does not answer while `down` is true."""

    def __init__(self, store: AnyStore) -> None:
        self._store = store
        self.dialect = store.dialect
        self.clock = store.clock
        self.down = False

    def reading(self) -> AbstractAsyncContextManager[Tx]:
        if self.down:
            raise ConnectionLost("the database cannot be reached")
        return self._store.reading()

    def snapshot(self) -> AbstractAsyncContextManager[Tx]:
        return self.reading()

    def transaction(self) -> AbstractAsyncContextManager[Tx]:
        return self._store.transaction()

    def statement(self) -> AbstractAsyncContextManager[Tx]:
        return self._store.statement()

    async def close(self) -> None:
        await self._store.close()


async def make(world: World, name: str = "server") -> NewSecretKey:
    async with world.store.transaction() as tx:
        return await keys.create_secret_key(tx, name, world.now)


async def revoke(world: World, key: str) -> None:
    async with world.store.transaction() as tx:
        await keys.revoke_secret_key(tx, key, world.now)


async def test_a_key_is_shown_once_and_kept_as_a_digest(world: World) -> None:
    made = await make(world)

    assert len(made.key) == len("th_sk_") + 43
    assert made.key not in repr(made)
    async with world.store.reading() as tx:
        (row,) = await tx.fetch(Sql("select * from secret_key"))
        (listed,) = await keys.list_secret_keys(tx)
    assert made.key.encode() not in b"".join(str(row[name]).encode() for name in row.keys())  # noqa: SIM118
    assert (listed.id, listed.name, listed.last4, listed.revoked_at) == (made.id, "server", made.key[-4:], None)


async def test_a_live_key_is_known_and_nothing_else_is(world: World) -> None:
    made = await make(world)
    ring = KeyRing(world.store)
    await ring.refresh()

    assert ring.knows(made.key.encode())
    wrong = (b"", b"th_sk_", made.key[:-1].encode(), made.key.encode() + b"\x00", made.key.upper().encode(), b"\xff")
    assert not any(ring.knows(bearer) for bearer in wrong)


async def test_a_key_made_or_revoked_by_another_process_is_noticed_at_the_next_look(
    world: World, schema_url: str
) -> None:
    ring = KeyRing(world.store)
    await ring.refresh()
    async with opened(schema_url) as elsewhere:
        made = await make(elsewhere)
        assert await ring.refresh()
        assert ring.knows(made.key.encode())
        await revoke(elsewhere, made.id)
    assert await ring.refresh()
    assert not ring.knows(made.key.encode())


async def test_looking_again_reads_no_keys_when_nothing_has_changed(world: World) -> None:
    await make(world)
    ring = KeyRing(world.store)
    assert await ring.refresh()
    assert not await ring.refresh()


async def test_without_the_database_keys_go_on_for_30_seconds_and_then_all_are_refused(world: World) -> None:
    made = await make(world)
    ticks, store = Ticks(), Unreachable(world.store)
    ring = KeyRing(store, ticks)
    with pytest.raises(Unavailable):
        ring.knows(made.key.encode())
    await ring.refresh()

    store.down = True
    ticks.seconds += 30
    with pytest.raises(ConnectionLost):
        await ring.refresh()
    assert ring.knows(made.key.encode())
    ticks.seconds += 0.5
    with pytest.raises(Unavailable) as refusal:
        ring.knows(made.key.encode())
    assert refusal.value.code == "keys_unknown"

    store.down = False
    await ring.refresh()
    assert ring.knows(made.key.encode())


async def test_the_ring_looks_by_itself_every_second(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tollhouse.customers.keyring.EVERY_SECONDS", 0.01)
    made = await make(world)
    ring = KeyRing(world.store)
    async with ring.kept_fresh():
        assert ring.knows(made.key.encode())
        await revoke(world, made.id)
        for _ in range(500):
            if not ring.knows(made.key.encode()):
                break
            async with world.store.reading() as tx:  # gives the ring its turn
                await tx.fetch(Sql("select 1 as one"))
        assert not ring.knows(made.key.encode())


async def test_revoking_what_does_not_exist_says_so(world: World) -> None:
    with pytest.raises(NotFound):
        await revoke(world, "key_unknown")


async def test_a_key_revoked_twice_keeps_its_first_date(world: World) -> None:
    made = await make(world)
    await revoke(world, made.id)
    first, world.now = world.now, world.now + 1_000
    await revoke(world, made.id)
    async with world.store.reading() as tx:
        (listed,) = await keys.list_secret_keys(tx)
    assert listed.revoked_at == first
