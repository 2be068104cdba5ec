"""Re-dating: whatever a box's clock said, the platform knows to a second when things happened, and how surely."""

import contextlib
import json
import random
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import RECORDS_S, Clock, Fix, Source, utc_text
from gateway.uplink.schema import FrameEnvelope, decode_observations
from simulators.central.redating import FOREVER, Point, is_usable, pieces_of, redate
from simulators.central.store import Archive

DAY_S, HOUR_S = 86_400.0, 3600.0
START_S = datetime(2026, 12, 24, tzinfo=UTC).timestamp()
"""True time of the boot."""
AT_1970, AT_2090 = -START_S, datetime(2090, 1, 1, tzinfo=UTC).timestamp() - START_S


class Box:
    """A box whose oscillator and wall clock are wrong, with the real clock of the gateway inside."""

    def __init__(self, off_s: float, drift: float) -> None:
        self.true_s, self._drift, self.off_s = 0.0, drift, off_s
        self.clock = Clock(source=Source(self.mono, lambda: START_S + self.off_s + self.mono(), lambda: None))

    def mono(self) -> float:
        return self.true_s * (1 + self._drift)

    def hear(self, error_s: float, bound_ms: int) -> None:
        self.clock.accept(Fix(self.mono(), START_S + self.true_s + error_s, bound_ms))

    def records(self) -> list[Point]:
        found = []
        while record := self.clock.record():
            if record.why == "signed":
                assert record.error_ms is not None
                utc_s = datetime.fromisoformat(record.utc).timestamp()
                found.append(Point(record.mono_s, utc_s, record.error_ms / 1000 + 0.002, True))
        return found


