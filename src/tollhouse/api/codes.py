"""Every stable error code: its status over HTTP, what it means, what to do. /docs/errors and the reference are made of it.

`python -m tollhouse.api.codes > docs/reference/errors.md` writes the reference; tests hold it equal to this table, and
the table equal to the codes that the source raises.
"""

from collections.abc import Iterator

import msgspec


class Code(msgspec.Struct, frozen=True):
    """One code. `status` is what an HTTP caller gets; None where none ever does."""

    name: str
    status: int | None
    meaning: str
    fix: str


class Chapter(msgspec.Struct, frozen=True):
    """Codes that belong together, under their heading."""

    title: str
    about: str
    codes: tuple[Code, ...]


REFUSALS = Chapter(
    "Refusals",
    "Why an action is not allowed now. `POST /v1/admit` tells them with status 200 in `reason.code`; calls that do one"
    " thing or nothing tell them with the status below.",
    (
        Code("credits_exhausted", 403, "The action costs more credits than are left.", "Offer the plan in `upgrade`, or grant credits."),
        Code("quota_exhausted", 403, "The period's quota is used up.", "Wait until `resets_at`, or offer the plan in `upgrade`."),
        Code("rate_limited", 429, "More in this window than the plan allows.", "Wait `retry_after` seconds."),
        Code("concurrency_exhausted", 429, "Every slot is held.", "End a session, or wait until one lapses."),
        Code("count_exhausted", 403, "As many are owned as the plan allows.", "Remove one, or offer the plan in `upgrade`."),
        Code("plan_lacks_action", 403, "The plan does not name a meter that the action costs.", "Offer the plan in `upgrade`."),
        Code("subscription_past_due", 403, "The last payment failed.", "Ask the customer to pay in the portal."),
        Code("customer_blocked", 403, "Staff have blocked this customer.", "Ask support."),
        Code("refused", 403, "An action was refused, and no more is known.", "Look at the customer's book."),
    ),
)  # fmt: skip

CALLERS = Chapter(
    "Who calls",
    "The request was understood, but not from this caller.",
    (
        Code("not_authenticated", 401, "No valid secret key came with the request.", "Send `Authorization: Bearer th_sk_…`."),
        Code("not_signed_in", 401, "Nobody is signed in.", "Sign in, or send a secret key."),
        Code("bad_credentials", 401, "The e-mail address or the password is wrong.", "Try again, or ask for a new password."),
        Code("code_needed", 401, "The password is right, and a one-time code is needed beside it.", "Sign in on `/login`, and type the code there."),
        Code("wrong_code", 401, "The one-time code is wrong, or was used before.", "Wait for the next code of the app."),
        Code("code_expired", 401, "The password was typed more than ten minutes before the code.", "Sign in again."),
        Code("second_factor_required", 403, "Staff sign in with a one-time code here (`STAFF_TOTP`).", "Set it up on `/admin/security`."),
        Code("sign_in_to_verify", 401, "The link is for an account that exists already.", "Sign in with its password and use the link again."),
        Code("not_allowed", 403, "The caller may not do this.", "Call as somebody who may."),
        Code("not_your_customer", 403, "A user named another customer than its own.", "Name yourself, or call with a secret key."),
        Code("form_expired", 403, "The form token is missing, old, or of another visitor; or the request came from another site.", "Load the page again and send its token as `X-CSRF-Token`."),
        Code("address_unproven", 403, "The user's customer waits until the e-mail address is proven.", "Use the link of the e-mail."),
        Code("not_staff", 403, "The page is for staff.", "Ask somebody to run `tollhouse staff add`."),
        Code("too_many_attempts", 429, "Too many attempts, or too many wrong credentials, from this address.", "Wait `retry_after` seconds."),
        Code("too_many_payment_attempts", 429, "Too many payment pages were opened in a short time.", "Wait `retry_after` seconds."),
    ),
)  # fmt: skip

