"""The fields of a card or an account on a page: read, and the errors beside them."""

from tollhouse_sandbox.banks import Account, IbanProblem, typed_account
from tollhouse_sandbox.cards import Card, CardProblem, Decline, typed_card

EMPTY = {"number": "", "expiry": "", "name": "", "iban": "", "holder": "", "method": "card"}
_FIELD_OF_DECLINE = {"incorrect_cvc": "card-cvc", "expired_card": "card-expiry"}


def read(form: dict[str, str], now: int) -> tuple[dict[str, str], Card | None, dict[str, str]]:
    """What was typed (to be shown again), the card unless it cannot be used, and an error for each bad field."""
    typed = {name: form.get(name, "").strip() for name in EMPTY} | {"method": "card"}
    errors = {} if typed["name"] else {"cardholder-name": "Enter the name on the card."}
    try:
        card = typed_card(typed["number"], typed["expiry"], form.get("cvc", ""), now)
    except CardProblem as problem:
        return typed, None, errors | {problem.field: problem.message}
    return typed, None if errors else card, errors


def read_account(form: dict[str, str]) -> tuple[dict[str, str], Account | None, dict[str, str]]:
    """As `read`, of an account to debit."""
    typed = {name: form.get(name, "").strip() for name in EMPTY} | {"method": "sepa_debit"}
    errors = {} if typed["holder"] else {"account-holder": "Enter the name of the account holder."}
    try:
        account = typed_account(typed["iban"])
    except IbanProblem as problem:
        return typed, None, errors | {"iban": problem.message}
    return typed, None if errors else account, errors


def errors_of(decline: Decline) -> dict[str, str]:
    """The issuer's answer, beside the field that it is about."""
    return {_FIELD_OF_DECLINE.get(decline.code, "card-number"): decline.message}
