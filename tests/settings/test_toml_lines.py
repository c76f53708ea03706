"""Every key of a TOML file is found on its line, however the file is written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.cli.init import PRESETS, preset_text
from tollhouse.settings import ConfigurationProblems
from tollhouse.settings.toml import KeyPath, dotted, parse_document, read_document

NASTY = '''\
# a comment with [brackets] = "and quotes
top = 1
"quoted.key" = { a = 1, 'b c' = [1, 2] } # trailing
long = """
first "quoted" line ]
# no comment
""""
raw = \'\'\'
it's [raw] \\
\'\'\'
list = [ # opening
  "a", # first ]
  { name = "x", size = [
     1.5, 2 ] },

  1979-05-27 07:32:00,
]
dotted.inner . "deep" = true

[plans]
[plans.free]
limits = { "x\\u0041" = 1 }
[[plans.free.prices]]
amount = 1
[plans.free.prices.tax]
rate = 2
[[plans.free.prices]]
amount = 2
[ later.only ]
k=1
[later]
z = "\\\\"
'''

EXPECTED: dict[KeyPath, int] = {
    ("top",): 2,
    ("quoted.key",): 3,
    ("quoted.key", "a"): 3,
    ("quoted.key", "b c"): 3,
    ("quoted.key", "b c", 0): 3,
    ("quoted.key", "b c", 1): 3,
    ("long",): 4,
    ("raw",): 8,
    ("list",): 11,
    ("list", 0): 12,
    ("list", 1): 13,
    ("list", 1, "name"): 13,
    ("list", 1, "size"): 13,
    ("list", 1, "size", 0): 14,
    ("list", 1, "size", 1): 14,
    ("list", 2): 16,
    ("dotted",): 18,
    ("dotted", "inner"): 18,
    ("dotted", "inner", "deep"): 18,
    ("plans",): 20,
    ("plans", "free"): 21,
    ("plans", "free", "limits"): 22,
    ("plans", "free", "limits", "xA"): 22,
    ("plans", "free", "prices"): 23,
    ("plans", "free", "prices", 0): 23,
    ("plans", "free", "prices", 0, "amount"): 24,
    ("plans", "free", "prices", 0, "tax"): 25,
    ("plans", "free", "prices", 0, "tax", "rate"): 26,
    ("plans", "free", "prices", 1): 27,
    ("plans", "free", "prices", 1, "amount"): 28,
    ("later",): 31,
    ("later", "only"): 29,
    ("later", "only", "k"): 30,
    ("later", "z"): 32,
}


def paths_of(value: object, path: KeyPath = ()) -> set[KeyPath]:
    """Every path in a value that `tomllib` read."""
    found = {path} if path else set()
    if isinstance(value, dict):
        for key, inner in value.items():
            found |= paths_of(inner, (*path, key))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            found |= paths_of(inner, (*path, index))
    return found


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_file_with_everything_that_toml_allows(newline: str) -> None:
    assert parse_document(NASTY.replace("\n", newline), "x.toml").lines == EXPECTED


@pytest.mark.parametrize("preset", PRESETS)
def test_every_value_of_a_preset_has_a_line(preset: str) -> None:
    text = preset_text(preset)
    document = parse_document(text, "x.toml")
    assert set(document.lines) == paths_of(document.values)
    for path, line in document.lines.items():
        if isinstance(path[-1], str):
            assert path[-1] in text.split("\n")[line - 1]


class Writer:
    """Writes values as TOML in ways that the test draws, and notes the line of each as it goes."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    def put(self, text: str) -> None:
        self.text += text

    def gap(self) -> None:
        """What may stand between the elements of a list."""
        self.put(self.draw(st.sampled_from(["", " ", "\n", " # ]}\"'\n", "\n\n  "])))

    def note(self, path: KeyPath) -> None:
        self.lines[path] = self.text.count("\n") + 1

    def value(self, value: object, path: KeyPath) -> None:
        if isinstance(value, list):
            self.put("[")
            for index, item in enumerate(value):
                self.gap()
                self.note((*path, index))
                self.value(item, (*path, index))
                self.gap()
                self.put("," if index < len(value) - 1 or self.draw(st.booleans()) else "")
            self.gap()
            self.put("]")
        elif isinstance(value, dict):
            self.put("{ ")
            for index, (key, item) in enumerate(value.items()):
                self.put(", " if index else "")
                self.note((*path, key))
                self.put(f"{self.key(key)} = ")
                self.value(item, (*path, key))
            self.put(" }")
        else:
            self.put(self.scalar(value))

    def key(self, key: str) -> str:
        return self.draw(st.sampled_from([key, f'"{key}"', f"'{key}'"]))

    def scalar(self, value: object) -> str:
        if not isinstance(value, str):
            return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
        return self.draw(st.sampled_from([f'"{value}"', f"'{value}'", f'"""\n{value}\n"""', f"'''{value}\n'''"]))


names = st.text("abcxyz_-09", min_size=1, max_size=4)
scalars = st.booleans() | st.integers(-99, 99) | st.text("ab ]}{[=,#.", max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
tables = st.dictionaries(names, st.dictionaries(names, values, max_size=3), max_size=4)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int]]:
    writer = Writer(draw)
    for name, table in draw(tables).items():
        writer.put(draw(st.sampled_from(["", "\n", "# [x]\n"])))
        writer.note((name,))
        writer.put(f"[{writer.key(name)}]\n")
        for key, value in table.items():
            writer.note((name, key))
            writer.put(f"{writer.key(key)} = ")
            writer.value(value, (name, key))
            writer.put("\n")
    return writer.text, writer.lines


@given(written())
def test_any_file_is_read_with_the_lines_it_was_written_with(case: tuple[str, dict[KeyPath, int]]) -> None:
    text, lines = case
    assert parse_document(text, "x.toml").lines == lines


def test_paths_read_as_people_write_them() -> None:
    assert dotted(("plans", "starter", "prices", 0, "amount")) == "plans.starter.prices[0].amount"
    assert dotted(("plans", "a b")) == 'plans."a b"'


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a = 1\nb = \n", 2, "invalid value"),
        ("a = 1\nb = 2\na = 3\n", 3, "the same key or table stands twice"),
        ("[a]\nx = 1\n[b]\n[a]\n", 4, "the same key or table stands twice"),
        ('a = "x\n', 1, "illegal character"),
        ("a = [1,\n2\n", 3, "unclosed array"),
    ],
)
def test_broken_toml_is_told_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigurationProblems) as caught:
        parse_document(text, "x.toml")
    [problem] = caught.value.problems
    assert problem.line == line
    assert says in str(problem).lower()


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationProblems, match="tollhouse init --preset"):
        read_document(tmp_path / "tollhouse.toml")


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tollhouse.toml"
    path.write_bytes("name = 'é'".encode("latin-1"))
    with pytest.raises(ConfigurationProblems, match="UTF-8"):
        read_document(path)
