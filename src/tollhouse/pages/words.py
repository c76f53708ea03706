"""Our errors in the reader's words and language, for forms and error pages."""

from tollhouse.kernel.errors import NotAllowed, NotAuthenticated, NotFound, TollhouseError, TooManyAttempts, Unavailable
from tollhouse.pages.formats import duration
from tollhouse.pages.texts import N_, Texts

_BY_CODE = {
    "email_taken": N_("Somebody has signed up with this address already. Sign in, or ask for a new password."),
    "invalid_email": N_("This is no e-mail address. Write it as name@example.com."),
    "weak_password": N_("Use 10 to 200 characters that are not your e-mail address. A few words together work best."),
    "bad_credentials": N_("The e-mail address or the password is wrong."),
    "wrong_code": N_("This code is wrong, or was used before. Wait for the next one of your app."),
    "factor_not_begun": N_("Nothing waits to be confirmed. Begin again."),
    "factor_in_force": N_("It is on already."),
    "link_expired": N_("This link was used before, or is too old. Ask for a new one and open the newest e-mail."),
    "sign_in_to_verify": N_("Sign in with the password you chose, then open the link of the e-mail again."),
    "form_expired": N_("The page was open for a long time. Load it again and send the form once more."),
    "count_exhausted": N_("Your plan allows no more of them."),
    "already_subscribed": N_("You have a subscription already. Change it in the customer portal."),
    "plan_not_sold": N_("This plan cannot be bought here."),
    "unknown_plan": N_("There is no such plan."),
    "unknown_pack": N_("There is no such pack."),
    "subscription_past_due": N_("Your last payment did not go through. Pay the open invoice to go on."),
    "customer_blocked": N_("This account is blocked. Write to support."),
    "rate_limited": N_("That was too fast. Wait a moment and try again."),
    "concurrency_exhausted": N_("As many sessions are open as your plan allows. End one of them first."),
    "plan_lacks_action": N_("Your plan does not include this."),
}


def error_words(error: TollhouseError, texts: Texts) -> str:
    """What happened and what to do, without our jargon."""
    known = _BY_CODE.get(error.code)
    if known:
        return texts(known)
    if isinstance(error, TooManyAttempts):
        seconds = error.fields.get("retry_after")
        wait = duration((seconds if isinstance(seconds, int) else 60) * 1000, texts.locale)
        return texts(N_("Too many attempts. Try again in %(wait)s."), wait=wait)
    if isinstance(error, NotFound):
        return texts(N_("It is not there, or no longer."))
    if isinstance(error, NotAuthenticated):
        return texts(N_("Sign in to go on."))
    if isinstance(error, NotAllowed):
        return texts(N_("You may not do this."))
    if isinstance(error, Unavailable):
        return texts(N_("We cannot do this right now. Nothing has happened; try again in a moment."))
    return texts(N_("Something in the form is not right. Check what you typed."))
