"""The recording device itself: what it records, and that nothing of it stays, whatever way its user ends."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from tests.powercut.cuts import MODES, Cut, Record, survivors
from tests.powercut.device import ROOT, RecordingDevice, set_mark
from tests.powercut.judge import SIZE
from tests.powercut.ledger import Ended, Opened
from tests.powercut.record import FLUSH, MARK, WRITE, Entry, Log, read_log

LEFT_S = 20.0
USER = """
import os, signal, sys
from pathlib import Path
from tests.powercut.device import RecordingDevice
with RecordingDevice(Path(sys.argv[1])) as device:
    (device.mount / "file").write_bytes(b"x")
    print("up", flush=True)
    os.kill(os.getpid(), int(sys.argv[2])) if sys.argv[2] != "0" else sys.exit("failed")
    signal.pause()
"""


def left(folder: Path) -> list[str]:
    """Mounts in any namespace, loop devices and processes that still name the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            mounts = (process / "mountinfo").read_text("utf-8")
            words = (process / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:
            continue  # it ended meanwhile
        if str(folder) in mounts or (str(folder) in words and int(process.name) != os.getpid()):
            found.append(f"process {process.name} {words}")
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            if str(folder) in backing.read_text("utf-8"):
                found.append(str(backing))
        except OSError:
            continue
    return found


def wait_until_gone(folder: Path) -> list[str]:
    """What is left once nothing is, or after a while."""
    until = time.monotonic() + LEFT_S
    while (found := left(folder)) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def test_writes_flushes_and_marks_are_recorded_in_their_order(tmp_path: Path) -> None:
    content = bytes(range(256)) * 16
    with RecordingDevice(tmp_path, SIZE) as device:
        marks = os.open(device.marks, os.O_WRONLY)
        fd = os.open(device.mount / "file", os.O_RDWR | os.O_CREAT)
        os.pwrite(fd, bytes(4096), 0)
        os.fsync(fd)
        set_mark(marks, b"before")
        before = device.counters()
        os.pwrite(fd, content, 0)
        os.fdatasync(fd)
        set_mark(marks, b"after")
        used = device.counters() - before
        assert left(tmp_path), "nothing to be left"
        os.close(fd)
        os.close(marks)
    assert (used.writes, used.bytes, used.flushes) == (1, 4096, 1)
    entries = read_log(device.log)
    at = next(at for at, entry in enumerate(entries) if entry.data == b"before")
    assert [entry.kind for entry in entries[at : at + 4]] == [MARK, WRITE, FLUSH, MARK]
    assert entries[at + 1].data == content
    assert left(tmp_path) == []


def test_without_a_log_it_counts_and_keeps_nothing(tmp_path: Path) -> None:
    with RecordingDevice(tmp_path, SIZE, is_kept=False) as device:
        before = device.counters()
        (device.mount / "file").write_bytes(bytes(1 << 20))
        used = device.settle() - before
    assert 1 << 20 <= used.bytes < 2 << 20
    assert used.flushes >= 1
    assert not device.log.exists()


def test_a_card_that_fails_and_works_again(tmp_path: Path) -> None:
    with RecordingDevice(tmp_path, SIZE) as device:
        fd = os.open(device.mount / "file", os.O_RDWR | os.O_CREAT)
        os.pwrite(fd, b"first" * 1000, 0)
        os.fsync(fd)
        device.break_with(5)
        os.pwrite(fd, b"other" * 1000, 0)
        with pytest.raises(OSError, match="Input/output error"):
            os.fdatasync(fd)
        device.break_with(0)
        os.pwrite(fd, b"third" * 1000, 0)
        os.fdatasync(fd)
        os.close(fd)
        device.save_image(tmp_path / "image")
    with RecordingDevice(tmp_path / "again", SIZE, image=tmp_path / "image") as device:
        assert (device.mount / "file").read_bytes() == b"third" * 1000


@pytest.mark.parametrize("way", [0, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_whatever_way_its_user_ends(tmp_path: Path, way: int) -> None:
    user = subprocess.Popen(
        [sys.executable, "-c", USER, str(tmp_path), str(int(way))],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    )
    said, _ = user.communicate(timeout=60)
    assert said == "up\n"
    assert user.returncode != 0
    assert wait_until_gone(tmp_path) == []


@pytest.mark.parametrize("killed", ["keeper", "holder", "both"])
def test_nothing_is_left_of_a_device_whose_own_processes_are_killed(tmp_path: Path, killed: str) -> None:
    """With pages that are still to be written, which nobody serves any more."""
    with RecordingDevice(tmp_path, SIZE) as device:
        fd = os.open(device.mount / "file", os.O_WRONLY | os.O_CREAT)
        os.write(fd, bytes(1 << 20))
        for name, process in device.processes().items():
            if killed in (name, "both"):
                os.kill(process, signal.SIGKILL)
        os.close(fd)
    assert wait_until_gone(tmp_path) == []


def written(*sectors: int) -> Entry:
    return Entry(WRITE, 8192, b"".join(bytes([each]) * 512 for each in sectors))


@pytest.mark.parametrize("mode", MODES)
def test_what_survives_a_cut(mode: str) -> None:
    """Never half a sector, never what was not written, and within some cuts everything that may happen."""
    pending = [written(1, 2, 3), written(4, 5, 6)]
    seen = set()
    for number in range(400):
        medium = bytearray(16384)
        for each in survivors(pending, mode, random.Random(number)):
            medium[each.offset : each.offset + len(each.data)] = each.data
        sectors = [bytes(medium[at : at + 512]) for at in range(8192, 9728, 512)]
        assert all(len(set(sector)) == 1 for sector in sectors)
        assert not any(medium[:8192] + medium[9728:])
        seen.add(tuple(sector[0] for sector in sectors))
    old, first, second = (0, 0, 0), (1, 2, 3), (4, 5, 6)
    expected = {
        "none": {old},
        "all": {second},
        "prefix": {old, first, second},
        "torn": {old, (1, 0, 0), (1, 2, 0), first, (4, 2, 3), (4, 5, 3), second},
        "subset": {old, first, second},
    }
    every = {(a, b, c) for a in (0, 1, 4) for b in (0, 2, 5) for c in (0, 3, 6)}
    assert seen == expected.get(mode, every)


def test_a_superblock_is_not_torn() -> None:
    block = Entry(WRITE, 0, b"".join(bytes([each]) * 512 for each in range(1, 9)))
    for number in range(200):
        medium = bytearray(4096)
        for each in survivors([block], "sectors", random.Random(number)):
            medium[each.offset : each.offset + len(each.data)] = each.data
        assert (medium[1024] > 0) == (medium[1536] > 0)


def test_what_is_flushed_stands_and_what_is_promised_counts_from_its_mark(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        log = Log(file)
        log.add(WRITE, 512, b"a" * 512)
        log.add(MARK, 0, msgspec.json.encode(Opened("00", 1)))
        log.add(WRITE, 1024, b"b" * 512)
        log.add(FLUSH)
        log.add(WRITE, 1536, b"c" * 512)
        log.add(MARK, 0, msgspec.json.encode(Opened("00", 2)))
        log.add(MARK, 0, msgspec.json.encode(Ended()))
    record = Record(tmp_path / "log", 4096)
    images = {
        at: (bytes(image.content[512:2048:512]), image.ledger.epoch)
        for at in range(2, 8)
        for image in Record(tmp_path / "log", 4096).images([Cut(1, 0, at, "none")])
    }
    assert images == {
        2: (b"\0\0\0", 1),
        3: (b"\0\0\0", 1),
        4: (b"ab\0", 1),
        5: (b"ab\0", 1),
        6: (b"ab\0", 2),
        7: (b"ab\0", 2),
    }
    places = [cut.at for cut in record.choose(1, range(200))]
    assert places == sorted(places)
    assert set(places) == {2, 3, 4, 5, 6, 7}
