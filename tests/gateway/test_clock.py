"""The clock: whatever the wall clock says or somebody makes it say, no record loses its place in time."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import (
    RECORDS,
    RECORDS_S,
    Clock,
    Fix,
    Reading,
    Source,
    Told,
    judge,
    kernel_sync,
    utc_text,
    why_now,
)
from gateway.floor import LATEST_S, RELEASED_S, Floor, read_seen, write_seen

TRUE_S = RELEASED_S + 40 * 86_400
"""What time it really is when these tests' boxes start."""
YEAR_S = 365.25 * 86_400


class Machine:
    """A box whose clocks a test turns by hand: `true` goes on, `wall` is wrong by `off_s`."""

    def __init__(self, off_s: float = 0.0, sync_ms: int | None = None) -> None:
        self.true, self.off_s, self.sync_ms = TRUE_S, off_s, sync_ms
        self.source = Source(lambda: self.true - TRUE_S + 100, lambda: self.true + self.off_s, lambda: self.sync_ms)

    def clock(self, memory: Path | None = None) -> Clock:
        return Clock(memory, self.source)

    def fix(self, error_ms: int = 20, off_s: float = 0.0) -> Fix:
        return Fix(self.source.mono(), self.true + off_s, error_ms)


def said(clock: Clock) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    while record := clock.record():
        found.append((record.why, record.quality))
    return found


def test_an_instant_of_this_machine() -> None:
    now = Clock().now()
    assert abs(datetime.fromisoformat(now.at).timestamp() - time.time()) < 5
    assert now.trust.quality in ("none", "ntp")
    assert now.trust.boot
    assert now.trust.mono_s == pytest.approx(now.mono_s, abs=0.001)
    assert now.mono_s == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=5)
    assert kernel_sync() is None or kernel_sync() >= 0  # type: ignore[operator]


def test_utc_text() -> None:
    assert utc_text(0) == "1970-01-01T00:00:00.000Z"
    assert utc_text(1795598102.1204) == "2026-11-25T09:15:02.120Z"


def test_the_day_of_the_release_is_behind_us() -> None:
    assert RELEASED_S < time.time() < LATEST_S


FIX = Fix(100.0, TRUE_S, 20)
NO_FIX = None


@pytest.mark.parametrize(
    ("wall_s", "sync_ms", "fix", "quality", "utc_s", "error_ms"),
    [
        (TRUE_S, None, NO_FIX, "none", TRUE_S, None),
        (TRUE_S, 12, NO_FIX, "ntp", TRUE_S, 12),
        (0.0, None, NO_FIX, "floor", RELEASED_S + 100, None),
        (0.0, 12, NO_FIX, "floor", RELEASED_S + 100, None),  # a time server that says 1970 is none
        (RELEASED_S + 99, None, NO_FIX, "floor", RELEASED_S + 100, None),
        (LATEST_S, None, NO_FIX, "floor", RELEASED_S + 100, None),
        (LATEST_S, 12, NO_FIX, "floor", RELEASED_S + 100, None),
        (LATEST_S - 1, None, NO_FIX, "none", LATEST_S - 1, None),
        (TRUE_S + 50 * YEAR_S, None, FIX, "signed", TRUE_S, 20),
        (0.0, None, FIX, "signed", TRUE_S, 20),
        (TRUE_S + 1.0, 12, FIX, "ntp", TRUE_S + 1.0, 12),  # NTP is the finer one while they agree
        (TRUE_S + 1.1, 12, FIX, "signed", TRUE_S, 20),  # NTP is not signed
        (TRUE_S - 3600, 12, FIX, "signed", TRUE_S, 20),
        (TRUE_S + 3600, 16_000, FIX, "signed", TRUE_S, 20),
    ],
)
def test_whom_the_clock_believes(
    wall_s: float, sync_ms: int | None, fix: Fix | None, quality: str, utc_s: float, error_ms: int | None
) -> None:
    verdict = judge(Reading(100.0, wall_s, sync_ms), Floor(0.0), fix)
    assert (verdict.quality, verdict.utc_s, verdict.error_ms) == (quality, utc_s, error_ms)
    assert verdict.is_contradicted == (fix is not None and sync_ms is not None and quality == "signed")