REQUESTS = Chapter(
    "What was asked",
    "The request has no meaning as it stands. Nothing was done; sent again it is answered the same.",
    (
        Code("invalid_request", 422, "A field is missing, unknown, or of the wrong type; 400 when the body is not JSON at all.", "Correct what `detail` names; /docs has every field."),
        Code("body_too_large", 413, "The body is larger than this address takes.", "Send less at once."),
        Code("unsupported_media_type", 415, "The body has a form that this address does not read.", "Send JSON."),
        Code("method_not_allowed", 405, "The address does not know this method.", "Use one that `Allow` names."),
        Code("not_found", 404, "There is nothing at this address.", "Compare the address with /docs."),
        Code("invalid_key", 422, "The idempotency key is malformed, or header and body differ.", "Send 1 to 200 printable characters, not beginning with `~`."),
        Code("key_required", 422, "This call needs an idempotency key.", "Send `key`, or the header Idempotency-Key."),
        Code("idempotency_key_reused", 422, "The key was used before with another request.", "Send a new key, or the first request again."),
        Code("invalid_amount", 422, "The amount is negative, too large, unclear, or has more decimals than the meter.", "Send 0 or more with at most the meter's decimals."),
        Code("amount_not_allowed", 422, "The catalogue does not let the caller price this action.", "Leave the amount out, or set `priced_by` of the action."),
        Code("invalid_metadata", 422, "The metadata is too long, too deep, or has numbers too large for JSON.", "Keep it within 2,048 characters and 32 levels."),
        Code("invalid_ttl", 422, "The time to live has no unit or is out of range.", "Send `ttl` such as `60s`, from 1s to 30d."),
        Code("invalid_by", 422, "`by` is not a duration with a unit.", "Send `by` such as `31d`."),
        Code("invalid_expires_at", 422, "`expires_at` is not a time, or is over already.", "Write it as 2027-01-31T00:00:00Z."),
        Code("invalid_cursor", 422, "`after` is not an entry of this customer.", "Send the `next` of the page before."),
        Code("invalid_email", 422, "This cannot be an e-mail address.", "Correct it."),
        Code("invalid_external_id", 422, "The `external_id` is empty, too long, not printable, or begins like an id of ours.", "Send 1 to 200 printable characters, not beginning with `cus_` or `usr_`."),
        Code("invalid_step", 422, "The test clock cannot move so.", "Move it forward, by 400 days at most."),
        Code("invalid_duration", 422, "The time is not written with a unit, or out of range.", "Write 1h, 30m or 2d."),
        Code("reason_missing", 422, "A reason is needed.", "Say in a few words why."),
        Code("user_required", 422, "A server did not say for whom it calls.", "Name the customer with `user_id`."),
        Code("weak_password", 422, "The password is too short, too long, or too easy to guess.", "Choose a longer one."),
        Code("link_expired", 422, "The link was used before, or has expired.", "Ask for a new one and use the newest e-mail."),
        Code("unknown_action", 422, "The catalogue has no such action.", "Name one of those in `fix`."),
        Code("unknown_meter", 422, "The catalogue has no such meter, or it is of another kind.", "Name one of those in `fix`."),
        Code("unknown_plan", 422, "The catalogue has no such plan.", "Name one of those in `fix`."),
        Code("unknown_pack", 422, "The catalogue has no such pack.", "Name one of those in `fix`."),
        Code("unknown_setup_intent", 422, "The setup intent is not this customer's.", "Send the one that POST /billing/setup-intent answered."),
        Code("card_declined", 422, "The bank declined the card; nothing was bought. `reason` is Stripe's.", "Ask for another card."),
        Code("invalid_quote", 422, "A quote's kind, value, duration or time is wrong.", "`fix` says what is allowed."),
        Code("unknown_interval", 422, "The plan has no price for this interval.", "Name one of those in `fix`."),
        Code("unknown_currency", 422, "There is no price in this currency.", "Name one of those in `allowed`."),
        Code("currency_fixed", 422, "A customer pays in one currency, fixed by its first purchase.", "Name the one in `allowed`, or leave `currency` out."),
        Code("plan_not_for_sale", 422, "The plan costs nothing, or is sold on request.", "Name a plan that has a price."),
        Code("no_quota_meter", 422, "The catalogue has no quota, so there is no usage of sessions.", "Ask `GET /v1/customers/{id}` for the meters."),
        Code("bad_signature", 400, "A webhook's signature is missing, wrong, or too old.", "Compare `STRIPE_WEBHOOK_SECRET` with the endpoint's; the log says which of the three."),
        Code("not_an_event", 422, "The body is signed and yet no event of Stripe's.", "Send only Stripe's events here."),
    ),
)  # fmt: skip

