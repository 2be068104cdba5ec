"""The reference consumer's memory: every observation once, and a duplicate would be seen."""

import contextlib
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.schema import FrameEnvelope, decode_observations
from simulators.central.store import Archive, Ledger, Stream, add_range, holes_of

STREAM = Stream("site-1", "gw-test", "00ff", "numeric", 1)


def frame(first: int, count: int, lane: str = "numeric", body: str = "", epoch: int = 1) -> FrameEnvelope:
    one = body or (
        '{"kind":"numeric","metric":"MDC_PULS_OXIM_SAT_O2","vendor":{"code":"SPO2"},"validity":"valid",'
        '"device":"monitor","at":"2026-11-24T09:15:02.120Z","value":97.0,"unit":"%","category":"measurement"}'
    )
    payload = f"[{','.join([one] * count)}]".encode()
    return FrameEnvelope("gw-test", "site-1", "00ff", epoch, lane, first, count, msgspec.Raw(payload))  # type: ignore[arg-type]


def add(archive: Archive, *frames: FrameEnvelope) -> None:
    archive.begin()
    for one in frames:
        archive.add(one, decode_observations(one))
    archive.commit()


@pytest.fixture
def reopened(tmp_path: Path) -> Iterator[Callable[[], Archive]]:
    """Archives on one file; all of them are closed at the end."""
    made: list[Archive] = []

    def make() -> Archive:
        made.append(Archive(tmp_path / "central.db"))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def archive(reopened: Callable[[], Archive]) -> Archive:
    return reopened()


def query(tmp_path: Path, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(tmp_path / "central.db")) as db, db:
        return db.execute(sql).fetchall()


def test_rows_as_they_were_printed(archive: Archive, tmp_path: Path) -> None:
    add(archive, frame(1, 2))
    rows = query(tmp_path, "SELECT gateway,spool,epoch,lane,seq,kind,device,metric,value,at FROM observations")
    assert rows == [
        ("gw-test", "00ff", 1, "numeric", seq, "numeric", "monitor", "MDC_PULS_OXIM_SAT_O2", "97.0")
        + ("2026-11-24T09:15:02.120Z",)
        for seq in (1, 2)
    ]


def test_again_and_out_of_order_and_after_a_restart(archive: Archive, reopened: Callable[[], Archive]) -> None:
    add(archive, frame(5, 2), frame(1, 2), frame(5, 2))
    assert archive.word_for(STREAM) == (6, [(3, 4)])
    archive.close()
    archive = reopened()
    add(archive, frame(3, 2), frame(1, 2))
    assert archive.word_for(STREAM) == (6, [])
    assert archive.ledger() == Ledger(6, 6, 0, 0, 0, 1)


def test_epochs_and_lanes_are_counted_apart(archive: Archive) -> None:
    add(archive, frame(1, 2), frame(1, 3, epoch=2))
    assert archive.word_for(STREAM) == (2, [])
    assert archive.word_for(STREAM._replace(epoch=2)) == (3, [])
    assert archive.ledger().rows == 5


def test_a_batch_that_fails_leaves_neither_rows_nor_watermark(archive: Archive) -> None:
    add(archive, frame(1, 1))
    archive.begin()
    archive.add(frame(2, 1), decode_observations(frame(2, 1)))
    archive.roll_back()
    archive.roll_back()
    assert archive.word_for(STREAM) == (1, [])
    assert archive.ledger().rows == 1


def test_a_gap_fills_the_hole_but_what_comes_after_all_is_kept(archive: Archive) -> None:
    gap = '{"kind":"gap","validity":"valid","gap_lane":"numeric","gap_epoch":1,"first":3,"last":4}'
    add(archive, frame(1, 2), frame(5, 1), frame(1, 1, "event", gap))
    assert archive.word_for(STREAM) == (5, [])
    assert archive.ledger().missing == 0
    add(archive, frame(3, 2))
    assert archive.ledger() == Ledger(6, 6, 0, 0, 0, 0)


def test_a_result_sent_twice_is_kept_and_marked(archive: Archive, tmp_path: Path) -> None:
    result = (
        '{"kind":"result","validity":"valid","device":"lab","specimen":"S1","test":"GLU","value":5.40,'
        '"status":"final","identity":"abc"}'
    )
    add(archive, frame(1, 1, "event", result), frame(2, 1, "event", result.replace("lab", "other")))
    add(archive, frame(3, 1, "event", result))
    rows = query(tmp_path, "SELECT seq,value,duplicate_of FROM observations")
    assert rows == [(1, "5.40", None), (2, "5.40", None), (3, "5.40", 1)]
    assert archive.ledger() == Ledger(3, 3, 0, 0, 1, 0)


def test_a_result_in_words_is_the_value_of_its_row(archive: Archive, tmp_path: Path) -> None:
    said = (
        '{"kind":"result","validity":"valid","device":"lab","specimen":"S1","test":"HIV-1","value":%s,'
        '"answer":"%s","reason":"%s","status":"final","identity":"%s"}'
    )
    told = [("null", "NOT DETECTED", "", "a"), ("1520", "DETECTED", "", "b"), ("null", "", "invalid", "c")]
    for number, one in enumerate(told, 1):
        add(archive, frame(number, 1, "event", said % one))
    assert query(tmp_path, "SELECT value FROM observations") == [("NOT DETECTED",), ("1520",), (None,)]


def test_the_ledger_would_see_a_duplicate(archive: Archive, reopened: Callable[[], Archive], tmp_path: Path) -> None:
    add(archive, frame(1, 2))
    query(tmp_path, "DELETE FROM received")
    archive.close()
    archive = reopened()
    add(archive, frame(1, 1))
    assert archive.ledger().duplicates == 1


def test_boxes_and_refused_are_bounded(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.central.store.REFUSED_ROWS", 2)
    archive.begin()
    for _ in range(4):
        archive.note_refused("x", "y", b"z")
    archive.note_box("site-1", "gw-test", "state", "old")
    archive.note_box("site-1", "gw-test", "state", "new")
    archive.commit()
    assert archive._count("SELECT count(*) FROM refused") == 2
    assert archive.box("gw-test", "state") == "new"
    assert archive.box("gw-test", "birth") == ""


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 6)), max_size=40))
def test_ranges_say_what_a_set_would(pieces: list[tuple[int, int]]) -> None:
    ranges: list[tuple[int, int]] = []
    numbers: set[int] = set()
    for first, more in pieces:
        ranges = add_range(ranges, first, first + more)
        numbers |= set(range(first, first + more + 1))
    assert {n for a, b in ranges for n in range(a, b + 1)} == numbers
    assert all(b + 1 < c for (_, b), (c, _) in zip(ranges, ranges[1:], strict=False))
    top, holes = holes_of(ranges)
    assert top == max(numbers, default=0)
    assert {n for a, b in holes for n in range(a, b + 1)} == set(range(1, top + 1)) - numbers


def test_many_streams_do_not_grow_the_memory(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.central.store.CACHED_STREAMS", 5)
    order = [epoch for epoch in range(1, 20) for _ in range(2)]
    random.Random(1).shuffle(order)
    add(archive, *(frame(1, 1, epoch=epoch) for epoch in order))
    assert len(archive._cache) <= 5
    assert archive.ledger().rows == 19