@pytest.mark.parametrize(
    ("told", "now", "step_s", "why"),
    [
        (None, ("none", 0, None), 0.0, "start"),
        (None, ("ntp", 0, None), 9.0, "start"),
        (("none", 0, None), ("none", 9999, None), 0.0, None),
        (("none", 0, None), ("ntp", 1, None), 9.0, "sync"),  # the time daemon's own step
        (("floor", 0, None), ("signed", 1, FIX), 0.0, "signed"),
        (("none", 0, None), ("none", 1, None), -0.5, "step"),
        (("none", 0, None), ("none", 1, None), 0.4, None),
        (("ntp", 0, None), ("none", 1, None), 1e9, "step"),
        (("ntp", 0, None), ("none", 1, None), 0.0, "lost"),
        (("none", 0, None), ("floor", 1, None), 0.0, "lost"),
        (("ntp", 0, None), ("ntp", 3599, None), 0.0, None),
        (("ntp", 0, None), ("ntp", 3600, None), 0.0, "regular"),
        (("signed", 0, FIX), ("signed", 9999, FIX), 0.0, None),  # nothing new: no point of a map
        (("signed", 0, FIX), ("signed", 1, Fix(200.0, TRUE_S + 100, 9)), 0.0, "signed"),
        (("signed", 0, FIX), ("ntp", 1, FIX), 0.0, "sync"),
        (("ntp", 0, FIX), ("signed", 1, FIX), 0.0, "lost"),  # back to the old word: no point of a map either
        (("ntp", 0, None), ("signed", 1, FIX), 0.0, "signed"),
    ],
)
def test_when_a_record_is_due(
    told: tuple[str, float, Fix | None] | None, now: tuple[str, float, Fix | None], step_s: float, why: str | None
) -> None:
    def of(one: tuple[str, float, Fix | None]) -> Told:
        return Told(one[1], one[0], one[2])  # type: ignore[arg-type]

    assert why_now(of(told) if told else None, of(now), step_s) == why


@given(off_s=st.floats(-60 * YEAR_S, 60 * YEAR_S), later_s=st.floats(0, 30 * 86_400), error_ms=st.integers(0, 5000))
def test_a_signed_time_outlives_any_wall_clock(off_s: float, later_s: float, error_ms: int) -> None:
    box = Machine()
    clock = box.clock()
    assert clock.accept(box.fix(error_ms))
    box.true += later_s
    box.off_s = off_s
    now = clock.now()
    assert now.trust.quality == "signed"
    assert abs(clock.wall() - box.true) < 0.01
    assert now.trust.error_ms == error_ms + round(later_s / 10)  # 100 ppm


def test_a_life_from_1970() -> None:
    box = Machine(off_s=-TRUE_S)
    clock = box.clock()
    first = clock.record()
    assert first is not None
    assert (first.why, first.quality, first.validity) == ("start", "floor", "questionable")
    assert first.utc == utc_text(RELEASED_S) == first.at
    assert first.clock is not None
    assert (first.boot, first.mono_s) == (first.clock.boot, first.clock.mono_s)
    assert said(clock) == []
    box.true += 5
    clock.accept(box.fix(30))
    second = clock.record()
    assert second is not None
    assert (second.why, second.quality, second.error_ms, second.validity) == ("signed", "signed", 30, "valid")
    assert second.utc == utc_text(TRUE_S + 5)
    box.true += 20
    box.off_s, box.sync_ms = 0.0, 40  # the time daemon arrives and sets the clock
    third = clock.record()
    assert third is not None
    assert (third.why, third.quality, third.step_ms) == ("sync", "ntp", round(TRUE_S * 1000))
    box.true += 7
    box.off_s, box.sync_ms = 50 * YEAR_S, None  # somebody types a date
    assert said(clock) == [("step", "signed")]
    box.true += 5
    box.off_s -= 100 * YEAR_S
    assert said(clock) == [("step", "signed")]


def test_a_step_is_seen_at_once_and_the_kernel_asked_again() -> None:
    box = Machine(sync_ms=12)
    clock = box.clock()
    assert said(clock) == [("start", "ntp")]
    box.off_s, box.sync_ms = 3600.0, None  # settimeofday(2) tells the kernel that nobody keeps the clock now
    assert clock.now().trust.quality == "none"
    assert said(clock) == [("step", "none")]


def test_the_kernel_s_word_is_renewed_every_ten_seconds() -> None:
    box = Machine(sync_ms=12)
    clock = box.clock()
    assert clock.now().trust.error_ms == 12
    box.true, box.sync_ms = box.true + 9, 500
    assert clock.now().trust.error_ms == 12
    box.true += 1
    assert clock.now().trust.error_ms == 500


def test_a_pause_between_two_readings_is_not_a_step() -> None:
    box = Machine()
    pauses = iter([0.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0])

    def wall() -> float:
        told = box.true
        box.true += next(pauses, 0.0)  # the process sleeps before it reads the other clock
        return told

    clock = Clock(source=Source(box.source.mono, wall, lambda: None))
    for _ in range(6):
        clock.now()
    record = clock.record()
    assert record is not None
    assert record.step_ms == 0


