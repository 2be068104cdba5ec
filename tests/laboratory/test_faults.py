"""Issue 6's promise: seeded fault runs of every analyzer simulator and of the recordings: none lost, wrong or twice.

Each run has every fault of its simulator, bytes cut at random, a box that is killed at every step, a disk that
refuses and a cable that is pulled. `make test` plays 240 of them, `make torture` 10,000; a run is named by its seed:

    python -m pytest tests/laboratory --torture --seed 7
"""

import itertools
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from msgspec.structs import replace

from drivers.contract import Output
from drivers.observation import AnyObservation, Result
from gateway.device import StreamDevice
from simulators.devices.catalog import SIMULATORS
from tests.laboratory.analyzers import ANALYZERS, ASTM, Analyzer
from tests.laboratory.box import KILLS, TROUBLES
from tests.laboratory.faultrun import Verdict, play
from tests.laboratory.recordings import CAPTURES, analyzer_of, sessions

RUNS, TORTURE_RUNS = 12, 10_000
SEEDS_APART = 1_000_000
MEMORY = Path("/dev/shm")  # noqa: S108 - a process that is killed loses nothing that is written, wherever that is
FLAWS = ("lost", "wrong", "twice")
CONTROL = next(one for one in ASTM if one.name == "astm-cobas_e411")
MOST_SEEDS = 80
needs_recordings = pytest.mark.skipif(not CAPTURES.exists(), reason="the recordings are not beside this checkout")


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """A fresh folder for each run, in memory where the system has such a place."""
    base = MEMORY if os.access(MEMORY, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=base) as made:
        numbers = itertools.count()
        yield lambda: Path(made) / f"{next(numbers)}"


def _judge(name: str, verdicts: list[Verdict], began: float) -> tuple[Counter[str], Counter[str]]:
    """None lost, wrong or twice; returns what struck the box and what the simulator did."""
    struck, faults, found = Counter[str](), Counter[str](), Counter[str]()
    for one in verdicts:
        struck += one.struck
        faults += one.faults
        found += Counter({what: len(getattr(one, what)) for what in FLAWS})
    told = f"{len(verdicts):,} runs, {sum(one.results for one in verdicts):,} results, {faults.total():,} faults"
    spent = time.process_time() - began
    sys.stdout.write(f"\n{name}: {told}, {dict(struck)}, {spent:.0f} s of CPU; flaws: {dict(found)}\n")
    assert [str(one) for one in verdicts if not one.is_good()] == []
    assert sum(one.results for one in verdicts), "something was played"
    return struck, faults


@pytest.mark.parametrize("analyzer", ANALYZERS, ids=lambda analyzer: analyzer.name)
def test_none_lost_wrong_or_twice(
    analyzer: Analyzer, folders: Callable[[], Path], torture: bool, torture_seed: int
) -> None:
    runs = -(-TORTURE_RUNS // (len(ANALYZERS) + 1)) if torture else RUNS
    began = time.process_time()
    seeds = range(torture_seed * SEEDS_APART, torture_seed * SEEDS_APART + runs)
    struck, faults = _judge(analyzer.name, [play(analyzer, seed, folders()) for seed in seeds], began)
    assert struck
    if torture:
        assert set(KILLS) | set(TROUBLES) <= set(struck) | ({"answered"} if not analyzer.hears else set())
        assert set(faults) == set(SIMULATORS[analyzer.simulator].FAULTS) - analyzer.unseen


@needs_recordings
def test_ten_real_sessions(folders: Callable[[], Path], torture: bool, torture_seed: int) -> None:
    runs = -(-TORTURE_RUNS // (len(ANALYZERS) + 1)) if torture else RUNS
    began = time.process_time()
    verdicts = []
    for seed in range(torture_seed * SEEDS_APART, torture_seed * SEEDS_APART + runs):
        made = analyzer_of(sessions(), seed)
        verdicts.append(play(ASTM[0], seed, folders(), simulator=made))
        assert verdicts[-1].results == verdicts[-1].kept == 10
    _judge("recordings", verdicts, began)


def _bitten(what: str, folders: Callable[[], Path], **broken: Any) -> Verdict:
    """The first run that finds it."""
    for seed in range(MOST_SEEDS):
        verdict = play(CONTROL, seed, folders(), **broken)
        if getattr(verdict, what):
            return verdict
    raise AssertionError(f"{MOST_SEEDS} runs found nothing {what}")


class _SpeaksFirst(StreamDevice):
    """A box that breaks law 4."""

    async def _step(self, output: Output) -> float | None:
        if output.send:
            await self._write(output.send)
        await self._commit_or_owe(output)
        return output.wake_at


def test_a_box_that_acknowledges_before_the_commit_is_found(folders: Callable[[], Path]) -> None:
    assert _bitten("lost", folders, task=_SpeaksFirst)


def test_an_identity_that_is_another_each_time_is_found(folders: Callable[[], Path]) -> None:
    numbers = itertools.count()

    def spoil(seen: AnyObservation) -> AnyObservation:
        return replace(seen, identity=f"{next(numbers):032x}") if isinstance(seen, Result) else seen

    found = _bitten("twice", folders, spoil=spoil)
    assert not found.lost + found.wrong


@pytest.mark.parametrize("forgotten", ["value", "specimen"])
def test_an_identity_that_two_results_share_is_found(folders: Callable[[], Path], forgotten: str) -> None:
    def spoil(seen: AnyObservation) -> AnyObservation:
        if not isinstance(seen, Result):
            return seen
        parts = {"value": seen.text, "flags": seen.flags, "test": seen.test, "specimen": seen.specimen}
        del parts[forgotten]
        return replace(seen, identity=repr(sorted(parts.items())))

    assert _bitten("lost", folders, spoil=spoil)


def test_a_checksum_that_is_not_looked_at_is_found(
    folders: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.framing.e1381.sum8", lambda _frame: ANY)
    assert _bitten("wrong", folders)


def test_a_run_is_its_seed(folders: Callable[[], Path]) -> None:
    for analyzer in ANALYZERS[::5]:
        assert play(analyzer, 3, folders()) == play(analyzer, 3, folders())
