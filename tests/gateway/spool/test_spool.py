"""The spool as its users see it."""

import asyncio
import errno
import os
import threading
import tracemalloc
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from drivers.observation import Alert, AnyObservation, Lane, lane_of, stamp
from gateway.spool import buffer, disk
from gateway.spool import spool as module
from gateway.spool.spool import Depth, Position, Spool, SpoolLocked, SpoolUnusable
from tests.gateway.spool.harness import SEGMENT, alert, no_flush, numeric, run, stored, wave


def opened(path: Path, segment_bytes: int = SEGMENT) -> Spool:
    return Spool.open(path, flush=no_flush, segment_bytes=segment_bytes)


def test_lanes_and_numbers(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path)
        seen: list[tuple[Lane, int, int]] = []
        spool.listen(lambda lane, first, observations: seen.append((lane, first, len(observations))))
        await spool.put([numeric(1), alert(1), wave(1), numeric(2)])
        assert spool.committed == {"event": 1, "numeric": 0, "wave": 0, "log": 0}
        assert seen == [("event", 1, 1)]
        assert spool.frames_after("numeric", Position(0, 0), 9) == []
        await spool.tick(1)
        assert seen[1:] == [("numeric", 1, 2)]
        await spool.tick(5)
        assert seen[2:] == [("wave", 1, 1)]
        await spool.put([])
        await spool.commit_now()
        assert len(seen) == 3
        assert spool.head("numeric") == Position(1, 2)
        assert spool.released("numeric") == Position(0, 0)
        assert len(spool.id) == 16
        await spool.close()

    run(work())


def test_numbers_are_kept_as_printed_and_stamps_left_to_the_frame(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path)
        await spool.put([stamp(numeric(1), value=None)])
        await spool.put([stamp(numeric(1), value=Decimal("97.0"), gateway="g", epoch=9, lane="event", seq=3)])
        await spool.commit_now()
        (frame,) = spool.frames_after("numeric", Position(0, 0), 9)
        assert b'"value":97.0,' in frame.payload
        assert all(word not in frame.payload for word in (b"gateway", b"epoch", b"lane", b"seq"))
        assert (frame.first, frame.last, frame.count, frame.content) == (1, 2, 2, 1)
        await spool.close()

    run(work())


def test_events_that_wait_share_a_flush(tmp_path: Path) -> None:
    async def work() -> None:
        gate, entered = threading.Event(), threading.Event()
        gate.set()

        def slow(fd: int) -> None:
            entered.set()
            assert gate.wait(10)

        spool = Spool.open(tmp_path, flush=slow)
        await spool.put([alert(0)])
        gate.clear()
        entered.clear()
        before = spool.counters
        first = asyncio.create_task(spool.put([alert(1)]))
        while not entered.is_set():
            await asyncio.sleep(0.001)  # the loop is free while the card flushes
        rest = [asyncio.create_task(spool.put([alert(number)])) for number in range(2, 30)]
        await asyncio.sleep(0)
        assert not first.done()
        gate.set()
        await asyncio.gather(first, *rest)
        after = spool.counters
        assert (after.commits - before.commits, after.flushes - before.flushes) == (2, 2)
        await spool.close()

    run(work())


def test_a_cancelled_put_leaves_the_spool_whole(tmp_path: Path) -> None:
    async def work() -> None:
        gate, entered = threading.Event(), threading.Event()

        def slow(fd: int) -> None:
            entered.set()
            assert gate.wait(10)

        gate.set()
        spool = Spool.open(tmp_path, flush=slow)
        gate.clear()
        entered.clear()
        put = asyncio.create_task(spool.put([alert(1)]))
        while not entered.is_set():
            await asyncio.sleep(0.001)
        waiting = asyncio.create_task(spool.wait_commit())
        await asyncio.sleep(0)
        gone = asyncio.create_task(spool.wait_commit())
        await asyncio.sleep(0)
        put.cancel()
        gone.cancel()
        await asyncio.gather(put, gone, return_exceptions=True)
        gate.set()
        assert await waiting is True
        await spool.put([alert(2)])
        assert list(stored(spool, "event")) == [("event", 1, 1), ("event", 1, 2)]
        await spool.close()

    run(work())


