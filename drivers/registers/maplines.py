"""On which line of a map file a key stands: tomli keeps no lines, and a map is plain enough for this."""

import re

Path = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*([A-Za-z0-9_-]+|"[^"]*"|'[^']*')\s*(?:\.\s*\S+\s*)?=""")
_NOT_SYNTAX = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|#.*$""")


class Lines:
    """Line numbers by path, e.g. `("register", 2, "scale")`; a path that has none gets its nearest parent's."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}
        base: Path = ()
        depth = 0
        for number, line in enumerate(text.split("\n"), 1):
            header = _HEADER.match(line) if depth <= 0 else None
            if header:
                base = self._table(header[2].split("."), number, is_array=header[1] == "[[")
                continue
            key = _KEY.match(line) if depth <= 0 else None
            if key:
                self._lines.setdefault((*base, key[1].strip("\"'")), number)
            bare = _NOT_SYNTAX.sub("", line)
            depth += len(re.findall(r"[\[{]", bare)) - len(re.findall(r"[\]}]", bare))

    def _table(self, names: list[str], number: int, *, is_array: bool) -> Path:
        path: Path = ()
        for at, raw in enumerate(names):
            path = (*path, raw.strip().strip("\"'"))
            is_last = at == len(names) - 1
            if is_last and is_array:
                self._counts[path] = self._counts.get(path, -1) + 1
            self._lines.setdefault(path, number)
            if path in self._counts:
                path = (*path, self._counts[path])
                self._lines.setdefault(path, number)
        return path

    def line(self, path: Path) -> int:
        """The line of a key or table; 1 where nothing of it is written."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)