NAMES = Chapter(
    "What was named",
    "It does not exist, or not for this caller.",
    (
        Code("invoice_not_found", 404, "This customer has no such invoice.", "Open it from the list of invoices."),
        Code("no_invoice_pdf", 404, "The PDF of this invoice is not there: not yet, or it is not paid, or of nothing.", "Try again in some minutes."),
        Code("customer_not_found", 404, "No customer has this id, member or `external_id`.", "Create it first with `POST /v1/customers`."),
        Code("user_not_found", 404, "There is no such user.", "Use the id exactly as it was answered."),
        Code("admission_not_found", 404, "There is no such admission.", "Use the id that admit answered."),
        Code("lease_not_found", 404, "This admission holds no slot.", "Use the id of an admission that was answered with `lease`."),
        Code("hold_not_found", 404, "There is no such hold.", "Use the id that `POST /v1/holds` answered."),
        Code("entry_not_found", 404, "There is no such entry.", "Use the id exactly as it was answered."),
        Code("tool_not_found", 404, "The catalogue has no such tool.", "Name one of those in `fix`."),
        Code("session_not_found", 404, "There is no such session of a tool.", "Launch the tool."),
        Code("not_linked", 404, "The customer is unknown to Stripe: it has never opened Checkout.", "Nothing is to be done for it."),
        Code("reconciliation_not_found", 404, "No such reconciliation is kept.", "Open /admin/reconciliation."),
        Code("quote_not_found", 404, "There is no such quote.", "`tollhouse quotes list` names them."),
        Code("event_not_found", 404, "No such event is kept.", "`tollhouse stripe events` lists them."),
        Code("key_not_found", 404, "There is no such secret key.", "`tollhouse keys list` shows every id."),
        Code("not_in_stripe", 404, "Stripe does not know it.", "Check that key and id belong to the same account and mode."),
    ),
)  # fmt: skip

CLASHES = Chapter(
    "What is there already",
    "The request is understood, and clashes with the present state.",
    (
        Code("conflict", 409, "Somebody else changed the same thing at this moment.", "Look again, then try again."),
        Code("duplicate", 409, "It exists already.", "Use the one that is there."),
        Code("factor_in_force", 409, "A second factor is in force already.", "Turn it off first."),
        Code("factor_not_begun", 409, "No second factor waits for its first code.", "Begin again on `/admin/security`."),
        Code("email_taken", 409, "The e-mail address is another customer's.", "Send the `external_id` that it was created with."),
        Code("email_not_verified", 409, "Nobody has proven that the address is theirs.", "Let them verify it first."),
        Code("already_subscribed", 409, "The customer has a subscription.", "Send them to the portal at `url`."),
        Code("quote_open", 409, "A quote for this plan is open for the customer.", "Withdraw it first."),
        Code("quote_used", 409, "The quote has been used.", "Change the subscription in Stripe."),
        Code("quote_ended", 409, "The quote was withdrawn while the page was opened.", "Look at the price, then try again."),
        Code("setup_not_finished", 409, "The card of this setup intent is not kept yet.", "Let the browser confirm it first, then ask again."),
        Code("subscribing", 409, "The customer is being subscribed at this moment.", "Look again in a moment."),
        Code("payment_processing", 409, "The first payment of a subscription is under way.", "Wait for the bank's answer."),
        Code("checkout_open", 409, "Another Checkout page was opened at this moment.", "Go on with the page at `url`, or try again."),
        Code("stripe_paused", 409, "Stripe's events are parked: nothing that Stripe says is applied now.", "Run `tollhouse stripe resume`."),
        Code("not_paused", 409, "Stripe's events are not parked.", "Nothing is to be done."),
        Code("resuming", 409, "An earlier pause of Stripe's events is being resumed.", "Finish that first with `tollhouse stripe resume`."),
        Code("undoing", 409, "A roll-back of Stripe is being undone.", "Finish that first with `tollhouse stripe rollback --undo`."),
        Code("busy", 409, "A roll-back of Stripe is under way, or being undone, and the other was asked for.", "Wait until it has ended, then do it again."),
        Code("not_rolled_back", 409, "Stripe is not rolled back.", "Nothing is to be done."),
        Code("not_confirmed", 409, "The environment's name was not typed, or another one.", "Type it as it is written."),
        Code("reconciliation_running", 409, "Another process works on this reconciliation.", "Wait until it has ended."),
        Code("hold_open", 409, "The hold is still open.", "Settle or release it; refund what was settled."),
        Code("hold_ended", 409, "The hold has ended; `how` says how.", "Make a new hold."),
        Code("refund_exceeds", 409, "More than is left of what was taken.", "Refund at most `remaining`."),
        Code("too_many_lots", 409, "The customer has as many lots as one account can hold.", "Grant fewer, larger amounts."),
        Code("lease_lost", 410, "The slot has come back by itself and no other is free, or the session was ended.", "Stop the session, or admit it anew."),
        Code("stripe_idempotency", 409, "Stripe saw the same key with another request.", "Try again tomorrow, or report it."),
    ),
)  # fmt: skip

