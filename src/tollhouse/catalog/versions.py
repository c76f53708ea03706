"""Plan versions (row X4): what makes one plan another to its buyers, and how a version is kept.

What a customer buys is its limits, credits, prices (amount, currency, period), support level, badge and the listed
features: a change in any of them makes a new version, and nobody is moved to it by the file. How it is presented and
found (title, description, order, contact_only, lookup keys, Stripe's ids) may change under the same version.
"""

import hashlib

import msgspec

from tollhouse.catalog.model import Meter, PlanVersion


class _Bought(msgspec.Struct, frozen=True, omit_defaults=True):
    """What of a plan counts for its version, in one canonical order.

    What came later has a default that is left out, so that the hashes of what was published before stay.
    """

    plan: str
    limits: list[tuple[str, int | None]]
    grants: list[tuple[str, int, str, bool]]
    prices: list[tuple[str, str, int]]
    support: tuple[str, int | None, str | None]
    badge: bool
    features: list[str]
    terms: list[tuple[str, str, int | None]] = []  # of grants that say more than their amount


def content_hash(plan: PlanVersion) -> str:
    """SHA-256, in hex, of what a customer of this plan buys; the order of writing does not matter."""
    bought = _Bought(
        plan=plan.plan,
        limits=sorted(plan.limits.items(), key=lambda limit: limit[0]),
        grants=sorted((grant.meter, grant.amount, grant.mode, grant.verified_only) for grant in plan.grants),
        prices=sorted((price.currency, price.every, price.amount_minor) for price in plan.prices),
        support=(plan.support.channel, plan.support.answer_within_ms, plan.support.sla_percent),
        badge=plan.badge,
        features=sorted(plan.features),
        terms=[
            (grant.meter, grant.on_upgrade, grant.rollover)
            for grant in sorted(plan.grants, key=lambda grant: grant.meter)
            if grant.on_upgrade != "replace" or grant.rollover != 0
        ],
    )
    return hashlib.sha256(msgspec.json.encode(bought)).hexdigest()


def encode_plan(plan: PlanVersion) -> str:
    """The plan as JSON text, with sorted keys, for keeping."""
    return msgspec.json.encode(plan, order="deterministic").decode()


def decode_plan(text: str) -> PlanVersion:
    """The plan that `encode_plan` wrote, now or by an earlier release."""
    return msgspec.json.decode(text, type=PlanVersion)


def encode_meter(meter: Meter) -> str:
    """The meter as JSON text, with sorted keys, for keeping."""
    return msgspec.json.encode(meter, order="deterministic").decode()


def decode_meter(text: str) -> Meter:
    """The meter that `encode_meter` wrote."""
    return msgspec.json.decode(text, type=Meter)


def changed_meaning(before: Meter, after: Meter) -> tuple[str, str, str] | None:
    """What change of a meter would change what was bought or how the books read: (key, before, after), or None."""
    if before.kind != after.kind:
        return "kind", before.kind, after.kind
    if before.decimals != after.decimals:
        return "decimals", str(before.decimals), str(after.decimals)
    if before.kind == "quota" and before.period != after.period:
        return "period", before.period, after.period
    if before.kind == "rate" and before.window_ms != after.window_ms:
        return "per", f"{before.window_ms / 1000:g}s", f"{after.window_ms / 1000:g}s"
    return None
