"""The documented test accounts for SEPA Direct Debit (docs.stripe.com/payments/sepa-debit): what becomes of each debit."""

import hashlib

import msgspec

from tollhouse_sandbox.cards import Behaviour, Decline

CURRENCY = "eur"
"""SEPA Direct Debit collects nothing else."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A typed account, of which only what Stripe shows is ever kept."""

    iban: str
    behaviour: str

    @property
    def country(self) -> str:
        """Where the bank is."""
        return self.iban[:2]

    @property
    def last4(self) -> str:
        """The last four characters."""
        return self.iban[-4:]

    @property
    def bank_code(self) -> str | None:
        """The bank's own number, where the country's form says where it stands."""
        start, end = _BANK_CODES.get(self.country, (0, 0))
        return self.iban[start:end] or None

    @property
    def branch_code(self) -> str | None:
        """The branch's number; only France's form has one here."""
        return self.iban[9:14] if self.country == "FR" else None

    @property
    def fingerprint(self) -> str:
        """The same for the same account."""
        return hashlib.sha256(b"sandbox account " + self.iban.encode()).hexdigest()[:16]


class IbanProblem(Exception):
    """A typed account cannot be used: what Stripe says, and the error code of its API."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


_BANK_CODES = {"AT": (4, 9), "DE": (4, 12), "FR": (4, 9)}
_LENGTHS = {
    "AT": 20,
    "BE": 16,
    "DE": 22,
    "ES": 24,
    "FI": 18,
    "FR": 27,
    "IE": 22,
    "IT": 27,
    "LU": 20,
    "NL": 18,
    "PT": 25,
}

REFUSED = Decline(
    "payment_intent_payment_attempt_failed", "The payment attempt failed: the bank did not carry the debit out."
)
_FUNDS = Decline(
    "insufficient_funds", "The customer's account has insufficient funds to cover this payment.", "insufficient_funds"
)

BEHAVIOURS: dict[str, Behaviour] = {
    "debit_pays": Behaviour(settles="days"),
    "debit_pays_soon": Behaviour(settles="minutes"),
    "debit_fails": Behaviour(settles="days", late_decline=REFUSED),
    "debit_fails_soon": Behaviour(settles="minutes", late_decline=REFUSED),
    "debit_without_funds": Behaviour(settles="days", late_decline=_FUNDS),
    "debit_disputes": Behaviour(settles="days", dispute="debit_not_authorized"),
}

_IBANS = {
    "AT611904300234573201": "debit_pays",
    "AT321904300235473204": "debit_pays_soon",
    "AT861904300235473202": "debit_fails",
    "AT051904300235473205": "debit_fails_soon",
    "AT591904300235473203": "debit_disputes",
    "AT981904300002222227": "debit_without_funds",
    "DE89370400440532013000": "debit_pays",
    "DE08370400440532013003": "debit_pays_soon",
    "DE62370400440532013001": "debit_fails",
    "DE78370400440532013004": "debit_fails_soon",
    "DE35370400440532013002": "debit_disputes",
    "FR1420041010050500013M02606": "debit_pays",
    "FR3020041010050500013M02609": "debit_pays_soon",
    "FR8420041010050500013M02607": "debit_fails",
    "FR7920041010050500013M02600": "debit_fails_soon",
    "FR5720041010050500013M02608": "debit_disputes",
}


def is_valid(iban: str) -> bool:
    """The length of its country, and the check digits of ISO 13616: the number they make leaves 1 when divided by 97."""
    if len(iban) != _LENGTHS.get(iban[:2], len(iban)) or not 15 <= len(iban) <= 34:
        return False
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def typed_account(text: str) -> Account:
    """The account that was typed, or the problem in Stripe's words. Valid ones that are not documented pay."""
    iban = "".join(character for character in text if character not in " -\u00a0").upper()
    if len(iban) < 15:
        raise IbanProblem("Your IBAN is incomplete.", "incomplete_iban")
    if not (iban.isascii() and iban.isalnum() and iban[:2].isalpha()) or not is_valid(iban):
        raise IbanProblem("Your IBAN is invalid.", "invalid_iban")
    return Account(iban=iban, behaviour=_IBANS.get(iban, "debit_pays"))
