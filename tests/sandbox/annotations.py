"""Compares JSON with the annotations of the official SDK: nothing required is missing, nothing is there that it does not know."""

from __future__ import annotations

import importlib
import inspect
import types
import typing
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar, ForwardRef, Literal, TypeVar, Union, get_args, get_origin

import typing_extensions
from stripe._list_object import ListObject
from stripe._object_classes import OBJECT_CLASSES
from stripe._search_result_object import SearchResultObject
from stripe._stripe_object import StripeObject, UntypedStripeObject


def problems(document: dict[str, Any]) -> list[str]:
    """Everything in an object of Stripe's that its class does not allow, with the path to it."""
    return list(_object(document, _class_of(document["object"]), document["object"]))


def _class_of(name: str) -> type[StripeObject]:
    module, class_name = OBJECT_CLASSES[name]
    found: type[StripeObject] = getattr(importlib.import_module(module), class_name)
    return found


def _fields(kind: type) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for ancestor in reversed(kind.__mro__):
        if issubclass(ancestor, StripeObject) and ancestor is not StripeObject:
            fields.update(inspect.get_annotations(ancestor))
    return {
        name: hint for name, hint in fields.items() if get_origin(hint) is not ClassVar and not name.startswith("_")
    }


def _object(value: dict[str, Any], kind: type, path: str) -> Iterator[str]:
    if value.get("deleted") is True:
        return
    fields = _fields(kind)
    for name in value.keys() - fields.keys():
        yield f"{path}.{name}: {kind.__qualname__} has no such field"
    for name, hint in fields.items():
        if name in value:
            yield from _value(value[name], hint, f"{path}.{name}")
        elif not _may_be_absent(hint):
            yield f"{path}.{name}: missing"


def _may_be_absent(hint: Any) -> bool:
    return type(None) in get_args(hint) or get_origin(hint) in (typing.NotRequired, typing_extensions.NotRequired)


def _value(value: Any, hint: Any, path: str) -> Iterator[str]:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        yield from _union(value, get_args(hint), path)
    elif origin is Literal:
        if value not in get_args(hint):
            yield f"{path}: {value!r} is none of {get_args(hint)}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path}: {value!r} is no list"
            return
        for place, item in enumerate(value):
            yield from _value(item, get_args(hint)[0], f"{path}[{place}]")
    elif origin is ListObject:
        yield from _list(value, get_args(hint)[0], path)
    elif origin is UntypedStripeObject:
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no hash"
    else:
        yield from _plain(value, hint, path)


def _plain(value: Any, hint: Any, path: str) -> Iterator[str]:
    if isinstance(hint, str | ForwardRef):
        name = hint if isinstance(hint, str) else hint.__forward_arg__
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no {name}"
        elif "object" in value:
            yield from _object(value, _class_of(value["object"]), path)
        else:
            yield f"{path}: an object that does not say of which kind it is"
    elif isinstance(hint, type) and issubclass(hint, StripeObject):
        if isinstance(value, dict):
            yield from _object(value, hint, path)
        else:
            yield f"{path}: {value!r} is no {hint.__qualname__}"
    elif hint is Decimal:
        if not isinstance(value, str):
            yield f"{path}: {value!r} is no decimal string"
    elif hint is Any or isinstance(hint, TypeVar):
        return
    elif not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        yield f"{path}: {value!r} is no {hint.__name__}"


def _union(value: Any, choices: tuple[Any, ...], path: str) -> Iterator[str]:
    if value is None:
        if type(None) not in choices:
            yield f"{path}: null is not allowed"
        return
    complaints = []
    for choice in choices:
        if choice is type(None):
            continue
        found = list(_value(value, choice, path))
        if not found:
            return
        complaints.append(found)
    yield from max(complaints, key=len)


def _list(value: Any, item: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict) or value.get("object") not in ("list", "search_result"):
        yield f"{path}: {value!r} is no list object"
        return
    kind = ListObject if value["object"] == "list" else SearchResultObject
    for name in value.keys() - {"object", *_fields(kind)}:
        yield f"{path}.{name}: a list has no such field"
    for name in ("data", "has_more", "url"):
        if name not in value:
            yield f"{path}.{name}: missing"
    for place, each in enumerate(value["data"]):
        yield from _value(each, item, f"{path}.data[{place}]")