LATER = Chapter(
    "Try again",
    "Nothing was decided. The same request may be sent again, with the same key; `Retry-After` says when.",
    (
        Code("unavailable", 503, "The database, or another system, does not answer.", "Send the same request again in a moment."),
        Code("overloaded", 503, "Too many requests wait already.", "Send it again in a moment."),
        Code("clock_disagrees", 503, "The database's clock has jumped.", "Look at its time service."),
        Code("catalogue_behind", 503, "Another process knows a newer catalogue than this one.", "Send it again in a moment; restart this process if it stays."),
        Code("keys_unknown", 503, "Keys cannot be checked: the database has not answered for 30 s.", "Send it again once the database is back."),
        Code("stripe_unavailable", 503, "Stripe did not answer.", "Try again; if it stays, look at status.stripe.com."),
        Code("stripe_rate_limited", 503, "Stripe asks us to slow down.", "Try again in a moment."),
        Code("maintenance", 503, "New subscriptions and purchases are paused until `ends_at`; everything else works.", "Send the same request again then."),
        Code("still_applying", 503, "Events are parked, and some that were being applied before are still under way.", "Ask again in a moment."),
        Code("payments_not_configured", 503, "No payment can be taken here: `STRIPE_SECRET_KEY` is missing.", "Set it, or run `tollhouse demo`."),
        Code("price_not_in_stripe", 503, "Stripe has no price, or another one, for this plan.", "Run `tollhouse stripe setup`."),
        Code("stripe_key_refused", 503, "Stripe does not accept the secret key.", "Copy the key of the right mode again."),
        Code("stripe_key_revoked", 503, "Stripe says that the secret key has been revoked.", "Set the key that took its place."),
        Code("stripe_key_lacks_permission", 503, "The restricted key may not do what was asked.", "Give it the permission that Stripe names."),
        Code("stripe_answer_not_understood", 503, "Stripe answered in a shape that this version does not know.", "Pin the API version that the settings name."),
        Code("configuration_error", 503, "The installation is set up wrongly; `setting` names what.", "Do what `fix` says, then start again."),
        Code("internal_error", 500, "The mistake is ours; it was logged under the answer's X-Request-Id.", "Send it again with the same key; report it if it stays."),
        Code("invariant_broken", 500, "A rule of the books would have been broken; nothing was written.", "Report it with the answer's X-Request-Id."),
    ),
)  # fmt: skip

