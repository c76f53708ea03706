"""Form bodies and query strings with nested brackets: `items[0][price]=…`, `expand[]=…`, `metadata[plan]=…`."""

from urllib.parse import parse_qsl

from tollhouse_sandbox.documents import Doc
from tollhouse_sandbox.errors import invalid


def parse(text: str) -> Doc:
    """The nested parameters of a form. Lists are told by their indexes (`[]`, `[0]`); values stay text."""
    root: Doc = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        _set(root, _path(name), value, name)
    return {key: _settled(value) for key, value in root.items()}


def _path(name: str) -> list[str]:
    head, bracket, rest = name.partition("[")
    if not bracket:
        return [name]
    if not rest.endswith("]"):
        raise invalid(f"Invalid parameter name: {name}", name)
    return [head, *rest[:-1].split("][")]


def _set(root: Doc, path: list[str], value: str, name: str) -> None:
    if len(path) > 12:
        raise invalid(f"Parameter {name} is nested too deeply", name)
    here = root
    for step in path[:-1]:
        key = step if step else f"#{len(here)}"
        below = here.setdefault(key, {})
        if not isinstance(below, dict):
            raise invalid("Invalid hash", name)
        here = below
    last = path[-1] if path[-1] else f"#{len(here)}"
    here[last] = value


def _settled(value: object) -> object:
    """Turns dicts whose keys are all indexes into lists, all the way down."""
    if not isinstance(value, dict):
        return value
    if value and all(key.startswith("#") for key in value):
        return [_settled(item) for item in value.values()]
    if value and all(key.isascii() and key.isdigit() and len(key) < 6 for key in value):
        return [_settled(value[key]) for key in sorted(value, key=int)]
    return {key: _settled(item) for key, item in value.items()}
