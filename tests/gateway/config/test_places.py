"""Each key's line, whatever stands before it."""

import pytest
import tomli
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.config.places import Path, Places, find_places

TEXT = '''# a comment
"a b".c = 1
long = """
[not.a.table]
key = "no" \\"""
"""
raw = \'\'\'
x = 1
\'\'\'
empty = ""   # = nothing
[uplink]
tls = { ca = "x", certificate = "a # b",
  key.file = "z" }
list = [
  1, # ] no end
  { u = 2 }, [ "]" ],
]
[[device]]
name = 'a'
[device.options]
unit = 3
[[device]]
options.unit = 5
[[device.sub]]
at = 1979-05-27 07:32:00
"\\u00e9\\"" = 1
[[device.sub]]
at = 2
[ other . "x.y" ]
deep . er = { a = [ { b = 1 },
 { b = 2 } ] }
'''
LINES: list[tuple[Path, int]] = [
    (("a b",), 2),
    (("a b", "c"), 2),
    (("long",), 3),
    (("raw",), 7),
    (("empty",), 10),
    (("uplink",), 11),
    (("uplink", "tls"), 12),
    (("uplink", "tls", "ca"), 12),
    (("uplink", "tls", "key", "file"), 13),
    (("uplink", "list", 0), 15),
    (("uplink", "list", 1, "u"), 16),
    (("uplink", "list", 2, 0), 16),
    (("device", 0), 18),
    (("device", 0, "name"), 19),
    (("device", 0, "options"), 20),
    (("device", 0, "options", "unit"), 21),
    (("device", 1), 22),
    (("device", 1, "options", "unit"), 23),
    (("device", 1, "sub", 0, "at"), 25),
    (("device", 1, "sub", 0, 'é"'), 26),
    (("device", 1, "sub", 1), 27),
    (("device", 1, "sub", 1, "at"), 28),
    (("other", "x.y"), 29),
    (("other", "x.y", "deep", "er", "a", 0, "b"), 30),
    (("other", "x.y", "deep", "er", "a", 1, "b"), 31),
]


@pytest.mark.parametrize(("path", "line"), LINES)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_line_of_a_key(path: Path, line: int, newline: str) -> None:
    tomli.loads(TEXT)
    assert find_places(TEXT.replace("\n", newline)).line(path) == line


def test_a_path_that_is_not_there_has_its_tables_line() -> None:
    places = Places({("a",): 4})
    assert places.line(("a", "b", 3)) == 4
    assert places.line(("z",)) == 1


KEYS = st.text(st.sampled_from("ab-_ .\"'\\#=[]{}é\n\t"), min_size=1, max_size=6)
VALUES = st.recursive(
    st.one_of(
        st.integers(),
        st.booleans(),
        st.text(st.sampled_from("ab \"'\\#=[]{},\n"), max_size=12),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


def _quoted(text: str) -> str:
    marks = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(marks.get(letter, letter) for letter in text) + '"'


class _Writer:
    """Writes TOML and notes the line of each key as it does so: the walk must find the same."""

    def __init__(self, multi_line: bool) -> None:
        self.text, self.lines, self.multi_line = "", dict[Path, int](), multi_line

    def value(self, value: object, path: Path) -> None:
        if isinstance(value, dict):
            self._inside("{", "}", [(key, inner) for key, inner in value.items()], path)
        elif isinstance(value, list):
            self._inside("[", "]", list(enumerate(value)), path)
        elif isinstance(value, str):
            self.text += f"'''\n{value}'''" if self.multi_line and "'" not in value else _quoted(value)
        else:
            self.text += str(value).lower()

    def pair(self, key: str, value: object, path: Path) -> None:
        self.lines[(*path, key)] = self.text.count("\n") + 1
        self.text += f"{_quoted(key)} = "
        self.value(value, (*path, key))

    def _inside(self, start: str, end: str, items: list[tuple[str | int, object]], path: Path) -> None:
        self.text += start
        for number, (key, inner) in enumerate(items):
            self.text += ", " if number else " "
            if isinstance(key, str):
                self.pair(key, inner, path)
            else:
                self.text += "# ]\n" if self.multi_line else ""
                self.lines[(*path, key)] = self.text.count("\n") + 1
                self.value(inner, (*path, key))
        self.text += end


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.booleans())
def test_every_key_of_any_document(document: dict[str, object], multi_line: bool) -> None:
    writer = _Writer(multi_line)
    for key, value in document.items():
        writer.pair(key, value, ())
        writer.text += "\n"
    tomli.loads(writer.text)
    places = find_places(writer.text)
    assert {path: places.line(path) for path in writer.lines} == writer.lines


@example('"\\1" = 2')
@given(st.text(st.sampled_from("ab \"'\\#=[]{},.\n\r1"), max_size=60))
def test_it_never_raises_and_always_ends(text: str) -> None:
    assert find_places(text).line(("a",)) >= 1
