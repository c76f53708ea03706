"""What an endpoint accepts, said as a table, and the reading of a request by it."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import invalid, missing, unknown_parameters

_MAX_INTEGER = 2**63 - 1


class Param(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter: its kind, whether it must be there, and what it may be."""

    kind: Literal["text", "integer", "decimal", "number", "boolean", "metadata", "list", "object", "any"]
    required: bool = False
    clearable: bool = False
    """An empty value unsets it; otherwise an empty value is an error."""
    choices: tuple[str, ...] = ()
    fields: "Mapping[str, Param] | None" = None
    of: "Param | None" = None


Spec = Mapping[str, Param]

TEXT = Param(kind="text")
CLEARABLE_TEXT = Param(kind="text", clearable=True)
INTEGER = Param(kind="integer")
DECIMAL = Param(kind="decimal")
NUMBER = Param(kind="number")
BOOLEAN = Param(kind="boolean")
METADATA = Param(kind="metadata", clearable=True)
TEXTS = Param(kind="list", of=TEXT, clearable=True)
ANY = Param(kind="any")


def required(param: Param) -> Param:
    """The same parameter, which must be there."""
    return msgspec.structs.replace(param, required=True)


def one_of(*choices: str) -> Param:
    """A text out of these."""
    return Param(kind="text", choices=choices)


def fields(**spec: Param) -> Param:
    """A nested object."""
    return Param(kind="object", fields=spec, clearable=True)


def list_of(param: Param) -> Param:
    """A list of such parameters."""
    return Param(kind="list", of=param, clearable=True)


ADDRESS = fields(
    city=CLEARABLE_TEXT,
    country=CLEARABLE_TEXT,
    line1=CLEARABLE_TEXT,
    line2=CLEARABLE_TEXT,
    postal_code=CLEARABLE_TEXT,
    state=CLEARABLE_TEXT,
)
SHIPPING = fields(
    address=required(ADDRESS),
    carrier=CLEARABLE_TEXT,
    name=required(TEXT),
    phone=CLEARABLE_TEXT,
    tracking_number=CLEARABLE_TEXT,
)
MOMENT_RANGE = Param(kind="any")
PAGE: Spec = {"limit": INTEGER, "starting_after": TEXT, "ending_before": TEXT}


def read(sent: Doc, spec: Spec, prefix: str = "") -> Doc:
    """The parameters, typed. Names not sent are absent; cleared ones are None. Raises errors worded as Stripe's."""
    unknown = [_named(prefix, name) for name in sent if name not in spec]
    if unknown:
        raise unknown_parameters(unknown)
    typed: Doc = {}
    for name, param in spec.items():
        if name in sent:
            typed[name] = _value(sent[name], param, _named(prefix, name))
        elif param.required:
            raise missing(_named(prefix, name))
    return typed


def _named(prefix: str, name: str) -> str:
    return f"{prefix}[{name}]" if prefix else name


def _value(sent: object, param: Param, name: str) -> object:
    if sent == "" and param.kind != "any":
        if param.clearable:
            return None
        raise invalid(
            f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter;"
            f" however '{name}' cannot be unset. You should remove '{name}' from your request or supply a non-empty value.",
            name,
            "parameter_invalid_empty",
        )
    match param.kind:
        case "any":
            return sent
        case "object":
            if not isinstance(sent, dict):
                raise invalid("Invalid object", name)
            return read(sent, param.fields or {}, name)
        case "metadata":
            return _metadata(sent, name)
        case "list":
            return _list(sent, param, name)
        case _:
            return _scalar(sent, param, name)


def _list(sent: object, param: Param, name: str) -> list[object]:
    if not isinstance(sent, list) or param.of is None:
        raise invalid("Invalid array", name)
    return [_value(item, param.of, f"{name}[{place}]") for place, item in enumerate(sent)]


def _scalar(sent: object, param: Param, name: str) -> object:
    if not isinstance(sent, str):
        raise invalid(f"Invalid string: {sent}", name, "parameter_invalid_string")
    match param.kind:
        case "integer":
            try:
                number = int(sent) if len(sent) < 20 and sent.lstrip("-").isdigit() else None
            except ValueError:
                number = None
            if number is None or abs(number) > _MAX_INTEGER:
                raise invalid(f"Invalid integer: {sent[:100]}", name, "parameter_invalid_integer")
            return number
        case "decimal" | "number":
            if len(sent) > 30 or not sent.lstrip("-").replace(".", "", 1).isascii() or not _is_decimal(sent):
                raise invalid(f"Invalid decimal: {sent[:100]}", name, "parameter_invalid_decimal")
            return sent if param.kind == "decimal" else float(sent)
        case "boolean":
            if sent not in ("true", "false"):
                raise invalid(f"Invalid boolean: {sent[:100]}", name)
            return sent == "true"
        case _:
            if param.choices and sent not in param.choices:
                raise invalid(f"Invalid {name}: must be {_choice(param.choices)}", name)
            if len(sent) > 5000:
                raise invalid(f"Invalid string: {sent[:10]}...; must be at most 5000 characters", name)
            return sent


def _is_decimal(text: str) -> bool:
    return text.lstrip("-").replace(".", "", 1).isdigit()


def _choice(choices: tuple[str, ...]) -> str:
    if len(choices) < 3:
        return " or ".join(choices)
    return f"one of {', '.join(choices[:-1])}, or {choices[-1]}"


def _metadata(sent: object, name: str) -> dict[str, str]:
    if not isinstance(sent, dict):
        raise invalid("Invalid hash", name)
    for key, value in sent.items():
        if not isinstance(value, str):
            raise invalid(
                "Metadata values must be strings, but for key '" + key + "' you passed in a value of type hash", name
            )
        if len(key) > 40:
            raise invalid(f"Metadata keys can be up to 40 characters long, but the key '{key[:40]}...' is longer", name)
        if len(value) > 500:
            raise invalid(
                f"Metadata values can have up to 500 characters, but you passed in a value that is {len(value)} characters."
                f" Invalid value: {value[:20]}...",
                name,
            )
    return sent
