"""A card that fails or is full, and then the power goes: what was promised is there, what was refused was not."""

import asyncio
import errno
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.spool.spool import CommitRefused
from tests.powercut.campaign import judge
from tests.powercut.device import RecordingDevice
from tests.powercut.judge import SIZE
from tests.powercut.ledger import Ended
from tests.powercut.test_powercut import hold
from tests.powercut.trial import BALLAST
from tests.powercut.workload import Life, Plan, open_spool

CUTS = 30
BEATS = 25


async def beats(life: Life, first: int) -> int:
    """Some beats; returns how many were refused."""
    refused = 0
    for number in range(first, first + BEATS):
        try:
            await life.beat(number)
        except CommitRefused:
            refused += 1
    return refused


def play(folder: Path, trouble: Callable[[RecordingDevice, Life], Awaitable[None]], seed: int) -> None:
    """Some beats, trouble, power cuts at any moment of it."""

    async def live(device: RecordingDevice) -> None:
        marks = os.open(device.marks, os.O_WRONLY)
        life = Life(open_spool(device.mount / "spool"), marks, Plan(seed=seed))
        await life.begin()
        assert await beats(life, 1) == 0
        await trouble(device, life)
        life.mark(Ended())
        await life.spool.close()
        os.close(marks)

    with RecordingDevice(folder, SIZE) as device:
        asyncio.run(live(device))
        device.counters()
    verdicts = judge(folder, seed, CUTS)
    hold(verdicts, seed)
    assert len(verdicts) == CUTS
    shutil.rmtree(folder)


def test_a_card_that_fails_for_a_while(tmp_path: Path, torture_seed: int) -> None:
    async def trouble(device: RecordingDevice, life: Life) -> None:
        device.break_with(errno.EIO)
        assert await beats(life, 100) > 0
        device.break_with(0)
        await beats(life, 200)  # the file system may have become read-only meanwhile

    play(tmp_path, trouble, torture_seed)


def test_a_full_disk_that_has_room_again(tmp_path: Path, torture_seed: int) -> None:
    async def trouble(device: RecordingDevice, life: Life) -> None:
        fill(device.mount / BALLAST)
        with pytest.raises(CommitRefused):
            await pour(life)
        (device.mount / BALLAST).unlink()
        assert await beats(life, 200) == 0

    play(tmp_path, trouble, torture_seed)


async def pour(life: Life) -> None:
    """Far more than there is room for."""
    for _ in range(200):
        await life.put(100)


def fill(path: Path) -> None:
    """Leave no block free."""
    size = 1 << 20
    with path.open("wb") as file:
        while size >= 4096:
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 2
