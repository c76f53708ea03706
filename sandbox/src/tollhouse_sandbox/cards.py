"""The documented test cards (docs.stripe.com/testing): what each one does, and how a typed card is checked."""

import calendar
import hashlib
import time
from typing import Literal

import msgspec


class Decline(msgspec.Struct, frozen=True):
    """Why an issuer says no, and the sentence that a customer reads."""

    code: str
    message: str
    decline_code: str | None = None


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when a card is attached to a customer, charged, or charged without its owner present."""

    decline: Decline | None = None
    attach_decline: Decline | None = None
    off_session_decline: Decline | None = None
    authentication: str = "never"
    """`never`, `until_set_up` (the first use with its owner present), `always`."""
    dispute: str | None = None
    """Why its owner disputes every payment made with it."""
    settles: Literal["at_once", "minutes", "days"] = "at_once"
    """When the bank says what became of a payment: of a debit only later."""
    late_decline: Decline | None = None
    """What it says then, when it has not paid."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A typed card, of which only what Stripe shows is ever kept."""

    number: str
    exp_month: int
    exp_year: int
    brand: str
    funding: str
    country: str
    behaviour: str

    @property
    def last4(self) -> str:
        """The last four digits."""
        return self.number[-4:]

    @property
    def fingerprint(self) -> str:
        """The same for the same number."""
        return hashlib.sha256(b"sandbox card " + self.number.encode()).hexdigest()[:16]


class CardProblem(Exception):
    """A typed card cannot be used: which field, what Stripe says, and the error code of its API."""

    def __init__(self, field: str, message: str, code: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message
        self.code = code


_DECLINED = "Your card was declined."
GENERIC = Decline("card_declined", _DECLINED, "generic_decline")
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
    "authentication_required",
)
_UNABLE = "We are unable to authenticate your payment method. Please choose a different payment method and try again."
NOT_AUTHENTICATED = Decline("payment_intent_authentication_failure", _UNABLE)
NOT_AUTHENTICATED_SETUP = Decline("setup_intent_authentication_failure", _UNABLE)
_FUNDS = Decline("card_declined", "Your card has insufficient funds.", "insufficient_funds")


def _declining(decline: Decline) -> Behaviour:
    return Behaviour(decline=decline, attach_decline=decline, off_session_decline=decline)


BEHAVIOURS: dict[str, Behaviour] = {
    "pays": Behaviour(),
    "declines": _declining(GENERIC),
    "insufficient_funds": _declining(_FUNDS),
    "lost_card": _declining(Decline("card_declined", _DECLINED, "lost_card")),
    "stolen_card": _declining(Decline("card_declined", _DECLINED, "stolen_card")),
    "expired_card": _declining(Decline("expired_card", "Your card has expired.")),
    "incorrect_cvc": _declining(Decline("incorrect_cvc", "Your card's security code is incorrect.")),
    "processing_error": _declining(
        Decline("processing_error", "An error occurred while processing your card. Try again in a little bit.")
    ),
    # Paid by its owner on the Checkout page, declined at every later charge without the owner.
    "fails_later": Behaviour(off_session_decline=GENERIC),
    "disputes": Behaviour(dispute="fraudulent"),
    "disputes_delivery": Behaviour(dispute="product_not_received"),
    "authentication_until_set_up": Behaviour(authentication="until_set_up"),
    "authentication_always": Behaviour(authentication="always"),
    "authentication_then_funds": Behaviour(decline=_FUNDS, off_session_decline=_FUNDS, authentication="always"),
}

_NUMBERS: dict[str, tuple[str, str, str, str]] = {
    "4242424242424242": ("visa", "credit", "US", "pays"),
    "4000056655665556": ("visa", "debit", "US", "pays"),
    "5555555555554444": ("mastercard", "credit", "US", "pays"),
    "5200828282828210": ("mastercard", "debit", "US", "pays"),
    "378282246310005": ("amex", "credit", "US", "pays"),
    "6011111111111117": ("discover", "credit", "US", "pays"),
    "4000002500000003": ("visa", "credit", "FR", "pays"),
    "4000000000000002": ("visa", "credit", "US", "declines"),
    "4000000000009995": ("visa", "credit", "US", "insufficient_funds"),
    "4000000000009987": ("visa", "credit", "US", "lost_card"),
    "4000000000009979": ("visa", "credit", "US", "stolen_card"),
    "4000000000000069": ("visa", "credit", "US", "expired_card"),
    "4000000000000127": ("visa", "credit", "US", "incorrect_cvc"),
    "4000000000000119": ("visa", "credit", "US", "processing_error"),
    "4000000000000341": ("visa", "credit", "US", "fails_later"),
    "4000000000000259": ("visa", "credit", "US", "disputes"),
    "4000000000002685": ("visa", "credit", "US", "disputes_delivery"),
    "4000002500003155": ("visa", "credit", "FR", "authentication_until_set_up"),
    "4000000000003220": ("visa", "credit", "US", "authentication_always"),
    "4000002760003184": ("visa", "credit", "DE", "authentication_always"),
    "4000008260003178": ("visa", "credit", "GB", "authentication_then_funds"),
}

