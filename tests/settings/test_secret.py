"""A secret does not leave by accident."""

import copy
import json
import pickle
from collections.abc import Callable
from io import StringIO

import msgspec
import pytest
from rich.console import Console

from tollhouse.settings import Secret

VALUE = "sk_test_do_not_show"


class Holder(msgspec.Struct, frozen=True):
    name: str
    key: Secret


def rich_text(value: object) -> str:
    target = StringIO()
    Console(file=target, width=200).print(value)
    return target.getvalue()


@pytest.mark.parametrize(
    "show",
    [
        str,
        repr,
        lambda holder: f"{holder.key}",
        lambda holder: f"{holder.key:>40}",
        lambda holder: "%s" % holder.key,  # noqa: UP031
        rich_text,
        lambda holder: msgspec.json.encode(holder).decode(),
        lambda holder: json.dumps(msgspec.to_builtins(holder)),
        lambda holder: str(msgspec.structs.asdict(holder)),
        lambda holder: str(ValueError("bad", holder.key)),
    ],
)
def test_it_is_masked_however_it_is_shown(show: Callable[[Holder], str]) -> None:
    text = show(Holder("stripe", Secret.of(VALUE)))
    assert "****" in text
    assert VALUE not in text


def test_it_is_given_out_on_purpose() -> None:
    assert Secret.of(VALUE).reveal() == VALUE
    assert Secret.of(VALUE) == Secret.of(VALUE)
    assert Secret.of(VALUE) != Secret.of("another")
    assert len({Secret.of(VALUE), Secret.of(VALUE)}) == 1


@pytest.mark.parametrize("leave", [pickle.dumps, copy.deepcopy])
def test_it_is_not_written_elsewhere(leave: Callable[[Secret], object]) -> None:
    with pytest.raises(TypeError, match="not pickled"):
        leave(Secret.of(VALUE))