@given(
    off_s=st.floats(AT_1970, AT_2090),
    drift=st.floats(-100e-6, 100e-6),
    sync_s=st.floats(0, DAY_S),
    after_s=st.floats(0, DAY_S),
    bound_ms=st.integers(1, 20),
    seed=st.integers(0, 2**32),
)
def test_a_day_before_the_sync_and_a_day_after_it_within_a_second(
    off_s: float, drift: float, sync_s: float, after_s: float, bound_ms: int, seed: int
) -> None:
    """Any boot time, any moment of the first answer, hourly answers after it: to a second, and never worse than told.

    A second can be promised where a point is within 2.5 hours (100 ppm), or where six hours of points show the rate.
    """
    rng = random.Random(seed)
    box = Box(off_s, drift)
    points = box.records()
    heard: list[float] = []
    for number in range(1 + int(after_s // HOUR_S)):
        box.true_s = sync_s + number * HOUR_S
        box.hear(rng.uniform(-bound_ms, bound_ms) / 1000, bound_ms)
        points += box.records()
        heard.append(box.true_s)
    assert len(points) == len(heard)
    pieces = pieces_of(rng.sample(points, len(points)))
    for _ in range(50):
        box.true_s = rng.uniform(0, sync_s + after_s)
        found = redate(pieces, box.mono())
        assert found is not None
        utc, told = found
        wrong = abs(utc - (START_S + box.true_s))
        assert wrong <= told
        is_near = min(abs(box.true_s - one) for one in heard) <= 2.5 * HOUR_S
        if is_near or heard[-1] - heard[0] >= 6 * HOUR_S:
            assert wrong <= 1.0


@given(
    points=st.lists(
        st.builds(Point, st.floats(0, 1e9), st.floats(0, 5e9), st.floats(0, 1e6), st.booleans()), max_size=30
    ),
    mono=st.floats(-1e12, 1e12),
)
def test_any_points_make_a_map_without_a_hole_in_any_order(points: list[Point], mono: float) -> None:
    pieces = pieces_of(points)
    assert bool(pieces) == bool(points)
    assert pieces_of(points[::-1]) == pieces
    if pieces:
        assert (pieces[0].since, pieces[-1].until) == (-FOREVER, FOREVER)
        assert all(left.until == right.since for left, right in zip(pieces, pieces[1:], strict=False))
        found = redate(pieces, mono)
        assert found is not None
        assert found[1] >= 0
    else:
        assert redate(pieces, mono) is None


@given(st.lists(st.floats(0, 30 * DAY_S), min_size=2, max_size=8), st.floats(0, 30 * DAY_S))
def test_points_that_agree_keep_the_order_of_things(monos: list[float], later: float) -> None:
    pieces = pieces_of([Point(mono, START_S + mono, 0.05, is_signed=True) for mono in monos])
    first, second = redate(pieces, later), redate(pieces, later + 0.001)
    assert first is not None
    assert second is not None
    assert first[0] < second[0]


def signed(mono: float, off_s: float = 0.0, error: float = 0.02) -> Point:
    return Point(mono, START_S + mono + off_s, error, is_signed=True)


def ntp(mono: float, off_s: float = 0.0, error: float = 0.02) -> Point:
    return Point(mono, START_S + mono + off_s, error, is_signed=False)


@pytest.mark.parametrize(
    ("points", "mono", "off_s", "told_at_most"),
    [
        ([ntp(1000)], 0.0, 0.0, 0.13),
        ([ntp(1000)], 11_000.0, 0.0, 1.02),
        ([ntp(0), ntp(7200, 3600)], 100.0, 0.0, 3601.0),  # one of the two lies: the nearer one, and it says so
        ([ntp(0), ntp(7200, 3600)], 7100.0, 3600.0, 3601.0),
        ([ntp(0, 3600), signed(7200)], 100.0, 0.0, 0.8),  # the platform's word against a time server's
        ([ntp(0, 3600), ntp(3600, 3600), signed(7200), ntp(9000)], 8000.0, 0.0, 0.2),
        ([signed(0), signed(10, 0.019)], 86_400.0, 0.0, 8.7),  # too close together to show a rate
        ([signed(0, 0, 0.5), signed(10, 0, 0.01)], 5.0, 0.0, 0.02),  # the better one of two counts
        ([ntp(0), ntp(36_000, 3.0)], -36_000.0, 0.0, 3.7),  # no rate from a clock that a daemon steers
        ([signed(0), signed(36_000, 3.0)], -36_000.0, -3.0, 0.5),  # but from one that nobody steers
        ([signed(0), signed(36_000, 36.0)], -36_000.0, 0.0, 3.7),  # 1000 ppm is no oscillator
    ],
)
def test_the_map_by_example(points: Sequence[Point], mono: float, off_s: float, told_at_most: float) -> None:
    found = redate(pieces_of(points), mono)
    assert found is not None
    assert found[0] - START_S - mono == pytest.approx(off_s, abs=0.1)
    assert found[1] <= told_at_most


@pytest.mark.parametrize(
    ("point", "usable"),
    [
        (Point(1.0, 2.0, 0.1, True), True),
        (Point(float("inf"), 2.0, 0.1, True), False),
        (Point(1e300, 2.0, 0.1, True), False),
        (Point(1.0, float("nan"), 0.1, True), False),
        (Point(1.0, 2.0, -0.1, True), False),
    ],
)
def test_which_numbers_can_be_reckoned_with(point: Point, usable: bool) -> None:
    assert is_usable(point) is usable


# -- in the store ---------------------------------------------------------------------------------------------------


def observation(mono: float, boot: str = "b1", at: str = "1970-01-01T00:00:00.000Z") -> str:
    clock = {"quality": "none", "boot": boot, "mono_s": mono}
    return json.dumps({"kind": "device", "validity": "valid", "connection": "connected", "at": at, "clock": clock})


def record(mono: float, boot: str = "b1", quality: str = "ntp", why: str = "sync", **other: object) -> str:
    said = {"utc": utc_text(START_S + mono), "error_ms": 12, "boot": boot, "mono_s": mono, "quality": quality}
    clock = {"quality": quality, "boot": boot, "mono_s": mono}
    return json.dumps({"kind": "clock", "validity": "valid", "why": why, "clock": clock, **said, **other})


def frame(first: int, *bodies: str, gateway: str = "gw-test") -> FrameEnvelope:
    payload = f"[{','.join(bodies)}]".encode()
    return FrameEnvelope(gateway, "site-1", "00ff", 1, "event", first, len(bodies), msgspec.Raw(payload))


def dated(folder: Path, frames: Sequence[FrameEnvelope]) -> list[tuple[object, ...]]:
    archive = Archive(folder / "central.db")
    for one in frames:
        archive.begin()
        archive.add(one, decode_observations(one))
        archive.commit()
    archive.close()
    with contextlib.closing(sqlite3.connect(folder / "central.db")) as db:
        return db.execute("SELECT seq, json, at, redated, redated_error_ms FROM dated ORDER BY seq").fetchall()


FRAMES = (
    frame(1, observation(10.0), observation(20.5)),
    frame(3, record(100.0)),
    frame(4, observation(5000.25), observation(10.0, boot="b2")),
    frame(6, record(7300.0, why="regular")),
)


@given(order=st.permutations(range(len(FRAMES))))
def test_any_order_of_arrival_gives_the_same_dates(
    order: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = dated(tmp_path_factory.mktemp("any"), [FRAMES[each] for each in order])
    told = [(seq, redated, error) for seq, _json, _at, redated, error in rows]
    assert told == [
        (1, utc_text(START_S + 10.0), 23),
        (2, utc_text(START_S + 20.5), 22),
        (3, utc_text(START_S + 100.0), 14),
        (4, utc_text(START_S + 5000.25), 244),
        (5, None, None),  # of that boot nothing is known
        (6, utc_text(START_S + 7300.0), 14),
    ]


def test_the_stored_json_stays_as_it_came(tmp_path: Path) -> None:
    rows = dated(tmp_path, FRAMES)
    _seq, stored, at, redated, _error = rows[0]
    assert json.loads(str(stored))["at"] == at == "1970-01-01T00:00:00.000Z"
    assert redated == utc_text(START_S + 10.0)


@pytest.mark.parametrize(
    "body",
    [
        record(100.0, quality="none"),
        record(100.0, quality="floor"),
        record(100.0, quality="signed", why="step"),  # reckoned from an earlier one
        record(100.0, quality="signed", why="start"),
        record(100.0, boot=""),
        record(100.0, utc="2026"),
        record(100.0, utc="2026-13-45T00:00:00.000Z"),
        record(100.0, error_ms=None),
        record(100.0, error_ms=-5000),
        record(0.0, mono_s=1e300),
    ],
)
def test_what_is_no_point_of_the_map(body: str, tmp_path: Path) -> None:
    rows = dated(tmp_path, [frame(1, observation(10.0), body)])
    assert [row[3] for row in rows] == [None, None]


def test_each_box_and_each_boot_has_its_own_map(tmp_path: Path) -> None:
    rows = dated(
        tmp_path, [frame(1, record(100.0), record(100.0, boot="b2")), frame(3, observation(10.0), gateway="gw-other")]
    )
    assert [row[3] is not None for row in rows] == [True, True, False]


def test_a_batch_that_fails_leaves_no_map(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "central.db")
    archive.begin()
    archive.add(FRAMES[1], decode_observations(FRAMES[1]))
    archive.roll_back()
    archive.close()
    assert [row[3] for row in dated(tmp_path, [FRAMES[0]])] == [None, None]


def test_the_points_of_a_boot_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.central.clockmap.POINTS", 3)
    dated(tmp_path, [frame(1, *(record(number * HOUR_S) for number in range(9)))])
    with contextlib.closing(sqlite3.connect(tmp_path / "central.db")) as db:
        assert db.execute("SELECT count(*) FROM clock_points").fetchone() == (3,)
        assert db.execute("SELECT count(*) FROM clock_pieces").fetchone() == (4,)


def test_records_come_no_faster_than_the_map_needs() -> None:
    """Hourly answers are never held back by the limit on clock records."""
    assert RECORDS_S < HOUR_S