OPERATING = Chapter(
    "On the command line and in logs",
    "No HTTP caller gets these. Commands end with them, staff see them on parked events.",
    (
        Code("error", None, "An error without a code of its own.", "Read its text."),
        Code("invalid_move", None, "More than one of `--plan`, `--notify` and `--apply`, or a move that changes nothing.", "Give one, and a plan or version to move to."),
        Code("unknown_database", None, "There is no example of the older system's tables for this kind of database.", "Name one of those in the message."),
        Code("invalid_day", None, "The day of `--on` is no date.", "Write it as 2027-01-15."),
        Code("invalid_map", None, "`--map` names no two plans.", "Write `--map OLD=PLAN`."),
        Code("unknown_version", None, "The plan has no such version.", "Name one of those in the message."),
        Code("no_such_price", None, "The plan that a customer is moved to has no price in its currency and interval.", "Add one to the plan, or let this customer choose another plan."),
        Code("out_of_step", None, "A subscription is not at Stripe as our books have it.", "Reconcile the customer, then move it."),
        Code("parked", None, "An event could not be applied, and waits for staff.", "Do what its text says, then replay it."),
        Code("fence_lost", None, "Somebody else applied a look at this customer meanwhile.", "Nothing: it is looked at again."),
        Code("invoice_pdf_unavailable", None, "Stripe's PDF of an invoice could not be fetched.", "Run `tollhouse invoices fetch CUSTOMER` later."),
        Code("not_visible_yet", None, "Stripe does not list yet what the event tells of.", "Nothing: it is tried again."),
        Code("unknown_customer", None, "A Stripe customer bought a plan and is linked to nobody.", "Set `tollhouse_customer` in its metadata, then replay the event."),
        Code("linked_otherwise", None, "The customer has another Stripe customer already.", "Cancel what was bought with this one, or merge the two in Stripe."),
        Code("wrong_mode", None, "An event of test mode came to live keys, or the other way.", "Let only the right mode's endpoint send to this environment."),
        Code("unknown_status", None, "Events have no such status.", "Name one of those in the message."),
        Code("instance_unreachable", None, "The running instance does not answer.", "Start it with `tollhouse serve`, or name its address."),
        Code("sandbox_unreachable", None, "The sandbox does not answer.", "Start it with `tollhouse demo`."),
        Code("sandbox_refused", None, "The sandbox refused what was asked.", "Read its answer."),
        Code("sandbox_missing", None, "The sandbox is not installed.", "Install `tollhouse[demo]`."),
        Code("unknown_preset", None, "There is no such preset.", "Name one of those in the message."),
        Code("file_exists", None, "The file is there already.", "Move it away, or choose another place."),
        Code("wrong_account", None, "The key belongs to another Stripe account than the one that was set up.", "Set the key of the account that it names."),
        Code("not_writable", None, "The place cannot be written to.", "Choose another, or change its owner."),
        Code("port_busy", None, "Something else listens on the port.", "Stop it, or choose another with `PORT`."),
        Code("not_paid", None, "The test card's payment did not go through.", "Read what the payment page said."),
        Code("demo_running", None, "The demo runs already.", "Use that one, or stop it first."),
        Code("demo_damaged", None, "The demo's folder cannot be read.", "Remove it and start the demo again."),
        Code("demo_not_ready", None, "A process of the demo did not become ready.", "Read its log."),
        Code("demo_process_ended", None, "A process of the demo has ended.", "Read its log."),
        Code("demo_call_failed", None, "A call of the demo was answered with an error.", "Read the text, and serve.log."),
        Code("webhooks_missing", None, "A purchase's webhooks did not take effect in time.", "Read serve.log, and the sandbox's page /deliveries."),
        Code("key_missing", None, "`selftest` got no secret key.", "Give one with `--key`."),
        Code("no_answer", None, "The instance under test did not answer.", "Start it, or correct the address."),
        Code("not_healthy", None, "The instance under test says that it cannot serve.", "Look at its /health."),
        Code("validation_failed", None, "A validation test found something else than it should.", "Read which step, and what was expected."),
        Code("mail_not_configured", None, "No mail can be sent: `SMTP_URL` is missing.", "Set it."),
        Code("mail_login_refused", None, "The mail server refuses the login.", "Correct the name and password in `SMTP_URL`."),
        Code("mail_refused", None, "The mail server refuses this letter for good.", "Read its answer; correct the address."),
        Code("mail_unavailable", None, "The mail server does not answer.", "Nothing: it is tried again."),
        Code("mail_value_missing", None, "A letter lacks a value of its template.", "Report it."),
        Code("unknown_mail", None, "There is no such letter.", "Report it."),
    ),
)  # fmt: skip

