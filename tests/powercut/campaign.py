"""Record a workload on a device, cut the record, cut the recovery, and add up the verdicts."""

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from tests.powercut.cuts import Record
from tests.powercut.device import ROOT, RecordingDevice
from tests.powercut.judge import SIZE, keep, open_record
from tests.powercut.trial import Verdict
from tests.powercut.workload import Plan

PARTS = 2
"""Judges at work at the same time."""
PATIENCE_S = 3600.0
SHM = Path("/dev/shm")
"""Images are written, mounted and forgotten: they need not touch the disk."""


def record(folder: Path, plans: Sequence[Plan], image: Path | None = None) -> Record:
    """Let the lives pass on a recording device, one after the other; the log stays in the folder."""
    with RecordingDevice(folder, SIZE, image=image) as device:
        for plan in plans:
            words = [str(device.mount), str(device.marks), msgspec.json.encode(plan).decode()]
            _python("tests.powercut.workload", *words)
        device.counters()  # the log file is complete then
    return open_record(folder)


def judge(folder: Path, seed: int, cuts: int) -> list[Verdict]:
    """The verdict on each of that many cuts of the folder's record."""
    with tempfile.TemporaryDirectory(prefix="jisr-cut-", dir=SHM if SHM.is_dir() else folder) as scratch:
        words = [sys.executable, "-m", "tests.powercut.judge", str(folder), scratch, str(seed), str(cuts)]
        processes = [
            subprocess.Popen(
                [*words, str(part), str(PARTS)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            for part in range(min(PARTS, cuts))
        ]
        try:
            outputs = [process.communicate(timeout=PATIENCE_S) for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    lines = (line for said, _ in outputs for line in said.splitlines())
    return [msgspec.json.decode(line, type=Verdict) for line in lines]


def cut_again(folder: Path, seed: int, starts: int, cuts: int) -> list[Verdict]:
    """Power goes again while the start after a first cut is under way: that start, recorded and cut in turn."""
    first = open_record(folder)
    verdicts: list[Verdict] = []
    for image in first.images(first.choose(seed, range(10_000, 10_000 + starts))):
        again = folder / f"again-{image.cut.number}"
        keep(image, again)
        record(again, [Plan(life=100, seed=seed, beats=4, ends="kill")], again / "image")
        verdicts += judge(again, seed, cuts)
    return verdicts


def summary(verdicts: Sequence[Verdict]) -> str:
    """One line."""
    torn = sum(each.is_torn for each in verdicts)
    pending, owed = sum(each.pending > 0 for each in verdicts), sum(each.owed for each in verdicts)
    return (
        f"{len(verdicts)} cuts, {_count(each.lost for each in verdicts)} lost, "
        f"{_count(each.garbage for each in verdicts)} garbage, {torn} torn tails "
        f"({pending} cuts with writes that no flush covered, {owed} observations owed, "
        f"{_count(each.refused for each in verdicts)} starts refused, "
        f"{_count(each.renumbered for each in verdicts)} renumbered, "
        f"{_count(each.broken for each in verdicts)} other promises broken)"
    )


def _count(lists: Iterable[list[str]]) -> int:
    return sum(map(len, lists))


def _python(module: str, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, f"{module}: exit {done.returncode}\n{done.stderr}"
