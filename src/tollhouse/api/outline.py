"""The OpenAPI document as a reader goes through it: chapters of calls, and the shapes of what is sent and answered."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

METHODS = ("get", "post", "put", "patch", "delete")
PLAIN = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true or false", "null": "null"}
CREDENTIALS = {"secretKey": "a secret key", "session": "a user's session", "formToken": "its form token"}

Node = Mapping[str, Any]


class Kind(msgspec.Struct, frozen=True):
    """What a value may be, in words; `shape` names the shape that tells the rest."""

    words: str
    shape: str | None = None


class Field(msgspec.Struct, frozen=True):
    """One field of a shape, or one parameter of a call (`place`: path, query, header)."""

    name: str
    kind: Kind
    required: bool
    place: str = ""
    limits: str = ""


class Reply(msgspec.Struct, frozen=True):
    """What a call may answer."""

    status: str
    meaning: str
    shape: str | None


class Call(msgspec.Struct, frozen=True):
    """One call. `credentials` are the ways to say who calls, any of them."""

    id: str
    method: str
    path: str
    title: str
    paragraphs: list[str]
    credentials: list[str]
    parameters: list[Field]
    body: Kind | None
    fields: list[Field]
    replies: list[Reply]


class Part(msgspec.Struct, frozen=True):
    """The calls about one thing."""

    title: str
    about: str
    calls: list[Call]


class Shape(msgspec.Struct, frozen=True):
    """What is sent or answered."""

    name: str
    about: str
    fields: list[Field]


class Outline(msgspec.Struct, frozen=True):
    """The whole document."""

    title: str
    version: str
    parts: list[Part]
    shapes: list[Shape]


def outline(document: Node) -> Outline:
    """Everything that the document says, in its order."""
    shapes = [_shape(name, schema) for name, schema in document["components"]["schemas"].items()]
    fields = {shape.name: shape.fields for shape in shapes}
    calls: dict[str, list[Call]] = {}
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                calls.setdefault(item[method]["tags"][0], []).append(_call(path, method, item[method], fields))
    about = {tag["name"]: tag["description"] for tag in document["tags"]}
    order = [name for name in (*about, *sorted(calls.keys() - about.keys())) if name in calls]
    info = document["info"]
    parts = [Part(name, about.get(name, ""), calls[name]) for name in order]
    return Outline(info["title"], info["version"], parts, shapes)


def _call(path: str, method: str, operation: Node, fields: Mapping[str, list[Field]]) -> Call:
    body = _content(operation.get("requestBody", {}))
    kind = None if body is None else _kind(body)
    parameters = [
        Field(one["name"], _kind(one["schema"]), one.get("required", False), one["in"], _limits(one["schema"]))
        for one in operation.get("parameters", [])
    ]
    replies = [
        Reply(status, answer["description"], None if (content := _content(answer)) is None else _kind(content).shape)
        for status, answer in operation["responses"].items()
    ]
    return Call(
        operation["operationId"], method.upper(), path, operation.get("summary", path),
        re.split(r"\n\s*\n", operation.get("description", "").strip()),
        [" with ".join(CREDENTIALS.get(one, one) for one in way) for way in operation.get("security", []) if way],
        parameters, kind, fields.get(kind.shape or "", []) if kind else [], replies,
    )  # fmt: skip


def _content(told: Node) -> Node | None:
    """The schema of a body, whatever its media type."""
    for media in told.get("content", {}).values():
        schema: Node | None = media.get("schema")
        return schema
    return None


def _shape(name: str, schema: Node) -> Shape:
    required = set(schema.get("required", ()))
    fields = [
        Field(field, _kind(told), field in required, limits=_limits(told))
        for field, told in schema.get("properties", {}).items()
    ]
    return Shape(name, schema.get("description", ""), fields)


def _kind(schema: Node) -> Kind:
    """`text or null`, `list of Answer`, `map of number`."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return Kind(name, name)
    for several in ("oneOf", "anyOf"):
        if several in schema:
            kinds = [_kind(form) for form in schema[several]]
            return Kind(" or ".join(kind.words for kind in kinds), _first(kinds))
    if "enum" in schema:
        return Kind(" or ".join(str(value) for value in schema["enum"]))
    if "const" in schema:
        return Kind(str(schema["const"]).lower())
    if schema.get("type") == "array":
        inner = _kind(schema.get("items", {}))
        return Kind(f"list of {inner.words}", inner.shape)
    if schema.get("type") == "object":
        inner = _kind(schema.get("additionalProperties") or {})
        return Kind(f"map of {inner.words}", inner.shape)
    return Kind(PLAIN.get(str(schema.get("type")), "anything"))


def _first(kinds: Sequence[Kind]) -> str | None:
    return next((kind.shape for kind in kinds if kind.shape), None)


def _limits(schema: Node) -> str:
    told = [
        f"{words} {schema[key]:,.0f}" if isinstance(schema[key], int | float) else f"{words} {schema[key]}"
        for key, words in (
            ("minLength", "at least"), ("maxLength", "at most"), ("minimum", "from"), ("maximum", "to"),
            ("minItems", "at least"), ("maxItems", "at most"), ("default", "otherwise"),
        )
        if schema.get(key) is not None
    ]  # fmt: skip
    return ", ".join(told)
