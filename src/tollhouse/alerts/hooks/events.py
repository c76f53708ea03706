"""What is told, and how it is written. The form is a contract with receivers (docs/reference/webhooks.md): fields are
added freely, and taken away or given another meaning only with another `version`.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from tollhouse.kernel import facts
from tollhouse.kernel.clock import rfc3339
from tollhouse.kernel.errors import InvariantBroken
from tollhouse.kernel.units import unscale

VERSION = 1
LARGEST_BYTES = 16_384
TEST_EVENT = "hook.test"

Said: TypeAlias = dict[str, object]


def _created(fact: facts.CustomerCreated) -> Said:
    return {"plan": fact.plan, "made_by": fact.made_by}


def _plan_changed(fact: facts.PlanChanged) -> Said:
    return {"before": fact.before, "after": fact.after}


def _started(fact: facts.SubscriptionStarted) -> Said:
    return {"subscription": fact.subscription, "plan": fact.plan, "every": fact.every}


def _ended(fact: facts.SubscriptionEnded) -> Said:
    return {"subscription": fact.subscription, "plan": fact.plan}


def _paid(fact: facts.PaymentSucceeded) -> Said:
    return {"invoice": fact.invoice, "amount_minor": fact.amount_minor, "currency": fact.currency}


def _not_paid(fact: facts.PaymentFailed) -> Said:
    return {
        "invoice": fact.invoice or None, "payment": fact.payment or None, "amount_minor": fact.amount_minor,
        "currency": fact.currency, "declined": fact.declined,
    }  # fmt: skip


def _threshold(fact: facts.BalanceThreshold) -> Said:
    return {"meter": fact.meter, "percent": fact.percent, **_balance(fact)}


def _exhausted(fact: facts.BalanceExhausted) -> Said:
    return {"meter": fact.meter, **_balance(fact)}


def _balance(fact: facts.BalanceThreshold | facts.BalanceExhausted) -> Said:
    return {
        "total": unscale(fact.total, fact.decimals),
        "used": unscale(fact.used, fact.decimals),
        "remaining": unscale(fact.remaining, fact.decimals),
        "resets_at": None if fact.resets_at is None else rfc3339(fact.resets_at),
    }


_WRITERS: dict[type[facts.Fact], Callable[[Any], Said]] = {
    facts.CustomerCreated: _created,
    facts.PlanChanged: _plan_changed,
    facts.SubscriptionStarted: _started,
    facts.SubscriptionEnded: _ended,
    facts.PaymentSucceeded: _paid,
    facts.PaymentFailed: _not_paid,
    facts.BalanceThreshold: _threshold,
    facts.BalanceExhausted: _exhausted,
}
_DECODERS: dict[str, Callable[[str], Any]] = {
    str(fact.__struct_config__.tag): msgspec.json.Decoder(fact).decode for fact in _WRITERS
}

EVENTS = tuple(_DECODERS)
"""The names of everything that is told, in the order of the reference."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


def is_event(fact: str) -> bool:
    """Whether endpoints are told this fact."""
    return fact in _DECODERS


def written(fact: str, payload: str, customer: str | None, external_id: str | None, at_ms: int) -> str:
    """The body of the webhook. Raises InvariantBroken past 16 kB; the fact's payload is ours, so it can be read."""
    found = _DECODERS[fact](payload)
    data = {"customer": customer, "external_id": external_id, **_WRITERS[type(found)](found)}
    return body_of(fact, data, at_ms)


def body_of(type: str, data: Said, at_ms: int) -> str:
    """One event as receivers read it: `type`, `timestamp` and `data` as Standard Webhooks names them, and `version`."""
    body = _encode({"type": type, "timestamp": rfc3339(at_ms), "version": VERSION, "data": data})
    if len(body) > LARGEST_BYTES:
        raise InvariantBroken(f"the webhook of {type} is {len(body)} bytes, more than {LARGEST_BYTES}")
    return body.decode()
