"""A changed file never changes what a paying customer bought (X4): contents become versions, meters keep their meaning."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import msgspec
import pytest
from sqlalchemy import MetaData

from tests.catalog.files import catalog_of
from tollhouse.catalog import Catalog, PlanVersion, publish, refresh
from tollhouse.catalog.model import Grant, OnUpgrade, Price
from tollhouse.catalog.tables import meter_definition, plan_version
from tollhouse.catalog.versions import content_hash, decode_plan, encode_plan
from tollhouse.kernel.errors import ConfigurationError
from tollhouse.store import Store, open_store
from tollhouse.store.schema import on_connection

NOW = 1_790_000_000_000
pytestmark = pytest.mark.row("X4")


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Store]:
    await asyncio.to_thread(_make_tables, database_url)
    opened = await open_store(database_url)
    yield opened
    await opened.close()


def _make_tables(database_url: str) -> None:
    only = MetaData(naming_convention=plan_version.metadata.naming_convention)
    for table in (plan_version, meter_definition):
        table.to_metadata(only)
    on_connection(database_url, only.create_all)


async def published(store: Store, catalog: Catalog) -> Catalog:
    async with store.transaction() as tx:
        return await publish(tx, catalog, NOW)


def with_starter(catalog: Catalog, **changes: object) -> Catalog:
    starter = msgspec.structs.replace(catalog.plans["starter"], **changes)
    return msgspec.structs.replace(catalog, plans=catalog.plans | {"starter": starter})


async def test_the_first_start_publishes_every_plan_as_version_1(store: Store) -> None:
    catalog = await published(store, catalog_of())

    assert {name: plan.version for name, plan in catalog.plans.items()} == {"free": 1, "starter": 1}
    assert catalog.versions["starter", 1] == catalog.plans["starter"]


async def test_an_unchanged_file_publishes_nothing_new(store: Store) -> None:
    first = await published(store, catalog_of())
    assert await published(store, catalog_of()) == first


async def test_a_changed_limit_is_the_next_version_and_the_bought_one_stays_as_it_was(store: Store) -> None:
    before = await published(store, catalog_of())
    after = await published(store, with_starter(catalog_of(), limits={"sessions": 4_000}))

    assert after.plans["starter"].version == 2
    assert after.plans["free"].version == 1
    bought = after.version("starter", 1)
    assert bought == before.plans["starter"]
    assert bought is not None
    assert bought.limits["sessions"] == 5_000


async def test_a_price_that_comes_back_is_the_version_that_it_was(store: Store) -> None:
    await published(store, catalog_of())
    await published(store, with_starter(catalog_of(), limits={"sessions": 4_000}))
    again = await published(store, catalog_of())

    assert again.plans["starter"].version == 1
    assert sorted(number for plan, number in again.versions if plan == "starter") == [1, 2]


async def test_a_new_title_is_shown_under_the_same_version(store: Store) -> None:
    await published(store, catalog_of())
    renamed = await published(store, with_starter(catalog_of(), title="Débutant"))
    assert renamed.plans["starter"].version == 1

    async with store.reading() as tx:
        seen = await refresh(tx, catalog_of())
    assert seen.versions["starter", 1].title != "Débutant"  # this process's own file still says otherwise
    stored = await published(store, msgspec.structs.replace(catalog_of(), plans={"free": catalog_of().plans["free"]}))
    assert stored.versions["starter", 1].title == "Débutant"


async def test_a_plan_and_a_meter_that_left_the_file_stay_known_for_those_who_bought_them(store: Store) -> None:
    await published(store, catalog_of())
    smaller = catalog_of(without=("starter", "sessions"))
    after = await published(store, smaller)

    assert "starter" not in after.plans
    old = after.version("starter", 1)
    assert old is not None
    assert old.limits == {"sessions": 5_000}
    assert after.meters["sessions"].kind == "quota"


@pytest.mark.parametrize(
    ("meter", "changes", "key"),
    [
        ("sessions", {"kind": "count"}, "kind"),
        ("credits", {"decimals": 2}, "decimals"),
        ("sessions", {"period": "year"}, "period"),
        ("requests", {"window_ms": 3_600_000}, "per"),
    ],
)
async def test_a_meter_keeps_its_meaning(store: Store, meter: str, changes: dict[str, object], key: str) -> None:
    catalog = catalog_of()
    await published(store, catalog)
    changed = msgspec.structs.replace(catalog.meters[meter], **changes)

    with pytest.raises(ConfigurationError, match=rf"meters\.{meter}\.{key}.*fix:"):
        await published(store, msgspec.structs.replace(catalog, meters=catalog.meters | {meter: changed}))

    assert (await published(store, catalog)).meters == catalog.meters


async def test_processes_that_start_together_agree_on_the_numbers(store: Store, database_url: str) -> None:
    files = [with_starter(catalog_of(), limits={"sessions": 1_000 + kind}) for kind in range(4)] * 3
    async with AsyncExitStack() as stack:
        stores = []
        for _ in range(3):
            other = await open_store(database_url)
            stack.push_async_callback(other.close)
            stores.append(other)
        answers = await asyncio.gather(*(published(stores[index % 3], catalog) for index, catalog in enumerate(files)))

    given: dict[int | None, set[int]] = {}
    for file, answer in zip(files, answers, strict=True):
        given.setdefault(file.plans["starter"].limits["sessions"], set()).add(answer.plans["starter"].version)
    assert sorted(len(numbers) for numbers in given.values()) == [1, 1, 1, 1]
    assert sorted(number for numbers in given.values() for number in numbers) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "changes",
    [{"limits": {"sessions": 1}}, {"grants": ()}, {"prices": ()}, {"badge": True}, {"features": ("An hour a day",)}],
)
def test_what_is_bought_makes_a_version(changes: dict[str, object]) -> None:
    starter = catalog_of().plans["starter"]
    assert content_hash(msgspec.structs.replace(starter, **changes)) != content_hash(starter)


@pytest.mark.parametrize(
    "changes",
    [{"title": "Other"}, {"rank": 9}, {"description": "Other"}, {"stripe_products": ("prod_abc",)}, {"version": 7}],
)
def test_how_it_is_presented_and_found_makes_none(changes: dict[str, object]) -> None:
    starter = catalog_of().plans["starter"]
    assert content_hash(msgspec.structs.replace(starter, **changes)) == content_hash(starter)


def test_an_older_release_wrote_fewer_fields() -> None:
    text = '{"plan":"old","version":3,"title":"Old","rank":0,"limits":{"a":null},"grants":[],"prices":[]}'
    assert decode_plan(text) == PlanVersion("old", 3, "Old", 0, {"a": None}, (), ())


def test_a_plan_comes_back_as_it_was_kept() -> None:
    for plan in catalog_of().plans.values():
        assert decode_plan(encode_plan(plan)) == plan


TERMS: list[tuple[OnUpgrade, int | None]] = [("replace", 0), ("none", 0), ("replace", 1), ("replace", None)]


def test_what_was_published_before_plans_could_say_more_keeps_its_version() -> None:
    price = Price(2900, "usd", "month", "key")
    plan = PlanVersion("starter", 1, "Starter", 1, {"sessions": 5000}, (Grant("credits", 1000),), (price,))
    assert content_hash(plan) == "8ab357c85530ef86d9fdc3577f4cf4ead7538c28af942047dfe8afd997466927"
    grants = [Grant("credits", 1000, on_upgrade=upgrade, rollover=rollover) for upgrade, rollover in TERMS]
    assert len({content_hash(msgspec.structs.replace(plan, grants=(grant,))) for grant in grants}) == len(grants)