def test_a_cancelled_timer_leaves_the_commit_alone(tmp_path: Path) -> None:
    async def work() -> None:
        gate, entered = threading.Event(), threading.Event()

        def slow(fd: int) -> None:
            entered.set()
            assert gate.wait(10)

        gate.set()
        spool = Spool.open(tmp_path, flush=slow)
        seen: list[int] = []
        spool.listen(lambda lane, first, observations: seen.append(first))
        await spool.put([numeric(1)])
        gate.clear()
        entered.clear()
        beat = asyncio.create_task(spool.tick(1))
        while not entered.is_set():
            await asyncio.sleep(0.001)
        beat.cancel()
        await asyncio.gather(beat, return_exceptions=True)
        gate.set()
        await spool.put([numeric(2)])
        await spool.close()
        assert seen == [1, 2]

    run(work())


def test_wait_commit_gives_up(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path)
        assert await spool.wait_commit(0.001) is False
        await spool.close()

    run(work())


def test_the_timer_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        monkeypatch.setattr(module, "TICK_S", 0.001)
        spool = opened(tmp_path)
        timer = asyncio.create_task(spool.run())
        await spool.put([numeric(1), wave(1)])
        while spool.committed["wave"] < 1:
            assert await spool.wait_commit(10)
        assert spool.committed["numeric"] == 1
        await spool.close()
        await timer

    run(work())


def test_put_waits_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the buffer holds is taken at the pace of the commits, without anybody's timer."""

    async def work() -> None:
        monkeypatch.setitem(buffer.LIMIT_BYTES, "numeric", 4000)
        spool = opened(tmp_path)
        most = 0
        for number in range(400):
            await spool.put([numeric(number)])
            most = max(most, spool._lanes["numeric"].buffer.bytes)
        await spool.commit_now()
        assert most < 4200
        assert spool.committed["numeric"] == 400
        assert len(stored(spool, "numeric")) == 400
        await spool.close()

    run(work())


def test_puts_that_wait_for_room_are_refused_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        monkeypatch.setitem(buffer.LIMIT_BYTES, "event", 100)
        spool = opened(tmp_path)
        puts = [asyncio.create_task(spool.put([alert(number)])) for number in range(5)]
        await asyncio.sleep(0)
        await spool.close()
        results = await asyncio.gather(*puts, return_exceptions=True)
        good = [each for each in results if each is None]
        assert all(each is None or isinstance(each, module.SpoolClosed) for each in results)
        again = opened(tmp_path)
        assert len(stored(again, "event")) == len(good)
        await again.close()

    run(work())


def test_a_large_put_becomes_several_frames(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path, 1 << 20)
        await spool.put([alert(number, 3000) for number in range(400)])
        frames = spool.frames_after("event", Position(0, 0), 1000)
        assert len(frames) > 5
        assert all(len(frame.payload) <= 128 << 10 for frame in frames)
        assert [frame.first for frame in frames[1:]] == [frame.last + 1 for frame in frames[:-1]]
        assert frames[-1].last == 400
        assert len(list((tmp_path / "event").glob("*.seg"))) == 2
        await spool.put([alert(1, 900_000)])
        assert [frame.count for frame in spool.frames_after("event", Position(1, 400), 9)] == [1]
        await spool.close()

    run(work())


def test_acknowledgements(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path)
        for number in range(1, 21):
            await spool.put([alert(number, 300)])
        assert spool.acknowledge("event", 1, 10, [(3, 4), (8, 8)]) == 7
        assert spool.released("event") == Position(1, 2)
        assert spool.depth()["event"].observations == 13
        assert spool.is_acknowledged("event", 1, 1, 2)
        assert spool.is_acknowledged("event", 1, 5, 7)
        assert not spool.is_acknowledged("event", 1, 2, 5)
        assert not spool.is_acknowledged("event", 1, 7, 9)
        assert spool.acknowledge("event", 1, 10, [(3, 4), (8, 8)]) == 0
        assert spool.acknowledge("event", 7, 100) == 0
        assert spool.acknowledge("event", 0, 100) == 0
        assert spool.acknowledge("event", 1, 9, [(8, 8)]) == 2
        assert spool.released("event") == Position(1, 7)
        await spool.close()
        spool = opened(tmp_path)
        assert spool.released("event") == Position(1, 7)
        assert spool.is_acknowledged("event", 1, 9, 10)
        assert not spool.is_acknowledged("event", 1, 8, 8)
        assert spool.depth()["event"].observations == 11
        await spool.put([alert(21)])
        assert spool.acknowledge("event", 1, 1000) == 11
        assert spool.depth()["event"] == Depth(1, spool.depth()["event"].bytes)
        assert spool.acknowledge("event", 2, 1000) == 1
        assert spool.depth()["event"] == Depth(0, 0)
        assert spool.released("event") == spool.head("event") == Position(2, 1)
        assert spool.acknowledge("event", 1, 5) == 0
        assert spool.is_acknowledged("event", 1, 1, 20)
        await spool.close()

    run(work())


