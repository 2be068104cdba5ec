"""The real `jisr run` with a clock that is wrong by decades: it reaches the platform, and everything is dated right.

libfaketime turns the wall clock of that process alone (OpenSSL's included); the time since the start stays the
machine's own, so the test knows when each observation really happened.
"""

import contextlib
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from simulators.central.broker import find_mosquitto
from tests.e2e.line import ANALYZER, GENSET, Line, running_line

LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
YEAR_S = 365 * 86_400
UNSYNCED = "int adjtimex(void *buffer) { (void)buffer; return 5; }\n"
"""TIME_ERROR of adjtimex(2): the box has no time daemon, whatever this machine has."""

pytestmark = [
    pytest.mark.alone,
    pytest.mark.skipif(find_mosquitto() is None, reason="mosquitto is not installed"),
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime is not installed"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: the kernel's word cannot be replaced"),
]


class Row(NamedTuple):
    """One row of the platform's view `dated`."""

    kind: str
    device: str
    at: str
    mono: float
    redated: str | None
    error_ms: int | None


class WrongClock:
    """The box's wall clock; `turn` moves it while the agent runs."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "clock.offset"
        shim = folder / "unsynced.so"
        source = folder / "unsynced.c"
        source.write_text(UNSYNCED, encoding="ascii")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(shim), str(source)], check=True)
        self.environment = {
            "LD_PRELOAD": f"{shim} {LIBRARY}",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def turn(self, off_s: float) -> None:
        beside = self._file.with_suffix(".new")
        beside.write_text(f"{off_s:+.0f}\n", encoding="ascii")
        beside.replace(self._file)


def off_by(date: str) -> float:
    """From now to noon of that date, in seconds; at midnight a moment earlier would be another date."""
    return datetime.fromisoformat(date).replace(hour=12, tzinfo=UTC).timestamp() - time.time()


@contextmanager
def box_with(clock: WrongClock, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    with running_line(folder) as line:
        line.plug_in(GENSET, ANALYZER)
        line.broker.start()
        line.start_consumer()
        with monkeypatch.context() as patch:
            for name, value in clock.environment.items():
                patch.setenv(name, value)
            line.start_agent()
        yield line


def rows(line: Line) -> list[Row]:
    with contextlib.closing(sqlite3.connect(f"file:{line.store}?mode=ro", uri=True)) as store:
        found = store.execute(
            "SELECT kind, coalesce(device, ''), at, mono, redated, redated_error_ms FROM dated ORDER BY id"
        ).fetchall()
    return [Row(*one) for one in found]


def wrong_by(row: Row) -> float:
    """Seconds between the platform's date and the truth."""
    assert row.redated is not None
    true = row.mono + time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return abs(datetime.fromisoformat(row.redated).timestamp() - true)


def qualities(line: Line) -> list[str]:
    return [str(event["quality"]) for event in line.events("clock")]


@pytest.mark.parametrize(
    ("date", "first", "shown"), [("1970-01-05", "floor", "2026-"), ("2040-06-01", "none", "2040-06-01")]
)
def test_a_box_that_boots_decades_away(
    date: str, first: str, shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = WrongClock(tmp_path)
    clock.turn(off_by(date))
    with box_with(clock, tmp_path, monkeypatch) as line:
        line.until(lambda: line.is_connected and len(line.names()) > 20, "it reaches the platform")
        line.until(lambda: "signed" in qualities(line), "it knows the time")
        line.arrive()
        found = line.verdict()
        assert found.faults == {}
        assert found.gaps == []
        life = rows(line)
    assert qualities(line)[:2] == [first, "signed"]
    assert "TimeAsked" in line.said()
    assert min(life, key=lambda one: one.mono).at.startswith(shown)
    assert {one.device for one in life} >= {"labo", "genset"}
    boot = [one for one in life if one.redated is not None]
    assert len(boot) == len(life)
    assert max(map(wrong_by, boot)) <= 1.0
    assert all(wrong_by(one) * 1000 <= (one.error_ms or 0) + 20 for one in boot)


def steps_of(line: Line) -> list[int]:
    return [int(event["step_ms"]) for event in line.events("clock") if event["why"] == "step"]


def jump(line: Line, clock: WrongClock, off_s: float) -> None:
    steps, before = len(steps_of(line)), len(line.feed.promised)
    clock.turn(off_s)
    line.until(lambda: len(steps_of(line)) > steps, "it sees the jump")
    line.broker.kill()  # the next connection is made with the wrong clock
    line.broker.start()
    line.until(lambda: len(line.feed.promised) > before + 20, "the devices are read on")
    line.arrive()


def test_a_clock_that_jumps_by_fifty_years_in_mid_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WrongClock(tmp_path)
    clock.turn(0)
    with box_with(clock, tmp_path, monkeypatch) as line:
        line.until(lambda: "signed" in qualities(line), "it knows the time")
        for jump_s in (50 * YEAR_S, -50 * YEAR_S):
            jump(line, clock, jump_s)
        steps = steps_of(line)
        found = line.verdict()
        assert found.faults == {}
        assert found.gaps == []
        life = rows(line)
    assert [round(step / 1000 / YEAR_S) for step in steps] == [50, -100]
    now = datetime.now(UTC).year
    assert {int(one.at[:4]) for one in life} <= {now - 1, now}  # the box went by the signed time all along
    assert max(map(wrong_by, life)) <= 1.0


def test_a_box_that_nobody_tells_the_time_keeps_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = WrongClock(tmp_path)
    clock.turn(off_by("1970-01-05"))
    with running_line(tmp_path) as line:
        line.plug_in(GENSET)
        line.uplink = 'ack = "broker"'
        line.broker.start()
        with monkeypatch.context() as patch:
            for name, value in clock.environment.items():
                patch.setenv(name, value)
            line.start_agent()
        line.until(lambda: "ClockDoubtful" in line.said(), "it says what is wrong")
        line.until(lambda: line.waiting > 20, "it keeps what it reads")
        assert not line.is_connected
        assert "Check the clock first" in line.processes.log("agent")
