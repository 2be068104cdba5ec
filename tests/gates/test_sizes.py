"""Functions and files stay small enough to be read; the figures are printed."""

import ast
import sys

import pytest

from tests.gates.sources import PACKAGES, ROOT, Source, sources

LONGEST_FUNCTION = 60
P95_FUNCTION = 45
LONGEST_FILE = 500
LONGEST_DRIVER = 400


def _functions(source: Source) -> list[tuple[int, str]]:
    return [
        ((node.end_lineno or node.lineno) - node.lineno + 1, f"{source.at(node)} {node.name}")
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def _at(share: float, values: list[int]) -> int:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


def test_functions() -> None:
    found = [f for source in sources(*PACKAGES, "tools", "bench", "tests") for f in _functions(source)]
    assert not [f"{where}: {length} lines" for length, where in found if length > LONGEST_FUNCTION]


def test_the_tail_of_the_functions(capsys: pytest.CaptureFixture[str]) -> None:
    lengths = [length for source in sources(*PACKAGES) for length, _where in _functions(source)]
    files = [source.lines for source in sources(*PACKAGES)]
    with capsys.disabled():
        sys.stdout.write(
            f"\n{len(files)} files, median {_at(0.5, files)} lines, longest {max(files)}; {len(lengths)} functions, "
            f"median {_at(0.5, lengths)} lines, 95 % within {_at(0.95, lengths)}, longest {max(lengths)}\n"
        )
    assert _at(0.95, lengths) <= P95_FUNCTION


def test_files() -> None:
    for source in sources(*PACKAGES, "tools", "bench", "tests"):
        limit = LONGEST_DRIVER if source.path.name == "driver.py" else LONGEST_FILE
        assert source.lines <= limit, f"{source.path.relative_to(ROOT)}: {source.lines} lines"
