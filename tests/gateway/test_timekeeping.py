"""The clock's own task: no record is lost to a full disk, the floor is written down, and people are told once."""

import asyncio
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest

from drivers.observation import AnyObservation
from drivers.observation import Clock as ClockRecord
from gateway.clock import Clock, Fix
from gateway.floor import read_seen
from gateway.journal import Journal
from gateway.spool.spool import DiskFull
from gateway.timekeeping import OWED, REMEMBER_S, Timekeeping
from tests.gateway.test_clock import TRUE_S, Machine


class Disk:
    def __init__(self) -> None:
        self.is_full = False
        self.stored: list[AnyObservation] = []

    async def put(self, observations: Sequence[AnyObservation]) -> None:
        if self.is_full:
            raise DiskFull
        self.stored += observations

    @property
    def whys(self) -> list[str]:
        return [one.why for one in self.stored if isinstance(one, ClockRecord)]


class Box:
    def __init__(self, memory: Path | None = None, off_s: float = 0.0) -> None:
        self.machine = Machine(off_s)
        self.clock: Clock = self.machine.clock(memory)
        self.disk, self.said = Disk(), StringIO()
        self.keeping = Timekeeping(self.clock, self.disk, Journal(self.said))

    def look(self, later_s: float = 1.0) -> None:
        self.machine.true += later_s
        asyncio.run(self.keeping.look())

    @property
    def events(self) -> list[str]:
        lines = [json.loads(line) for line in self.said.getvalue().splitlines()]
        return [line.get("kind", line["event"]) for line in lines]


def test_each_change_is_one_record_and_one_sentence() -> None:
    box = Box(off_s=-TRUE_S)
    for _ in range(3):
        box.look()
    assert (box.disk.whys, box.events) == (["start"], ["clock", "ClockNotSet"])
    box.clock.accept(box.machine.fix())
    box.look()
    assert box.events[2:] == ["clock", "settled"]
    box.machine.off_s += 3600
    box.look()
    assert box.events[4:] == ["clock", "ClockMoved"]
    assert box.disk.whys == ["start", "signed", "step"]
    assert all(one.clock and one.clock.boot and one.clock.mono_s and one.at for one in box.disk.stored)


def test_a_full_disk_delays_records_and_keeps_their_moment() -> None:
    box = Box()
    box.disk.is_full = True
    box.look()
    box.clock.accept(box.machine.fix())
    box.look()
    assert box.disk.stored == []
    box.disk.is_full = False
    box.look(500)
    assert box.disk.whys == ["start", "signed"]
    first, second = box.disk.stored
    assert first.clock is not None
    assert second.clock is not None
    assert second.clock.mono_s - first.clock.mono_s == 1.0


def test_what_a_full_disk_owes_is_bounded_and_the_newest_stay() -> None:
    box = Box()
    box.disk.is_full = True
    for turn in range(OWED + 10):
        box.clock.accept(Fix(box.machine.source.mono(), box.machine.true, 20))
        box.look(100 + turn)
    newest = box.clock.now().trust.mono_s
    box.disk.is_full = False
    box.look(0.0)
    assert len(box.disk.stored) == OWED
    last = box.disk.stored[-1].clock
    assert last is not None
    assert last.mono_s == newest


def test_a_time_server_that_the_platform_contradicts_is_told() -> None:
    box = Box()
    box.machine.sync_ms = 5
    box.clock.accept(box.machine.fix(off_s=7200))
    box.look()
    assert "TimeServerContradicted" in box.events
    box.machine.off_s = 7200
    box.look()
    assert box.events[-3:] == ["clock", "ClockMoved", "settled"]
    assert box.disk.stored[-1].clock is not None
    assert box.disk.stored[-1].clock.quality == "ntp"


def test_the_floor_is_written_down_every_ten_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(tmp_path / "clock")
    box.machine.sync_ms = 5
    box.look(REMEMBER_S - 1)
    assert read_seen(tmp_path / "clock") == 0.0
    box.look(1.0)
    assert read_seen(tmp_path / "clock") == box.machine.true
    box.look(1.0)
    assert read_seen(tmp_path / "clock") == box.machine.true - 1

    def full(_path: Path, _seen: float) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.clock.write_seen", full)
        box.look(REMEMBER_S)
    assert box.events[-1] == "FloorUnwritten"
    box.look(REMEMBER_S)
    assert box.events[-1] == "settled"