def test_ranges_beyond_the_point_are_bounded(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path, 1 << 20)
        await spool.put([alert(number) for number in range(1000)])
        holes = [(seq, seq) for seq in range(1, 1000, 2)]
        assert spool.acknowledge("event", 1, 1000, holes) == 160
        assert spool.depth()["event"].observations == 840
        await spool.close()
        spool = opened(tmp_path, 1 << 20)
        assert spool.depth()["event"].observations == 840
        assert spool.acknowledge("event", 1, 1000) == 840
        await spool.close()

    run(work())


def test_reading_is_lazy(tmp_path: Path) -> None:
    """Memory does not grow with what is stored, and going on does not begin at the segment's head."""

    async def work() -> None:
        spool = opened(tmp_path, 1 << 20)
        for _ in range(40):
            await spool.put([numeric(number, 500) for number in range(400)])
        await spool.commit_now()
        assert spool.depth()["numeric"].bytes > 8 << 20
        tracemalloc.start()
        count, last = 0, Position(0, 0)
        while frames := spool.frames_after("numeric", last, 2):
            last = Position(frames[-1].epoch, frames[-1].last)
            count += sum(frame.count for frame in frames)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert count == 16_000
        assert peak < 3 << 20
        middle = spool.frames_after("numeric", Position(1, 7777), 1)[0]
        assert middle.first <= 7778 <= middle.last
        await spool.close()

    run(work())


def test_one_owner(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path)
        with pytest.raises(SpoolLocked) as locked:
            opened(tmp_path)
        assert isinstance(locked.value, SpoolUnusable)
        assert str(tmp_path) in locked.value.text()
        await spool.close()
        again = opened(tmp_path)
        assert (again.id, again.epoch) == (spool.id, 2)
        await again.close()

    run(work())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errno.EROFS, disk.SpoolReadOnly),
        (errno.EACCES, disk.SpoolForbidden),
        (errno.ENOSPC, disk.SpoolNoSpace),
        (errno.EIO, SpoolUnusable),
    ],
)
def test_reasons_of_the_operating_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, kind: type[SpoolUnusable]
) -> None:
    def fail(*_: Any) -> int:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(kind) as refused:
            opened(tmp_path)
    assert str(tmp_path) in refused.value.text()
    run(opened(tmp_path).close())


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("not a folder", encoding="utf-8")
    with pytest.raises(SpoolUnusable):
        opened(tmp_path / "spool")


def test_a_full_disk_does_not_keep_it_from_starting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The epoch is written over the old one where there is no room beside it."""

    async def work() -> None:
        spool = opened(tmp_path)
        await spool.put([alert(1)])
        await spool.close()
        real = os.open

        def full(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if str(path).endswith(".new"):
                raise OSError(errno.ENOSPC, "full")
            return real(path, flags, *rest, **named)

        with monkeypatch.context() as patch:
            patch.setattr(os, "open", full)
            second = opened(tmp_path)
        assert (second.id, second.epoch) == (spool.id, 2)
        await second.close()
        third = opened(tmp_path)
        assert (third.id, third.epoch) == (spool.id, 3)
        assert len(stored(third, "event")) == 1
        await third.close()

    run(work())


def test_every_kind_comes_back(tmp_path: Path) -> None:
    async def work() -> None:
        spool = opened(tmp_path)
        given: list[AnyObservation] = [numeric(1), alert(1), wave(1)]
        await spool.put(given)
        await spool.commit_now()
        for each in given:
            assert list(stored(spool, lane_of(each)).values()) == [each]
        assert isinstance(given[1], Alert)
        await spool.close()

    run(work())
