"""What happens by itself as time passes."""

from collections.abc import Callable

from tollhouse_sandbox.billing import (
    checkout,
    coupons,
    debits,
    discounts,
    disputes,
    invoices,
    payment_methods,
    schedules,
    subscriptions,
    test_clocks,
)
from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.world import World


def _period(world: World, key: str, moment: int) -> None:
    subscription = world.store.get("subscription", key)
    if subscription is None or subscriptions.current_period(subscription)[1] != moment:
        return
    if subscription["status"] not in ("active", "trialing", "past_due", "unpaid"):
        return
    if subscription["cancel_at"] is not None and subscription["cancel_at"] <= moment:
        subscriptions.end(world, subscription, "cancellation_requested")
    elif schedules.begin_last_phase(world, subscription):
        subscriptions.renew(world, subscription, start=moment)
    else:
        subscriptions.renew(world, subscription)


def _cancel_at(world: World, key: str, moment: int) -> None:
    subscription = world.store.get("subscription", key)
    if subscription and subscription["cancel_at"] == moment and subscription["status"] in subscriptions.LIVING:
        subscriptions.end(world, subscription, "cancellation_requested")


def _trial_notice(world: World, key: str, moment: int) -> None:
    subscription = world.store.get("subscription", key)
    if subscription is None or subscription["status"] != "trialing":
        return
    # A restart plans the notice again; it is given once for each end.
    if world.private(key).get("trial_noticed") != subscription["trial_end"]:
        world.keep_private(key, trial_noticed=subscription["trial_end"])
        world.emit("customer.subscription.trial_will_end", subscription)


def _finalize(world: World, key: str, moment: int) -> None:
    invoice = world.store.get("invoice", key)
    if invoice and invoice["status"] == "draft" and invoice["auto_advance"]:
        subscriptions.advance_invoice(world, invoice)


def _retry(world: World, key: str, moment: int) -> None:
    invoice = world.store.get("invoice", key)
    if invoice and invoice["status"] == "open" and invoice["next_payment_attempt"] == moment:
        subscriptions.advance_invoice(world, invoice)


def _incomplete(world: World, key: str, moment: int) -> None:
    subscription = world.store.get("subscription", key)
    if subscription is None or subscription["status"] != "incomplete":
        return
    before = {"status": "incomplete"}
    subscription.update(status="incomplete_expired", ended_at=moment)
    world.store.put("subscription", subscription)
    world.emit("customer.subscription.updated", subscription, before)
    invoice = world.store.get("invoice", subscription["latest_invoice"])
    if invoice and invoice["status"] == "open":
        invoices.void(world, invoice)


def _session(world: World, key: str, moment: int) -> None:
    session = world.store.get("checkout.session", key)
    if session and session["status"] == "open" and session["expires_at"] <= moment:
        checkout.expire(world, session)


def _dispute(world: World, key: str, moment: int) -> None:
    charge = world.store.get("charge", key)
    method = world.store.get("payment_method", charge["payment_method"]) if charge else None
    if charge is None or method is None or charge["disputed"]:
        return
    reason = payment_methods.behaviour_of(world, method).dispute
    if reason:
        disputes.open_(world, charge, reason=reason)


def _debit(world: World, key: str, moment: int) -> None:
    intent = world.store.get("payment_intent", key)
    if intent and intent["status"] == "processing" and world.private(key)["bank_answers_at"] == moment:
        debits.settle(world, intent)


def _test_clock(world: World, key: str, moment: int) -> None:
    clock = world.store.get(test_clocks.KIND, key)
    if clock:
        test_clocks.delete(world, clock)


def _coupon(world: World, key: str, moment: int) -> None:
    coupon = world.store.get("coupon", key)
    if coupon:
        coupons.settle(world, coupon)


def _promotion_code(world: World, key: str, moment: int) -> None:
    code = world.store.get("promotion_code", key)
    if code:
        coupons.settle_code(world, code)


def _discount(world: World, key: str, moment: int) -> None:
    discount = world.store.get("discount", key)
    if discount:
        discounts.expire(world, discount)


_TASKS: dict[str, Callable[[World, str, int], None]] = {
    "period": _period,
    "cancel_at": _cancel_at,
    "trial_notice": _trial_notice,
    "finalize": _finalize,
    "retry": _retry,
    "incomplete": _incomplete,
    "session": _session,
    "dispute": _dispute,
    "debit": _debit,
    "coupon": _coupon,
    "promotion_code": _promotion_code,
    "discount": _discount,
    "test_clock": _test_clock,
}


def catch_up(world: World) -> int:
    """Does whatever has fallen due by now, and lets test clocks arrive; answers how much that was."""
    done = world.run_agenda(world.clock.now(), _TASKS)
    for clock in test_clocks.advancing(world):
        done += world.run_agenda(clock["status_details"]["advancing"]["target_frozen_time"], _TASKS, clock["id"])
        test_clocks.arrive(world, clock)
    return done


def advance(world: World, moment: int) -> int:
    """Moves the clock forward to the moment, doing everything due on the way in order and dated at its time."""
    done = world.run_agenda(moment, _TASKS)
    world.clock.move_to(moment)
    world.store.put("setting", {"id": "clock", "offset_seconds": world.clock.offset_seconds})
    return done


def rebuild(world: World) -> None:
    """Writes the agenda anew from the objects, after a restart."""
    for coupon in world.store.oldest("coupon"):
        coupons.plan_end(world, coupon)
    for code in world.store.oldest("promotion_code"):
        coupons.plan_end_of_code(world, code)
    for clock in world.store.oldest(test_clocks.KIND):
        world.plan_for(clock["deletes_after"], "test_clock", clock["id"])
    for kind, plan in _PLANS.items():
        for document in world.store.oldest(kind):
            with test_clocks.time_of(world, [document]):
                plan(world, document)


def _plan_subscription(world: World, subscription: Doc) -> None:
    if subscription["status"] not in subscriptions.LIVING:
        return
    if subscription["status"] == "incomplete":
        world.plan_for(subscription["created"] + 23 * 3600, "incomplete", subscription["id"])
    if subscription["cancel_at"] is not None:
        world.plan_for(subscription["cancel_at"], "cancel_at", subscription["id"])
    subscriptions.plan_period_end(world, subscription)


def _plan_invoice(world: World, invoice: Doc) -> None:
    if invoice["status"] == "draft" and invoice["automatically_finalizes_at"] is not None:
        world.plan_for(invoice["automatically_finalizes_at"], "finalize", invoice["id"])
    elif invoice["status"] == "open" and invoice["next_payment_attempt"] is not None:
        world.plan_for(invoice["next_payment_attempt"], "retry", invoice["id"])


def _plan_session(world: World, session: Doc) -> None:
    if session["status"] == "open":
        world.plan_for(session["expires_at"], "session", session["id"])


_PLANS: dict[str, Callable[[World, Doc], None]] = {
    "discount": discounts.plan_end,
    "subscription": _plan_subscription,
    "invoice": _plan_invoice,
    "checkout.session": _plan_session,
    "payment_intent": debits.plan_answer,
}
