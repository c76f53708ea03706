"""What must go out: kept until it has gone, and nothing of a link kept after."""

import asyncio

from tollhouse.kernel.facts import MailRequested, OperatorAlert, PlanChanged
from tollhouse.store import Sql, open_store, outbox, schema

PAYLOADS = Sql("select fact, payload from outbox order by fact")
LINK = "https://example.test/verify?token=as-good-as-a-password"


async def test_an_email_that_has_gone_leaves_no_link_behind(database_url: str) -> None:
    await asyncio.to_thread(schema.upgrade, database_url)
    store = await open_store(database_url)
    now = store.clock.now_ms()
    async with store.transaction() as tx:
        await outbox.put(tx, MailRequested("verify_email", "ada@example.test", "en", {"url": LINK}), now=now)
        await outbox.put(tx, PlanChanged("cus_1", "free", "starter", now), now=now)
        claimed = await outbox.claim(tx, now, 60_000, "clm_1", 10)
    assert any(LINK in item.payload for item in claimed)
    async with store.transaction() as tx:
        for item in claimed:
            await outbox.done(tx, item, "clm_1", now)
    async with store.reading() as tx:
        rows = await tx.fetch(PAYLOADS)
    kept = {row["fact"]: row["payload"] for row in rows}
    assert LINK not in "".join(kept.values())
    assert "starter" in kept["customer.plan.changed"]
    await store.close()


async def test_what_is_to_be_told_once_is_put_once(schema_url: str) -> None:
    store = await open_store(schema_url)
    now = store.clock.now_ms()
    alert = OperatorAlert("pack:1", "high", "A pack", "was not granted", "Mend it.")
    async with store.transaction() as tx:
        put = [await outbox.put_once(tx, alert, key, now=now) for key in ("1", "1", "2")]
        assert await outbox.put_once(tx, PlanChanged("cus_1", "free", "starter", now), "1", now=now)
    async with store.transaction() as tx:
        for item in await outbox.claim(tx, now, 60_000, "clm_1", 10):
            await outbox.done(tx, item, "clm_1", now)
        put.append(await outbox.put_once(tx, alert, "1", now=now))
        rows = await tx.fetch(PAYLOADS)
    assert put == [True, False, True, False]
    assert [row["fact"] for row in rows] == ["customer.plan.changed", "operator.alert", "operator.alert"]
    await store.close()
