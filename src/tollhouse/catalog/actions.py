"""Publishing: what the file says is put beside what was sold before, and gets its version numbers."""

import msgspec

from tollhouse.catalog.model import Catalog, Meter, PlanVersion
from tollhouse.catalog.queries import (
    ALL_METERS,
    ALL_VERSIONS,
    INSERT_METER,
    INSERT_VERSION,
    UPDATE_METER,
    UPDATE_PRESENTATION,
)
from tollhouse.catalog.versions import (
    changed_meaning,
    content_hash,
    decode_meter,
    decode_plan,
    encode_meter,
    encode_plan,
)
from tollhouse.kernel.errors import ConfigurationError, Unavailable
from tollhouse.store import Tx

_TRIES = 20


async def publish(tx: Tx, catalog: Catalog, now_ms: int) -> Catalog:
    """The catalogue with its plans' version numbers and every version ever sold; new content is stored as the next one.

    Any number of processes may publish at once. Raises ConfigurationError when the file changes what a meter that is
    in use means: let the transaction roll back then.
    """
    stored = await _stored_meters(tx)
    for name in sorted(catalog.meters):
        meter = catalog.meters[name]
        if name in stored:
            _refuse_changed(stored[name], meter)
    for name in sorted(catalog.meters):
        await _put_meter(tx, catalog.meters[name], stored)
    numbers = {name: await _put_plan(tx, catalog.plans[name], now_ms) for name in sorted(catalog.plans)}
    plans = {name: msgspec.structs.replace(plan, version=numbers[name]) for name, plan in catalog.plans.items()}
    return await refresh(tx, msgspec.structs.replace(catalog, plans=plans))


async def refresh(tx: Tx, catalog: Catalog) -> Catalog:
    """A published catalogue with the versions that other processes have published meanwhile. Writes nothing."""
    versions = {(plan.plan, plan.version): plan for plan, _ in await _stored_versions(tx)}
    versions |= {(plan.plan, plan.version): plan for plan in catalog.plans.values()}
    stored = await _stored_meters(tx)
    # Accounts may still have a period of a meter that the file no longer names: what it means must be known.
    other = {name: stored[name] for name in sorted(stored) if name not in catalog.meters}
    return msgspec.structs.replace(catalog, versions=versions, meters=catalog.meters | other)


async def next_versions(tx: Tx, catalog: Catalog) -> dict[str, tuple[int, bool]]:
    """The number that publishing would give each plan, and whether that version is new. Writes nothing."""
    stored = await _stored_versions(tx)
    numbers = {}
    for name, plan in catalog.plans.items():
        digest = content_hash(plan)
        same = [other.version for other, other_digest in stored if other.plan == name and other_digest == digest]
        highest = max((other.version for other, _ in stored if other.plan == name), default=0)
        numbers[name] = (same[0], False) if same else (highest + 1, True)
    return numbers


async def _stored_meters(tx: Tx) -> dict[str, Meter]:
    return {str(row["name"]): decode_meter(str(row["content"])) for row in await tx.fetch(ALL_METERS)}


async def _stored_versions(tx: Tx) -> list[tuple[PlanVersion, str]]:
    """Every stored version under its number, with its hash."""
    found = []
    for row in await tx.fetch(ALL_VERSIONS):
        plan = msgspec.structs.replace(decode_plan(str(row["content"])), version=int(row["version"]))
        found.append((plan, str(row["content_hash"])))
    return found


def _refuse_changed(before: Meter, after: Meter) -> None:
    change = changed_meaning(before, after)
    if change is not None:
        key, was, now = change
        raise ConfigurationError(
            f"meters.{after.name}.{key} is {now} in the file, and {was} in the database: customers have bought by it",
            setting=f"meters.{after.name}.{key}",
            fix=f"write {key} as it was, or add a meter with another name and use that one in the plans",
        )


async def _put_meter(tx: Tx, meter: Meter, stored: dict[str, Meter]) -> None:
    content = encode_meter(meter)
    if meter.name in stored:
        await tx.execute(UPDATE_METER, name=meter.name, content=content)
        return
    added = await tx.execute(INSERT_METER, name=meter.name, kind=meter.kind, decimals=meter.decimals, content=content)
    if added == 0:  # another process was first
        _refuse_changed((await _stored_meters(tx))[meter.name], meter)


async def _put_plan(tx: Tx, plan: PlanVersion, now_ms: int) -> int:
    """The version number of this content; stored under the next number when it is new."""
    digest = content_hash(plan)
    for _ in range(_TRIES):
        highest = 0
        for stored, stored_digest in await _stored_versions(tx):
            if stored.plan != plan.plan:
                continue
            if stored_digest == digest:
                content = encode_plan(msgspec.structs.replace(plan, version=stored.version))
                await tx.execute(UPDATE_PRESENTATION, plan=plan.plan, version=stored.version, content=content)
                return stored.version
            highest = max(highest, stored.version)
        number = highest + 1
        content = encode_plan(msgspec.structs.replace(plan, version=number))
        added = await tx.execute(
            INSERT_VERSION, plan=plan.plan, version=number, content_hash=digest, content=content, created_at=now_ms
        )
        if added == 1:
            return number
    raise Unavailable(
        f"version numbers of the plan {plan.plan} were taken by other processes {_TRIES} times", fix="start again"
    )