HOOKS = Chapter(
    "Webhooks out",
    "What staff ask of endpoints, on pages and by `tollhouse hooks`, and cannot have so.",
    (
        Code("invalid_hook_url", 422, "The endpoint's address is none for webhooks: not https, private, or with a password in it.", "`fix` says what is allowed."),
        Code("invalid_hook", 422, "The description, the overlap or the span of time is out of range.", "`fix` says what is allowed."),
        Code("unknown_event", 422, "There is no such event.", "Name one of those in `fix`."),
        Code("invalid_time", None, "`--since` is no time and no duration.", "Write 2026-11-20T10:00:00Z, or 3d."),
        Code("hook_not_found", 404, "There is no such endpoint.", "List them with `tollhouse hooks list`."),
        Code("delivery_not_found", 404, "The event was not for this endpoint, or is older than 30 days.", "List them with `tollhouse hooks deliveries ENDPOINT`."),
        Code("hook_exists", 409, "Another endpoint has this address.", "Rotate or enable that one, or remove it first."),
        Code("too_many_hooks", 409, "There are 32 endpoints already.", "Remove one that is not needed."),
        Code("hook_disabled", 409, "The endpoint is disabled, so nothing is sent there.", "Enable it first."),
        Code("hook_rotated", 409, "The secret was changed since the form was shown.", "Load the page again to change it once more."),
        Code("hook_busy", None, "The worker is sending this test already.", "See what came of it with `tollhouse hooks deliveries`."),
        Code("removal_not_confirmed", None, "Removing cannot be undone, and was not confirmed.", "Add `--yes`, or disable the endpoint."),
        Code("hook_secret_unreadable", None, "The endpoint's secret was sealed with another SESSION_SECRET; a delivery's error says so.", "Set `SESSION_SECRET` as it was, or rotate the secret with `--overlap 0s`."),
    ),
)  # fmt: skip

CHAPTERS = (REFUSALS, CALLERS, REQUESTS, NAMES, CLASHES, LATER, HOOKS, OPERATING)
PREFIXES = {
    "stripe_": "Stripe's own codes come with `stripe_` before them, such as `stripe_card_declined` (422); `detail` is its text.",
    "http_": "`tollhouse selftest` calls an answer that is no problem of ours by its status, such as `http_502`.",
}
"""Codes of others, which no table of ours can list."""


def all_codes() -> Iterator[Code]:
    """Every code once."""
    for chapter in CHAPTERS:
        yield from chapter.codes


def reference() -> str:
    """docs/reference/errors.md."""
    lines = [
        "# Errors",
        "",
        "<!-- Made from src/tollhouse/api/codes.py by `python -m tollhouse.api.codes`; tests hold both equal. -->",
        "",
        "Every error is `application/problem+json` with `type`, `title`, `status`, `detail` and a stable `code`, and with what"
        " helps: `fix`, `setting`, `meter`, `needed`, `remaining`, `resets_at`, `retry_after`, `upgrade`, `url`. `type` leads to the"
        " code's line on `/docs/errors` of the running instance. Match on `code`, never on `detail`.",
        "",
        " ".join(PREFIXES.values()),
    ]
    for chapter in CHAPTERS:
        lines += [
            "",
            f"## {chapter.title}",
            "",
            chapter.about,
            "",
            "| code | status | means | fix |",
            "|---|---|---|---|",
        ]
        lines += [f"| `{code.name}` | {code.status or ''} | {code.meaning} | {code.fix} |" for code in chapter.codes]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
