"""A disk that is full or fails: nothing is confirmed that is not kept, it is said, and it goes on by itself."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulators.central.broker import find_mosquitto
from tests.e2e.faults import FLUSH, FOLDER, WRITE
from tests.e2e.line import ALL, Line, running_line

pytestmark = [pytest.mark.alone, pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed")]
ROOM_BYTES = 24 << 20
HASTE_S = "1"
"""How long the analyzer waits for an answer before it begins again."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM_BYTES}", "jisr-e2e", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file system of its own cannot be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def faulty(line: Line) -> Path:
    """Where to put the faults of this line's agent."""
    folder = line.folder / "faults"
    folder.mkdir()
    line.spoilt = {FOLDER: str(folder)}
    return folder


def fill(balloon: Path) -> None:
    """Take all the room there is."""
    with contextlib.suppress(OSError), balloon.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 12))


def refusal(line: Line, kind: str) -> None:
    """The disk refuses: it is said, and the analyzer's results are not taken however often it tries."""
    line.until(lambda: kind in line.said(), "it is said")
    line.until(lambda: tries_in_vain(line) > 2, "the analyzer tries again and again, in vain")


def tries_in_vain(line: Line) -> int:
    """Attempts so far with the oldest message that is not delivered."""
    assert line.analyzer is not None
    return next((one.attempts for one in line.analyzer.deliveries if one.status != "delivered"), 0)


def whole(line: Line) -> None:
    """Everything that was acknowledged is there once, and every number is there or declared gone."""
    before = line.acknowledged
    line.until(lambda: line.acknowledged > before + 5, "it goes on by itself: results are taken")
    line.arrive()
    found = line.verdict()
    assert found.faults == {}
    assert {gap["reason"] for gap in found.gaps} <= {"disk_refused", "evicted"}
    for kind in ("CommitRefused", "DiskFull", "DiskNearlyFull"):
        assert line.said().count(kind) <= 2, line.said()


def test_full_disk(tmp_path: Path, small_disk: Path) -> None:
    """ENOSPC from a real file system: no acknowledgement to the analyzer until there is room again."""
    with running_line(tmp_path) as line:
        line.spool = small_disk / "spool"
        # The event lane's segment has room on the full disk: many messages fill it soon.
        line.plug_in(*ALL, every_s=0.005, reply_timeout_s=HASTE_S)
        line.broker.start()
        line.start_agent()
        line.until(lambda: line.acknowledged > 3, "the line runs")
        balloon = small_disk / "balloon"
        fill(balloon)
        refusal(line, "DiskFull")
        balloon.unlink()
        line.start_consumer()
        whole(line)


@pytest.mark.parametrize(("what", "error", "kind"), [(FLUSH, "EIO", "CommitRefused"), (WRITE, "ENOSPC", "DiskFull")])
def test_failing_disk(tmp_path: Path, what: str, error: str, kind: str) -> None:
    """Every flush fails with EIO, or every write with ENOSPC, for a while."""
    with running_line(tmp_path) as line:
        faults = faulty(line)
        line.plug_in(*ALL, reply_timeout_s=HASTE_S)
        line.start()
        line.until(lambda: len(line.names()) > 50, "the line runs")
        (faults / what).write_text(error, encoding="ascii")
        refusal(line, kind)
        (faults / what).unlink()
        whole(line)


def test_killed_while_the_disk_fails(tmp_path: Path) -> None:
    """What was refused and what was in memory may be gone; what was ever acknowledged or promised is not."""
    with running_line(tmp_path) as line:
        faults = faulty(line)
        line.plug_in(*ALL, reply_timeout_s=HASTE_S)
        line.start()
        line.until(lambda: len(line.names()) > 50, "the line runs")
        (faults / FLUSH).write_text("EIO", encoding="ascii")
        refusal(line, "CommitRefused")
        line.processes.kill("agent")
        (faults / FLUSH).unlink()
        line.start_agent()
        line.arrive()
        found = line.verdict()
        assert found.faults == {}