def test_two_slow_steps_are_one() -> None:
    box = Machine()
    clock = box.clock()
    said(clock)
    for _ in range(2):
        box.off_s += 0.3
        found = clock.record()
    assert found is not None
    assert (found.why, found.step_ms) == ("step", 600)


def test_a_clock_that_is_turned_for_ever_does_not_fill_the_event_lane() -> None:
    box = Machine()
    clock = box.clock()
    records = 0
    for turn in range(1000):
        box.true += 1
        box.off_s = 3600.0 * (turn % 2)
        records += clock.record() is not None
    assert records <= RECORDS * (1000 / RECORDS_S + 1)
    box.true += RECORDS_S
    box.off_s = 7200.0
    assert said(clock) == [("step", "none")]


def test_a_better_fix_takes_the_place_and_a_worse_one_does_not() -> None:
    box = Machine()
    clock = box.clock()
    assert clock.accept(box.fix(50))
    assert not clock.accept(box.fix(60))
    box.true += 200  # the first may be 20 ms more wrong by now
    assert clock.accept(box.fix(60))
    assert clock.accept(box.fix(40))
    assert clock.accept(box.fix(900, off_s=5.0))  # they contradict each other: the newest counts
    assert clock.wall() == box.true + 5.0


# -- the floor ------------------------------------------------------------------------------------------------------


def lives(tmp_path: Path, *boxes: Machine) -> list[str]:
    shown = []
    for box in boxes:
        clock = box.clock(tmp_path / "clock")
        shown.append(clock.now().at)
        clock.remember()
    return shown


def test_the_floor_outlives_a_power_cut(tmp_path: Path) -> None:
    knows, forgot = Machine(sync_ms=5), Machine(off_s=-TRUE_S)
    assert lives(tmp_path, knows, forgot, forgot) == [utc_text(TRUE_S)] * 3


def test_a_time_server_s_lie_is_forgotten_with_the_next_trusted_time(tmp_path: Path) -> None:
    liar, forgot, honest = Machine(20 * YEAR_S, sync_ms=5), Machine(off_s=-TRUE_S), Machine(sync_ms=5)
    assert (
        lives(tmp_path, liar, forgot, honest, forgot) == [utc_text(TRUE_S + 20 * YEAR_S)] * 2 + [utc_text(TRUE_S)] * 2
    )


def test_an_unconfirmed_clock_raises_no_floor(tmp_path: Path) -> None:
    wrong, forgot = Machine(30 * YEAR_S), Machine(off_s=-TRUE_S)
    assert lives(tmp_path, wrong, forgot)[1] == utc_text(RELEASED_S)


def test_what_is_proven_counts_for_every_clock() -> None:
    box = Machine(off_s=-5 * 86_400, sync_ms=5)
    clock = box.clock()
    assert clock.now().trust.quality == "ntp"
    clock.floor.prove(TRUE_S - 86_400)  # our certificate began yesterday
    assert clock.proven_s == TRUE_S - 86_400
    assert clock.now().trust.quality == "floor"
    assert clock.now().at == utc_text(TRUE_S - 86_400)
    clock.floor.prove(0.0)
    clock.floor.prove(LATEST_S)  # nobody means that
    assert clock.proven_s == TRUE_S - 86_400


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[1]", b'{"seen_s":"x"}', b'{"seen_s":1e999}', b'{"seen_s":-1}', b'{"seen_s":5e9}', b"\xff" * 999],
)
def test_a_damaged_memory_is_none(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "clock").write_bytes(content)
    assert read_seen(tmp_path / "clock") == 0.0
    assert read_seen(tmp_path) == 0.0
    write_seen(tmp_path / "clock", TRUE_S)
    assert read_seen(tmp_path / "clock") == TRUE_S


def test_the_old_line_stands_until_the_new_one_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_seen(tmp_path / "clock", TRUE_S)

    def torn(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", torn)
    with pytest.raises(OSError, match="space"):
        write_seen(tmp_path / "clock", TRUE_S + 1)
    assert read_seen(tmp_path / "clock") == TRUE_S


def test_without_a_memory_nothing_is_written() -> None:
    Machine().clock().remember()


def _utc(text: str) -> float:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("wall", "quality"), [("1970-01-01", "floor"), ("2040-01-01", "none"), ("2100-01-01", "floor")]
)
def test_what_a_box_booted_at_any_date_says(wall: str, quality: str) -> None:
    clock = Machine(off_s=_utc(wall) - TRUE_S).clock()
    assert clock.quality == quality
