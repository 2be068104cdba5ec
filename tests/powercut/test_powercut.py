"""Power goes at any moment, on a real file system: what was promised is there, once, and nothing else is."""

import shutil
import sys
from pathlib import Path

import pytest

from drivers.observation import LANES, Lane
from tests.powercut.campaign import cut_again, judge, record, summary
from tests.powercut.cuts import Cut
from tests.powercut.device import RecordingDevice
from tests.powercut.judge import keep, open_record
from tests.powercut.trial import Verdict
from tests.powercut.workload import Plan

CUTS_A_RECORD = 200
"""More cuts come from other workloads, with other seeds."""
CONTROL_CUTS = 24


def lives(seed: int, flushes: int = 1) -> list[Plan]:
    """An orderly end; a killed process, whose pages only the kernel holds at the next start; little room; and on."""
    return [
        Plan(life=0, seed=seed, flushes=flushes),
        Plan(life=1, seed=seed, flushes=flushes, ends="kill"),
        Plan(life=2, seed=seed, flushes=flushes, is_short=True, ends="kill"),
        Plan(life=3, seed=seed, flushes=flushes),
    ]


def say(verdicts: list[Verdict], what: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The summary line, whatever pytest does with what tests print."""
    with capsys.disabled():
        sys.stdout.write(f"\n{what}: {summary(verdicts)}\n")


def hold(verdicts: list[Verdict], seed: int) -> None:
    """Fails on the first bad one, with what repeats it."""
    for each in verdicts:
        assert each.is_good(), (
            f"seed {seed}, cut {each.number}: {each}\ntry it again: python -m tests.powercut.judge {each.image}"
        )


def recycled(folder: Path) -> dict[Lane, tuple[int, int]]:
    """Per lane, the highest segment number and how many files there are, at the end of a record."""
    found: dict[Lane, tuple[int, int]] = {}
    whole = open_record(folder)
    (image,) = whole.images([Cut(0, 0, whole.end, "all")])
    keep(image, folder / "whole")
    with RecordingDevice(folder / "whole", image=folder / "whole" / "image", is_kept=False) as device:
        for lane in LANES:
            numbers = [int(path.name.split("-")[0]) for path in (device.mount / "spool" / lane).glob("*-*-*.*")]
            found[lane] = (max(numbers, default=0), len(numbers))
    return found


def test_nothing_promised_is_lost(
    tmp_path: Path, torture_seed: int, cuts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts: list[Verdict] = []
    rounds = max(1, cuts // CUTS_A_RECORD)
    for number in range(rounds):
        seed, folder = torture_seed + number, tmp_path / f"seed-{torture_seed + number}"
        record(folder, lives(seed))
        for lane in ("event", "numeric"):
            highest, files = recycled(folder)[lane]
            assert highest >= 3 * files, f"segments of {lane} were not recycled: {highest} numbers, {files} files"
        fresh = judge(folder, seed, cuts // rounds + (cuts % rounds if number == 0 else 0))
        hold(fresh, seed)
        verdicts += fresh
        shutil.rmtree(folder)  # what failed stays, what did not would fill the disk
    say(verdicts, f"power cuts, seeds from {torture_seed}", capsys)
    assert len(verdicts) == cuts
    assert sum(each.owed for each in verdicts) > 10 * cuts
    assert sum(each.pending > 0 for each in verdicts) > cuts / 4
    assert any(each.is_torn for each in verdicts) or cuts < 100


def test_a_second_cut_during_the_start_after_the_first(
    tmp_path: Path, torture_seed: int, cuts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    record(tmp_path, lives(torture_seed))
    verdicts = cut_again(tmp_path, torture_seed, starts=max(2, cuts // 60), cuts=15)
    say(verdicts, f"power cuts during the start after one, seed {torture_seed}", capsys)
    hold(verdicts, torture_seed)
    assert any(each.pending for each in verdicts)
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("flushes", [0, 16])
def test_a_device_that_lies_is_found_out(
    tmp_path: Path, torture_seed: int, flushes: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The control: without flushes, or with each sixteenth only, the same cuts lose what was promised."""
    record(tmp_path, lives(torture_seed, flushes))
    verdicts = judge(tmp_path, torture_seed, CONTROL_CUTS)
    say(verdicts, f"control, {'no flush' if not flushes else 'one flush in sixteen'}", capsys)
    assert sum(bool(each.lost) for each in verdicts) > CONTROL_CUTS // 2
    assert sum(len(each.lost) for each in verdicts) > 10 * CONTROL_CUTS
    shutil.rmtree(tmp_path)
