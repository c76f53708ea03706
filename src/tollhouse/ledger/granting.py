"""How credits come in and plans change: opening, grants, fall back to free, unlocking. Pure.

The lots of paid periods are in `plan_lots.py`.

Every function takes a state already advanced to `now` and returns the state after it with the entries to write.
"""

import msgspec
from msgspec.structs import replace

from tollhouse.catalog.model import Catalog, PlanVersion
from tollhouse.kernel.errors import InvalidRequest
from tollhouse.kernel.ids import entry_id
from tollhouse.kernel.periods import period_at
from tollhouse.kernel.units import LARGEST
from tollhouse.ledger.model import Entry, EntryKind, Lot, LotSource, Move, Part, Quota, Standing, State
from tollhouse.ledger.rules import check_room, in_spending_order
from tollhouse.ledger.turning import keep_until_paid_end, keep_while_subscribed, record, with_meters_of

_encode = msgspec.json.Encoder(decimal_format="number").encode


class NewLot(msgspec.Struct, frozen=True):
    """A lot to be granted. Times in ms; `since`/`until` are the paid period of a plan's lot."""

    meter: str
    amount: int
    source: LotSource
    expires_at: int | None = None
    since: int = 0
    until: int | None = None
    locked: bool = False
    parts: tuple[Part, ...] = ()


class Change(msgspec.Struct, frozen=True):
    """What a rule did: the state after, its entries, lots that were made and ids of plan lots that were replaced."""

    state: State
    entries: tuple[Entry, ...]
    made: tuple[tuple[Lot, str], ...] = ()  # (lot, meter)
    ended: tuple[str, ...] = ()


def metadata_json(values: dict[str, object]) -> str:
    """Metadata as it is kept on an entry."""
    return _encode(values).decode()


def open_state(customer: str, plan: PlanVersion, catalog: Catalog, now: int, verified: bool) -> Change:
    """A new customer on `plan` with its sign-up grants (the free plan's lots), as entries 1 and following."""
    state = State(plan=plan.plan, plan_version=plan.version, decided_at=now, seq=0, anchor=now)
    state, opened = record(with_meters_of(state, catalog, now), "opened", "opened", now, ())
    entries: list[Entry] = [opened]
    made: list[tuple[Lot, str]] = []
    for grant in plan.grants:
        locked = grant.verified_only and not verified
        change = add_lot(
            state, customer, NewLot(grant.meter, grant.amount, "plan", locked=locked), now, "sign_up_grant"
        )
        state = change.state
        entries += change.entries
        made += change.made
    return Change(state, tuple(entries), tuple(made))


def add_lot(state: State, customer: str, new: NewLot, now: int, action: str, metadata: str | None = None) -> Change:
    """One more lot. Raises Conflict at the 65th live lot, InvalidRequest for an amount out of range or an expiry in the past."""
    if not 0 < new.amount <= LARGEST:
        raise InvalidRequest("a grant must be more than 0 and below 2^53", fix="send a positive amount")
    if new.expires_at is not None and new.expires_at <= now:
        raise InvalidRequest("the grant would already be expired", fix="send an expires_at in the future, or none")
    lots = state.lots.get(new.meter, ())
    if sum(lot.amount for lot in lots) + new.amount > LARGEST:
        raise InvalidRequest("the balance would pass 2^53", fix="grant less")
    lot = Lot(
        entry_id("lot", customer, state.seq + 1),
        new.amount,
        0,
        new.source,
        new.expires_at,
        new.since,
        new.until,
        new.locked,
        new.parts,
    )
    after = replace(state, lots={**state.lots, new.meter: in_spending_order((*lots, lot))})
    check_room(after)
    after, entry = record(after, "grant", action, now, ((new.meter, lot.id, new.amount),), metadata=metadata)
    return Change(after, (entry,), ((lot, new.meter),))


def set_plan(
    state: State,
    catalog: Catalog,
    plan: PlanVersion,
    anchor: int | None,
    ends_at: int | None,
    standing: Standing,
    now: int,
    metadata: str | None = None,
    past_due_at: int | None = None,
) -> Change:
    """What the subscription says: plan, anchor of its periods, known end, standing. No entry when nothing changes.

    `past_due_at`: a payment failed, and until then the standing is as given.

    A quota's period is opened when the new anchor says that a later one has begun, and never closed or lowered (rule 8).
    An end that has passed means the free plan, so that time and a late notice of the end come to the same.
    """
    if ends_at is not None and ends_at <= now:
        plan, ends_at, past_due_at = catalog.plans[catalog.free_plan], None, None
    if past_due_at is not None and past_due_at <= now:
        standing, past_due_at = "blocked" if standing == "blocked" else "past_due", None
    after = replace(
        state,
        plan=plan.plan,
        plan_version=plan.version,
        ends_at=ends_at,
        standing=standing,
        anchor=anchor or state.anchor,
        past_due_at=past_due_at,
    )
    moves: list[Move] = []
    quotas: dict[str, Quota] = {}
    for name, quota in after.quotas.items():
        if name in catalog.meters:
            start, end = period_at(after.anchor, catalog.meters[name].period, now)
            if start > quota.start:
                if quota.used:
                    moves.append((name, str(quota.start), quota.used))
                quota = Quota(0, start, end)
            elif after.anchor != state.anchor and end > now:
                quota = replace(quota, end=end)
        quotas[name] = quota
    after = with_meters_of(replace(after, quotas=quotas), catalog, now)
    if plan.plan != state.plan:
        after = keep_until_paid_end(after, now) if plan.plan == catalog.free_plan else keep_while_subscribed(after)
    if after == state:
        return Change(state, ())
    action = _plan_action(state, after, catalog)
    kind: EntryKind = "standing" if action.startswith("grace_") else "plan"
    after, entry = record(after, kind, action, now, tuple(moves), metadata=metadata)
    return Change(after, (entry,))


def _plan_action(before: State, after: State, catalog: Catalog) -> str:
    if before.plan != after.plan:
        old = catalog.version(before.plan, before.plan_version)
        new = catalog.version(after.plan, after.plan_version)
        higher = new is not None and (old is None or new.rank > old.rank)
        return "plan_changed_up" if higher else "plan_changed_down"
    if before.standing != after.standing:
        return f"standing_{after.standing}"
    if (before.past_due_at is None) != (after.past_due_at is None):
        return "grace_ended" if after.past_due_at is None else "grace_started"
    return "subscription_changed"


def unlock(state: State, now: int) -> Change:
    """The e-mail address is verified: what waited for it can be spent."""
    if not any(lot.locked for lots in state.lots.values() for lot in lots):
        return Change(state, ())
    lots = {meter: tuple(replace(lot, locked=False) for lot in kept) for meter, kept in state.lots.items()}
    after, entry = record(replace(state, lots=lots), "unlock", "email_verified", now, ())
    return Change(after, (entry,))
