"""No byte string makes a laboratory parser raise: coverage-guided, by atheris; ten minutes in `make torture`."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
RUNS = 800
TORTURE_S = 600
"""All targets together."""
FOUND = 77
"""How libFuzzer ends when the target has raised."""

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this machine (pyproject.toml)"
)


def _fuzz(name: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.run", name, str(folder), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_raises(name: str, tmp_path: Path, torture: bool, torture_seed: int) -> None:
    how_long = f"-max_total_time={TORTURE_S // len(TARGETS)}" if torture else f"-runs={RUNS}"
    ended = _fuzz(name, tmp_path / "fuzz", f"-seed={torture_seed}", how_long)
    kept = [path.read_bytes() for path in (tmp_path / "fuzz").glob("*-*")]  # crash-…, timeout-…, oom-…
    assert (ended.returncode, kept) == (0, []), ended.stderr[-6000:]
    done = re.search(r"Done ([0-9]+) runs", ended.stderr)
    assert done, ended.stderr[-2000:]
    covered = re.findall(r"cov: ([0-9]+)", ended.stderr)
    sys.stdout.write(f"\n{name}: {int(done[1]):,} inputs, {covered[-1]} edges\n")
    assert int(covered[-1]) > 10, "it sees into the driver"


def test_a_parser_that_raises_is_found(tmp_path: Path) -> None:
    ended = _fuzz("control", tmp_path / "fuzz", "-seed=1", "-runs=200000")
    assert ended.returncode == FOUND, ended.stderr[-2000:]
    assert [path.read_bytes()[:2] for path in (tmp_path / "fuzz").glob("crash-*")] == [b"\x05\x02"]