TOKENS: dict[str, str] = {
    "visa": "4242424242424242",
    "visa_debit": "4000056655665556",
    "mastercard": "5555555555554444",
    "mastercard_debit": "5200828282828210",
    "amex": "378282246310005",
    "discover": "6011111111111117",
    "fr": "4000002500000003",
    "chargeDeclined": "4000000000000002",
    "visa_chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "visa_chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeDeclinedExpiredCard": "4000000000000069",
    "chargeDeclinedIncorrectCvc": "4000000000000127",
    "chargeDeclinedProcessingError": "4000000000000119",
    "chargeCustomerFail": "4000000000000341",
    "createDispute": "4000000000000259",
    "createDisputeProductNotReceived": "4000000000002685",
    "authenticationRequiredOnSetup": "4000002500003155",
    "authenticationRequired": "4000002760003184",
    "threeDSecure2Required": "4000000000003220",
}


def passes_luhn(number: str) -> bool:
    """The check digit of a card number (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _brand(number: str) -> str:
    if number[0] == "4":
        return "visa"
    if number[:2] in ("34", "37"):
        return "amex"
    return "mastercard" if number[0] in "25" else "discover" if number[0] == "6" else "unknown"


def card_of(number: str, exp_month: int, exp_year: int) -> Card:
    """The card behind a valid number. Numbers that are no test cards are declined, as in Stripe's test mode."""
    brand, funding, country, behaviour = _NUMBERS.get(number, (_brand(number), "credit", "US", "declines"))
    return Card(
        number=number,
        exp_month=exp_month,
        exp_year=exp_year,
        brand=brand,
        funding=funding,
        country=country,
        behaviour=behaviour,
    )


def token_card(name: str, now: int) -> Card | None:
    """The card behind a test token such as `pm_card_visa` or `tok_visa`; None when there is no such token."""
    number = TOKENS.get(name.removeprefix("pm_card_").removeprefix("tok_"))
    return card_of(number, 12, time.gmtime(now).tm_year + 1) if number else None


def typed_card(number: str, expiry: str, cvc: str, now: int) -> Card:
    """The card typed on a page, or the first problem in Stripe's words."""
    digits = "".join(character for character in number if character not in " -\u00a0")
    if not digits:
        raise CardProblem("card-number", "Your card number is incomplete.", "incomplete_number")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19:
        raise CardProblem("card-number", "Your card number is invalid.", "invalid_number")
    if len(digits) < (15 if _brand(digits) == "amex" else 16):
        raise CardProblem("card-number", "Your card number is incomplete.", "incomplete_number")
    if not passes_luhn(digits):
        raise CardProblem("card-number", "Your card number is invalid.", "invalid_number")
    month, year = typed_expiry(expiry, now)
    code = cvc.strip()
    if not (code.isascii() and code.isdigit()) or len(code) != (4 if _brand(digits) == "amex" else 3):
        raise CardProblem("card-cvc", "Your card's security code is incomplete.", "incomplete_cvc")
    return card_of(digits, month, year)


def typed_expiry(text: str, now: int) -> tuple[int, int]:
    """Month and year of `MM / YY` or `MM / YYYY`, not in the past."""
    compact = "".join(character for character in text if character not in " \u00a0")
    month_text, slash, year_text = compact.partition("/")
    if not slash and len(compact) in (4, 6):
        month_text, year_text = compact[:2], compact[2:]
    if not (month_text + year_text).isdigit() or len(year_text) not in (2, 4):
        raise CardProblem("card-expiry", "Your card's expiration date is incomplete.", "incomplete_expiry")
    month, year = int(month_text), int(year_text) + (2000 if len(year_text) == 2 else 0)
    if not 1 <= month <= 12:
        raise CardProblem("card-expiry", "Your card's expiration date is invalid.", "invalid_expiry_month")
    today = time.gmtime(now)
    if year < today.tm_year:
        raise CardProblem("card-expiry", "Your card's expiration year is in the past.", "invalid_expiry_year")
    if calendar.timegm((year + month // 12, month % 12 + 1, 1, 0, 0, 0, 0, 1, 0)) <= now:
        raise CardProblem("card-expiry", "Your card's expiration date is in the past.", "invalid_expiry_month")
    if year > today.tm_year + 50:
        raise CardProblem("card-expiry", "Your card's expiration year is invalid.", "invalid_expiry_year")
    return month, year
