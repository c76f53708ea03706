"""No secret is written down: not by its key's name, not by its form, however deep it stands."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import structlog

from tollhouse.kernel.masking import MASK, mask, mask_text
from tollhouse.serving import Masked, configure_logging

# Split, so that no scanner of secrets takes this file for a leak.
SECRETS = (
    "sk_live" + "_51AbCdEfGhIjKl", "rk_test" + "_51AbCdEfGhIjKl", "whsec" + "_AbCdEfGhIjKlMnOp", "th_sk" + "_AbCdEfGh01234567",
    "pi_3Abc" + "_secret_Xyz123Abc", "seti_1Abc" + "_secret_Xyz123Abc", "pm_1Abc" + "DefGhiJkl", "4242 4242 4242 4242",
    "4242424242424242", "eyJhbGciOiJI" + "UzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
)  # fmt: skip
SPELLINGS = ("client_secret", "clientSecret", "CLIENT-SECRET", "Client Secret", "x_api_key", "password", "Set-Cookie",
             "stripe-signature", "payment_method", "paymentMethod", "cvc", "number", "access_token", "Authorization")  # fmt: skip
PLAIN = "an unremarkable value"


def nested(value: object, times: int = 6) -> Any:
    for number in range(times):
        value = {"data": [value, ("x", {"object": value})]} if number % 2 else {"inner": value}
    return value


@pytest.mark.row("U14")
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_known_by_its_form_wherever_it_stands(secret: str) -> None:
    for shown in (
        mask_text(f"Stripe said no to {secret}, try again"), json.dumps(mask(nested(secret))), str(mask({secret: 1})),
        str(mask(ValueError(f"bad {secret}"))), str(mask([secret.encode()])),
    ):  # fmt: skip
        assert secret not in shown
        assert MASK in shown


@pytest.mark.row("U14")
@pytest.mark.parametrize("name", SPELLINGS)
def test_a_secret_is_known_by_its_key_however_it_is_spelt(name: str) -> None:
    shown = json.dumps(mask(nested({name: PLAIN, "other": {name: {"deep": PLAIN}}})))
    assert PLAIN not in shown


def test_what_is_no_secret_stays() -> None:
    kept = {
        "id": "in_1AbcDefGhi", "customer": "cus_AbcDefGhi", "created": 1795843099753, "amount": 4200, "paid": True,
        "type": "invoice.paid", "text": "2 of 3 customers compared at 2026-11-28T05:00:00Z", "secret": None,
    }  # fmt: skip
    assert mask(kept) == kept


@pytest.mark.row("U14")
@pytest.mark.parametrize("secret", SECRETS)
def test_no_log_line_holds_it(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    class Quiet:
        environment = "test"
        log_level = "debug"

    configure_logging(Quiet())  # type: ignore[arg-type]
    try:
        log = structlog.get_logger("test")
        log.info("plain", said=f"it was {secret}")
        log.error(f"in the event {secret}", key=secret, deep=nested({"client_secret": PLAIN, "note": secret}))
        try:
            raise RuntimeError(f"could not use {secret}")
        except RuntimeError as error:
            log.exception("raised", error=error)
        said = capsys.readouterr().err
    finally:
        structlog.reset_defaults()
    assert len(said.splitlines()) == 3
    assert secret not in said
    assert PLAIN not in said


@pytest.mark.row("U14")
def test_what_libraries_log_is_masked_with_its_traceback() -> None:
    secret = SECRETS[0]
    try:
        raise RuntimeError(f"could not use {secret}")
    except RuntimeError as error:
        exc_info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("uvicorn.error", logging.ERROR, __file__, 1, "failed with %s", (secret,), exc_info)
    assert Masked().filter(record)
    assert secret not in logging.Formatter().format(record)
