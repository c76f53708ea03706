"""Every path of Stripe's API that the sandbox answers, and who answers it."""

from collections.abc import Callable

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.stripe_api.call import Call
from tollhouse_sandbox.stripe_api.resources import (
    account,
    charges,
    checkout_sessions,
    coupons,
    customers,
    disputes,
    events,
    invoice_payments,
    invoice_previews,
    invoiceitems,
    invoices,
    payment_intents,
    payment_methods,
    payment_pages,
    portal_configurations,
    portal_sessions,
    prices,
    products,
    promotion_codes,
    refunds,
    setup_intents,
    subscription_items,
    subscription_schedules,
    subscriptions,
    tax_ids,
    test_clocks,
    webhook_endpoints,
)

Handler = Callable[[Call], Doc]

ROUTES: dict[tuple[str, str], Handler] = {
    ("GET", "/v1/account"): account.retrieve,
    ("POST", "/v1/customers"): customers.create,
    ("GET", "/v1/customers"): customers.list_,
    ("GET", "/v1/customers/search"): customers.search,
    ("GET", "/v1/customers/:id"): customers.retrieve,
    ("POST", "/v1/customers/:id"): customers.update,
    ("DELETE", "/v1/customers/:id"): customers.delete,
    ("GET", "/v1/customers/:id/payment_methods"): payment_methods.list_of_customer,
    ("POST", "/v1/customers/:id/tax_ids"): tax_ids.create,
    ("GET", "/v1/customers/:id/tax_ids"): tax_ids.list_,
    ("GET", "/v1/customers/:id/tax_ids/:id"): tax_ids.retrieve,
    ("DELETE", "/v1/customers/:id/tax_ids/:id"): tax_ids.delete,
    ("GET", "/v1/tax_ids/:id"): tax_ids.retrieve,
    ("DELETE", "/v1/tax_ids/:id"): tax_ids.delete,
    ("POST", "/v1/products"): products.create,
    ("GET", "/v1/products"): products.list_,
    ("GET", "/v1/products/:id"): products.retrieve,
    ("POST", "/v1/products/:id"): products.update,
    ("DELETE", "/v1/products/:id"): products.delete,
    ("POST", "/v1/prices"): prices.create,
    ("GET", "/v1/prices"): prices.list_,
    ("GET", "/v1/prices/:id"): prices.retrieve,
    ("POST", "/v1/prices/:id"): prices.update,
    ("POST", "/v1/coupons"): coupons.create,
    ("GET", "/v1/coupons"): coupons.list_,
    ("GET", "/v1/coupons/:id"): coupons.retrieve,
    ("POST", "/v1/coupons/:id"): coupons.update,
    ("DELETE", "/v1/coupons/:id"): coupons.delete,
    ("POST", "/v1/promotion_codes"): promotion_codes.create,
    ("GET", "/v1/promotion_codes"): promotion_codes.list_,
    ("GET", "/v1/promotion_codes/:id"): promotion_codes.retrieve,
    ("POST", "/v1/promotion_codes/:id"): promotion_codes.update,
    ("POST", "/v1/checkout/sessions"): checkout_sessions.create,
    ("GET", "/v1/checkout/sessions"): checkout_sessions.list_,
    ("GET", "/v1/checkout/sessions/:id"): checkout_sessions.retrieve,
    ("POST", "/v1/checkout/sessions/:id"): checkout_sessions.update,
    ("POST", "/v1/checkout/sessions/:id/expire"): checkout_sessions.expire,
    ("GET", "/v1/checkout/sessions/:id/line_items"): checkout_sessions.line_items,
    ("POST", "/v1/subscriptions"): subscriptions.create,
    ("GET", "/v1/subscriptions"): subscriptions.list_,
    ("GET", "/v1/subscriptions/:id"): subscriptions.retrieve,
    ("POST", "/v1/subscriptions/:id"): subscriptions.update,
    ("DELETE", "/v1/subscriptions/:id"): subscriptions.cancel,
    ("DELETE", "/v1/subscriptions/:id/discount"): subscriptions.delete_discount,
    ("GET", "/v1/subscription_items"): subscription_items.list_,
    ("GET", "/v1/subscription_items/:id"): subscription_items.retrieve,
    ("POST", "/v1/invoiceitems"): invoiceitems.create,
    ("GET", "/v1/invoiceitems"): invoiceitems.list_,
    ("GET", "/v1/invoiceitems/:id"): invoiceitems.retrieve,
    ("POST", "/v1/invoiceitems/:id"): invoiceitems.update,
    ("DELETE", "/v1/invoiceitems/:id"): invoiceitems.delete,
    ("POST", "/v1/invoices"): invoices.create,
    ("POST", "/v1/invoices/create_preview"): invoice_previews.create,
    ("GET", "/v1/subscription_schedules"): subscription_schedules.list_,
    ("GET", "/v1/subscription_schedules/:id"): subscription_schedules.retrieve,
    ("POST", "/v1/subscription_schedules/:id/release"): subscription_schedules.release,
    ("GET", "/v1/invoices"): invoices.list_,
    ("GET", "/v1/invoices/:id"): invoices.retrieve,
    ("POST", "/v1/invoices/:id"): invoices.update,
    ("DELETE", "/v1/invoices/:id"): invoices.delete,
    ("GET", "/v1/invoices/:id/lines"): invoices.lines,
    ("POST", "/v1/invoices/:id/finalize"): invoices.finalize,
    ("POST", "/v1/invoices/:id/pay"): invoices.pay,
    ("POST", "/v1/invoices/:id/send"): invoices.send,
    ("POST", "/v1/invoices/:id/void"): invoices.void,
    ("POST", "/v1/invoices/:id/mark_uncollectible"): invoices.mark_uncollectible,
    ("GET", "/v1/invoice_payments"): invoice_payments.list_,
    ("GET", "/v1/invoice_payments/:id"): invoice_payments.retrieve,
    ("POST", "/v1/payment_intents"): payment_intents.create,
    ("GET", "/v1/payment_intents"): payment_intents.list_,
    ("GET", "/v1/payment_intents/:id"): payment_intents.retrieve,
    ("POST", "/v1/payment_intents/:id"): payment_intents.update,
    ("POST", "/v1/payment_intents/:id/confirm"): payment_intents.confirm,
    ("POST", "/v1/payment_intents/:id/cancel"): payment_intents.cancel,
    ("POST", "/v1/payment_methods"): payment_methods.create,
    ("GET", "/v1/payment_methods"): payment_methods.list_,
    ("GET", "/v1/payment_methods/:id"): payment_methods.retrieve,
    ("POST", "/v1/payment_methods/:id"): payment_methods.update,
    ("POST", "/v1/payment_methods/:id/attach"): payment_methods.attach,
    ("POST", "/v1/payment_methods/:id/detach"): payment_methods.detach,
    ("GET", "/v1/payment_pages/:id"): payment_pages.retrieve,
    ("POST", "/v1/payment_pages/:id/confirm"): payment_pages.confirm,
    ("POST", "/v1/setup_intents"): setup_intents.create,
    ("GET", "/v1/setup_intents"): setup_intents.list_,
    ("GET", "/v1/setup_intents/:id"): setup_intents.retrieve,
    ("POST", "/v1/setup_intents/:id/confirm"): setup_intents.confirm,
    ("POST", "/v1/setup_intents/:id/cancel"): setup_intents.cancel,
    ("GET", "/v1/charges"): charges.list_,
    ("GET", "/v1/charges/:id"): charges.retrieve,
    ("POST", "/v1/refunds"): refunds.create,
    ("GET", "/v1/refunds"): refunds.list_,
    ("GET", "/v1/refunds/:id"): refunds.retrieve,
    ("POST", "/v1/refunds/:id"): refunds.update,
    ("GET", "/v1/disputes"): disputes.list_,
    ("GET", "/v1/disputes/:id"): disputes.retrieve,
    ("POST", "/v1/disputes/:id"): disputes.update,
    ("POST", "/v1/disputes/:id/close"): disputes.close,
    ("POST", "/v1/test_helpers/test_clocks"): test_clocks.create,
    ("GET", "/v1/test_helpers/test_clocks"): test_clocks.list_,
    ("GET", "/v1/test_helpers/test_clocks/:id"): test_clocks.retrieve,
    ("DELETE", "/v1/test_helpers/test_clocks/:id"): test_clocks.delete,
    ("POST", "/v1/test_helpers/test_clocks/:id/advance"): test_clocks.advance,
    ("POST", "/v1/webhook_endpoints"): webhook_endpoints.create,
    ("GET", "/v1/webhook_endpoints"): webhook_endpoints.list_,
    ("GET", "/v1/webhook_endpoints/:id"): webhook_endpoints.retrieve,
    ("POST", "/v1/webhook_endpoints/:id"): webhook_endpoints.update,
    ("DELETE", "/v1/webhook_endpoints/:id"): webhook_endpoints.delete,
    ("GET", "/v1/events"): events.list_,
    ("GET", "/v1/events/:id"): events.retrieve,
    ("POST", "/v1/billing_portal/configurations"): portal_configurations.create,
    ("GET", "/v1/billing_portal/configurations"): portal_configurations.list_,
    ("GET", "/v1/billing_portal/configurations/:id"): portal_configurations.retrieve,
    ("POST", "/v1/billing_portal/configurations/:id"): portal_configurations.update,
    ("POST", "/v1/billing_portal/sessions"): portal_sessions.create,
}

_EXACT = {route: handler for route, handler in ROUTES.items() if ":" not in route[1]}
_WITH_ID = {
    (method, tuple(pattern.split("/")[1:])): handler for (method, pattern), handler in ROUTES.items() if ":" in pattern
}


def find(method: str, path: str) -> tuple[Handler, tuple[str, ...]] | None:
    """Who answers the path, and the ids in it."""
    handler = _EXACT.get((method, path))
    if handler:
        return handler, ()
    steps = path.split("/")[1:]
    for place in (2, 3):
        if len(steps) > place and steps[place]:
            pattern = tuple(":id" if here == place else step for here, step in enumerate(steps))
            handler = _WITH_ID.get((method, pattern))
            if handler:
                return handler, (steps[place],)
    if len(steps) == 5 and steps[2] and steps[4]:
        handler = _WITH_ID.get((method, (*steps[:2], ":id", steps[3], ":id")))
        if handler:
            return handler, (steps[2], steps[4])
    return None
