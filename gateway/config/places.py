"""On which line each key of a TOML document stands, so that a mistake can be shown where it was made.

tomli reads the values and keeps no places. This walks the same text once more, only after tomli has accepted it, and
notes the line of each table header, key and array element (TOML 1.0.0, sections Keys, Table, Array of Tables,
Inline Table; a newline inside an inline table, as TOML 1.1 has it, does no harm).
"""

import re
from collections.abc import Iterator

import tomli

Path = tuple[str | int, ...]
"""`("device", 1, "options", "unit")`: keys, and the index of an element of an array."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_PART = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_KEY = re.compile(rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*")
_EACH_PART = re.compile(_PART)
_STRING = re.compile(
    r'"""(?:[^"\\]|\\[\s\S]|"(?!""))*"{3,5}'
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
)
_SCALAR = re.compile(r"[^,\[\]{}#\r\n]+")


class Places:
    """Lines by path; a path that has none of its own has its nearest ancestor's."""

    def __init__(self, lines: dict[Path, int]) -> None:
        self._lines = lines

    def line(self, path: Path) -> int:
        """The line of a key, 1 for the document itself."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


def find_places(text: str) -> Places:
    """The places of a document that tomli accepts. What tomli would refuse ends the walk, it never raises."""
    return Places(_Walk(text).walk())


class _Walk:
    """One pass from front to back, without recursion: `open_` holds the arrays and inline tables we are in."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._line, self._counted = 1, 0
        self._lines: dict[Path, int] = {}
        self._arrays: dict[Path, int] = {}
        self._base: Path = ()
        self._open: list[tuple[str, Path, int]] = []

    def walk(self) -> dict[Path, int]:
        """All lines found."""
        while self._step():
            pass
        return self._lines

    def _step(self) -> bool:
        """One header, one key with the start of its value, or one step inside an array or inline table."""
        self._skip(_BLANK)
        if self._at >= len(self._text):
            return False
        if self._open:
            return self._inside()
        if self._take("[["):
            return self._header(is_array=True)
        if self._take("["):
            return self._header(is_array=False)
        return self._pair(self._base)

    def _header(self, *, is_array: bool) -> bool:
        line = self._here()
        keys = self._key()
        if not keys or not self._take("]]" if is_array else "]"):
            return False
        path = self._resolve(keys[:-1], line) + keys[-1:]
        if is_array:
            index = self._arrays.get(path, -1) + 1
            self._arrays[path] = index
            self._lines.setdefault(path, line)
            path = (*path, index)
        self._lines.setdefault(path, line)
        self._base = path
        return True

    def _resolve(self, keys: Path, line: int) -> Path:
        """Where a header's parents stand: inside the last element, if one of them is an array of tables."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            self._lines.setdefault(path, line)
            if path in self._arrays:
                path = (*path, self._arrays[path])
        return path

    def _pair(self, base: Path) -> bool:
        line = self._here()
        keys = self._key()
        if not keys or not self._take("="):
            return False
        for depth in range(1, len(keys) + 1):
            self._lines.setdefault(base + keys[:depth], line)
        return self._value(base + keys)

    def _value(self, path: Path) -> bool:
        self._skip(_SPACE)
        if self._take("["):
            self._open.append(("]", path, 0))
            return True
        if self._take("{"):
            self._open.append(("}", path, 0))
            return True
        return self._skip(_STRING) or self._skip(_SCALAR)

    def _inside(self) -> bool:
        closing, path, index = self._open[-1]
        if self._take(closing):
            self._open.pop()
            return True
        if self._take(","):
            self._open[-1] = (closing, path, index + 1)
            return True
        if closing == "}":
            return self._pair(path)
        element = (*path, index)
        self._lines.setdefault(element, self._here())
        return self._value(element)

    def _key(self) -> Path:
        self._skip(_SPACE)
        found = _KEY.match(self._text, self._at)
        if not found:
            return ()
        self._at = found.end()
        self._skip(_SPACE)
        return tuple(_key_parts(found.group()))

    def _take(self, word: str) -> bool:
        if not self._text.startswith(word, self._at):
            return False
        self._at += len(word)
        return True

    def _skip(self, what: re.Pattern[str]) -> bool:
        """Go past what matches here; False if that is nothing."""
        found = what.match(self._text, self._at)
        if not found or found.end() == self._at:
            return False
        self._at = found.end()
        return True

    def _here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line


def _key_parts(key: str) -> Iterator[str]:
    for part in _EACH_PART.findall(key):
        if part[0] == '"' and "\\" in part:
            yield _unescaped(part)
        else:
            yield part[1:-1] if part[0] in "\"'" else part


def _unescaped(part: str) -> str:
    try:
        return next(iter(tomli.loads(f"{part} = 0")))
    except tomli.TOMLDecodeError:  # only in a document that tomli has refused as a whole
        return part
