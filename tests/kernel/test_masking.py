"""No secret is written down: not by its key's name, not by its form, however deep it stands."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tree import files, name
from tollhouse.kernel.masking import MASK, mask, mask_text
from tollhouse.settings.logs import configure_logging, log_to_stderr
from tollhouse.settings.secret import Secret

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
@pytest.mark.parametrize("key", SPELLINGS)
def test_a_secret_is_known_by_its_key_however_it_is_spelt(key: str) -> None:
    shown = json.dumps(mask(nested({key: PLAIN, "other": {key: {"deep": PLAIN}}})))
    assert PLAIN not in shown


FRAGMENTS = (
    *SECRETS, *SPELLINGS, PLAIN, "Api", "KEY", "=", ": ", '"', "'", "\\", " ", ", ", "?", "&", "token=", "Bearer ", "://", "me:pass@host",
    "v1=" + "0123456789abcdef", "basic ", "Secret(", ")", "_", "-", ".", "sk_", "ey", "passwd", "CSRF", "cookie", "4242",
)  # fmt: skip


@pytest.mark.row("U14")
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
def test_looking_only_where_it_can_be_finds_all(text: str) -> None:
    """A letter beyond ASCII makes it look everywhere; it stands where nothing can reach it."""
    assert mask_text(text + "&é") == mask_text(text) + "&é"


@pytest.mark.row("U14")
@pytest.mark.parametrize(
    "text",
    [
        "to\u212aen=sword", "pa\u017fsword=sword", "\u017fecret=sword", "ap\u0131_key=sword", "author\u0131zation: sword",
        "coo\u212aie=sword", "c\u017frf=sword", "?to\u212aen=sword", "é password=sword",
    ],
)  # fmt: skip
def test_letters_that_count_as_others_hide_nothing(text: str) -> None:
    assert "sword" not in mask_text(text).removeprefix(text.split("=")[0])


@pytest.mark.row("U14")
@pytest.mark.parametrize(
    "text",
    [
        *(f"{kind}_{mode}_AbCd1234" for kind in ("sk", "rk", "pk") for mode in ("live", "test")), "whsec_AbCd1234",
        "th_sk_AbCd1234", "th_pk_AbCd1234", *(f"{kind}_1_secret_AbCd" for kind in ("pi", "seti", "cs", "ek", "src", "sub")),
        *(f"{kind}_1AbCdEfGh" for kind in ("pm", "card", "tok", "src", "ba", "ek")), "eyAbCdEfGh.AbCdEfGh.AbCd",
        "bearer AbCdEfGh", "BEARER AbCdEfGh", "sftp://me:hidden@host", "/x?token=hidden", "/x?a=1&TOKEN=hidden",
        "v0=0123456789abcdef", "v1=0123456789abcdef",
        *(f"{name}=hidden" for name in (
            "secret", "PASSWORD", "passwd", "Token", "apikey", "api-key", "API_KEY", "authorization", "Cookie", "csrf", "cvc", "CVV")),
    ],
)  # fmt: skip
def test_each_form_is_looked_for(text: str) -> None:
    assert MASK in mask_text(f"it said {text} here")


def test_what_is_no_secret_stays() -> None:
    kept = {
        "id": "in_1AbcDefGhi", "customer": "cus_AbcDefGhi", "created": 1795843099753, "amount": 4200, "paid": True,
        "type": "invoice.paid", "text": "2 of 3 customers compared at 2026-11-28T05:00:00Z", "secret": None,
    }  # fmt: skip
    assert mask(kept) == kept


class Quiet(msgspec.Struct, frozen=True):
    """Settings as far as the log reads them."""

    stripe_key: Secret = Secret.of("correct horse battery staple")
    database_url: Secret = Secret.of("postgresql://ada:hunter2hunter2@db.example.com/tollhouse")
    environment: str = "test"
    log_level: str = "debug"


OWN = ("correct horse battery staple", "hunter2hunter2")  # of no form, known by their value


@contextmanager
def logged(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What the log has said since it was asked last, each line a JSON object of its own."""
    configure_logging(Quiet())  # type: ignore[arg-type]
    before = list(logging.getLogger().handlers)

    def said() -> str:
        text = capsys.readouterr().err
        assert all(isinstance(json.loads(line), dict) for line in text.splitlines())
        return text

    try:
        yield said
    finally:
        structlog.reset_defaults()
        logging.getLogger().handlers = [held for held in before if type(held).__name__ != "_Stderr"]


def log_calls() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(level, event, names) of every line that the server's code may log."""
    for path in files(".py"):
        if not name(path).startswith("src/tollhouse/"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
                and node.func.attr in LEVELS
            ):
                event = ast.literal_eval(node.args[0])
                yield node.func.attr, event, tuple(key.arg for key in node.keywords if key.arg is not None)


LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


class Holder:
    """What shows a secret in its repr."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __repr__(self) -> str:
        return f"Holder({self.secret!r})"


@pytest.mark.row("U14")
def test_no_line_that_the_code_logs_holds_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    calls = sorted(set(log_calls()))
    assert len(calls) > 30
    log = structlog.get_logger("test")
    with logged(capsys) as said:
        for secret in (*SECRETS, *OWN):
            shapes = (
                secret, nested(secret), ValueError(f"could not use {secret}"), Holder(secret), [secret.encode()], {secret: 1},
            )  # fmt: skip
            for level, event, names in calls:
                for shape in shapes:
                    getattr(log, level)(event, **dict.fromkeys(names, shape))
            lines = said()
            assert lines.count("\n") == len(calls) * len(shapes)
            assert secret not in lines


@pytest.mark.row("U14")
@pytest.mark.parametrize("secret", [*SECRETS, *OWN])
def test_no_stack_holds_it(secret: str, capsys: pytest.CaptureFixture[str]) -> None:
    log = structlog.get_logger("test")
    with logged(capsys) as said:
        try:
            try:
                raise KeyError(secret)
            except KeyError as error:
                raise RuntimeError(f"could not use {secret}") from error
        except RuntimeError as error:
            log.exception(f"raised {secret}", error=error, stack_info=True)
            logging.getLogger("aiohttp.client").exception("failed with %s", secret)
        lines = said()
    assert lines.count("\n") == 2
    assert secret not in lines
    assert lines.count("Traceback") == 2 * 2  # each with its cause


@pytest.mark.row("U14")
def test_a_commands_log_holds_none(capsys: pytest.CaptureFixture[str]) -> None:
    with logged(capsys):
        log_to_stderr()
        for secret in (*SECRETS, *OWN):
            structlog.get_logger("test").warning(
                "plain", said=f"it was {secret}", deep=nested({"client_secret": PLAIN})
            )
            logging.getLogger("asyncpg").warning("it was %s", secret)
            lines = capsys.readouterr().err
            assert lines.count("\n") == 2
            assert secret not in lines
            assert PLAIN not in lines


@pytest.mark.parametrize(
    "text",
    [
        "SignIn(email='a@example.com', password='%s')", "{'csrf': '%s'}", '{"password": "%s"}', '"{\\"password\\": \\"%s\\"}"',
        "[(b'cookie', b'th_session=%s')]", "password=%s&name=x", "Authorization: Basic %s",
    ],
)  # fmt: skip
@pytest.mark.row("U14")
def test_a_repr_shows_nothing_behind_a_name_that_says_so(text: str) -> None:
    shown = mask_text(text % "open-sesame")
    assert "open-sesame" not in shown
    assert "quatre mots" not in mask_text("SignUp(password='quatre mots bien choisis')")
