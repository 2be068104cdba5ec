"""Names that say nothing, and calls that this project does without."""

import ast

import pytest

from tests.gates.sources import PACKAGES, Source, dotted, imported, sources

NAMELESS = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}
MODULES = {"dill", "marshal", "pickle", "shelve", "yaml"}
CALLS = {"eval", "exec", "os.system", "os.popen", "__import__", "yaml.load"}
CLOCKS = {
    *("time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
    *("datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today"),
}
CLOCK_KEEPERS = ("gateway.clock", "gateway.ports", "simulators.")
"""Wall clocks: the box's is gateway/clock.py; a simulated device or platform has its own."""
EVERYTHING = (*PACKAGES, "tools", "bench", "tests")


@pytest.mark.parametrize("source", sources(*EVERYTHING), ids=lambda s: s.module)
def test_a_name_says_what_is_inside(source: Source) -> None:
    assert not NAMELESS & set(source.module.lower().split("."))


def _broken(source: Source) -> list[str]:
    found = [f"{source.at(node)}: {name}" for node, name in imported(source) if name.split(".")[0] in MODULES]
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        if name in CALLS or (name == "print" and not source.module.startswith("provisioning")):
            found.append(f"{source.at(node)}: {name}()")
        if name in CLOCKS and not source.module.startswith(CLOCK_KEEPERS):
            found.append(f"{source.at(node)}: {name}(), ask the clock instead")
        found += [f"{source.at(node)}: shell=True" for k in node.keywords if k.arg == "shell" and _is_true(k.value)]
    return found


def _is_true(node: ast.expr) -> bool:
    return not (isinstance(node, ast.Constant) and node.value is False)


@pytest.mark.parametrize("source", sources(*PACKAGES, "tools", "bench"), ids=lambda s: s.module)
def test_calls(source: Source) -> None:
    assert not _broken(source)


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from yaml import load",
        "eval('1')",
        "print(1)",
        "import time\ntime.time()",
        "from datetime import datetime, UTC\ndatetime.now(UTC)",
        "import subprocess\nsubprocess.run('x', shell=True)",
        "__import__('x')",
    ],
)
def test_the_gate_sees_it(line: str) -> None:
    (any_source,) = (s for s in sources("gateway") if s.module == "gateway.errors")
    assert _broken(Source(any_source.path, "gateway.errors", ast.parse(line), 1))
