"""Caps and a full disk: what is given up, in which order, never without its gap record, and never an event."""

import asyncio
import errno
import os
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drivers.observation import LANES, Alert, AnyObservation, Gap, Lane
from gateway.errors import JisrError
from gateway.spool import spool as module
from gateway.spool.cipher import NO_SECRET
from gateway.spool.disk import Evicted
from gateway.spool.reader import SpoolReader
from gateway.spool.room import REFUSED
from gateway.spool.spool import CommitRefused, DiskFull, DiskNearlyFull, EventsFull, Frame, Position, Spool
from gateway.spool.writer import LaneWriter
from tests.gateway.spool.harness import alert, no_flush, numeric, run, stored
from tests.gateway.spool.small_disk import SEGMENT, SmallDisk, filled, lane_for_tests, segments, taken

OBSERVATIONS = msgspec.json.Decoder(list[AnyObservation])


@pytest.fixture(autouse=True)
def log_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "lane_of", lane_for_tests)


def gaps_of(spool: Spool) -> list[tuple[Lane, int, int, str]]:
    records = stored(spool, "event").values()
    return [(each.gap_lane, each.first, each.last, each.reason) for each in records if isinstance(each, Gap)]


def test_log_then_wave_then_numeric_then_no_more(tmp_path: Path) -> None:
    async def work() -> None:
        disk, notices = SmallDisk(), list[JisrError]()
        spool = await filled(tmp_path, dict.fromkeys(LANES, 5), usage=disk.use)
        spool.listen_notices(notices.append)
        left = []
        disk.total = 100 * SEGMENT
        for _ in range(7):  # at 94 % two of the hundred have to go, to be below 93
            disk.others = 94 * SEGMENT - taken(tmp_path)
            await spool.tick(1)
            left.append("".join(str(len(segments(tmp_path, lane))) for lane in ("numeric", "wave", "log")))
        assert left == ["553", "551", "531", "511", "311", "111", "111"]
        spans = [(lane, first, first + 1, "evicted") for lane in ("log", "wave", "numeric") for first in (1, 3)]
        assert gaps_of(spool) == spans
        told = [each.facts["lane"] for each in notices if isinstance(each, Evicted)]
        assert told == ["log", "log", "wave", "wave", "numeric", "numeric"]
        assert (spool.counters.evicted, spool.counters.evicted_segments) == (12, 12)
        assert len([key for key in stored(spool, "event") if key[2] <= 5]) == 5
        await spool.close()

    run(work())


def test_the_gap_is_on_disk_before_the_file_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        flushed = [0]

        def flush(_: int) -> None:
            flushed[0] = len(segments(tmp_path, "event"))
            told[:] = [
                (each.gap_lane, each.first, each.last)
                for frame in SpoolReader(tmp_path, NO_SECRET).frames("event", Position(0, 0))
                if isinstance(frame, Frame)
                for each in OBSERVATIONS.decode(frame.payload)
                if isinstance(each, Gap)
            ]

        told: list[tuple[Lane, int, int]] = []
        evict, seen = LaneWriter.evict, list[tuple[list[int], list[tuple[Lane, int, int]]]]()

        def watched(writer: LaneWriter, runs: Any, *, is_disk_short: bool) -> None:
            assert all(run.path.exists() for run in runs)
            seen.append(([run.first for run in runs], list(told)))
            evict(writer, runs, is_disk_short=is_disk_short)

        monkeypatch.setattr(LaneWriter, "evict", watched)
        caps: dict[Lane, int] = {"numeric": 3 * SEGMENT}
        spool = Spool.open(tmp_path, flush=flush, segment_bytes=SEGMENT, caps=caps)
        for number in range(6):
            await spool.put([numeric(number, 1300)])
            await spool.commit_now()
        assert [firsts for firsts, _ in seen] == [[1], [2], [3]]
        for (first,), then in seen:
            assert ("numeric", first, first) in then
        await spool.close()

    run(work())


def test_a_lane_over_its_cap_uses_its_oldest_file_again(tmp_path: Path) -> None:
    async def work() -> None:
        spool = await filled(tmp_path, {"numeric": 20, "event": 1}, caps={"numeric": 4 * SEGMENT})
        assert len(segments(tmp_path, "numeric")) == 4
        assert len(list((tmp_path / "numeric").glob("*.free"))) == 0
        assert [seq for _, _, seq in stored(spool, "numeric")] == [17, 18, 19, 20]
        assert [(first, last) for _, first, last, _ in gaps_of(spool)] == [(seq, seq) for seq in range(1, 17)]
        assert spool.depth()["numeric"].observations == 4
        assert spool.released("numeric") == Position(1, 16), "nobody waits for what cannot come"
        assert spool.acknowledge("numeric", 1, 20) == 4
        assert spool.depth()["numeric"].observations == 0
        await spool.close()

    run(work())


def test_what_the_platform_has_leaves_no_gap(tmp_path: Path) -> None:
    async def work() -> None:
        disk = SmallDisk()
        spool = await filled(tmp_path, {"numeric": 6}, usage=disk.use)
        assert spool.acknowledge("numeric", 1, 6, [(1, 1), (4, 5)]) == 3
        disk.total = disk.others = 100 * SEGMENT
        await spool.tick(1)
        assert gaps_of(spool) == [("numeric", 1, 1, "evicted"), ("numeric", 4, 5, "evicted")]
        assert spool.released("numeric") == Position(1, 6)
        await spool.close()
        spool = Spool.open(tmp_path, flush=no_flush, segment_bytes=SEGMENT)
        assert (spool.recovery.gaps, spool.released("numeric")) == ((), Position(1, 6))
        await spool.close()

    run(work())


def test_without_its_gap_record_nothing_goes(tmp_path: Path) -> None:
    """The event lane refuses: the numeric lane does not grow over its cap, and keeps what is on disk and buffered."""

    async def work() -> None:
        trouble = [False]

        def flush(fd: int) -> None:
            if trouble[0] and "/event/" in str(Path(f"/proc/self/fd/{fd}").readlink()):
                raise OSError(errno.EIO, "EIO")

        spool = Spool.open(tmp_path, flush=flush, segment_bytes=SEGMENT, caps={"numeric": 3 * SEGMENT})
        for number in range(3):
            await spool.put([numeric(number, 1300)])
            await spool.commit_now()
        trouble[0] = True
        await spool.put([numeric(3, 1300)])
        for _ in range(3):
            await spool.commit_now()
        assert [seq for _, _, seq in stored(spool, "numeric")] == [1, 2, 3]
        assert (len(segments(tmp_path, "numeric")), spool.counters.evicted) == (3, 0)
        trouble[0] = False
        await spool.tick(1)
        assert [seq for _, _, seq in stored(spool, "numeric")] == [2, 3, 4]
        assert gaps_of(spool) == [("numeric", 1, 1, "evicted")]
        await spool.close()

    run(work())


def alerts(spool: Spool) -> list[tuple[str, str]]:
    records = stored(spool, "event").values()
    found = [each for each in records if isinstance(each, Alert) and each.vendor]
    return [(each.presence, each.vendor.text) for each in found if each.vendor and "refused" in each.vendor.code]


def test_events_are_refused_on_a_disk_that_is_nearly_full(tmp_path: Path) -> None:
    """Once it is said, to the platform too, and once that it is over: below 93 %, not at 94."""

    async def work() -> None:
        disk, complaints = SmallDisk(100 * SEGMENT), list[tuple[Lane, CommitRefused]]()
        spool = await filled(tmp_path, {"event": 1, "numeric": 1}, usage=disk.use)
        spool.listen_refusals(lambda lane, error: complaints.append((lane, error)))
        disk.others = 95 * SEGMENT
        for _ in range(3):
            with pytest.raises(DiskNearlyFull, match="9[0-9] %"):
                await spool.put([alert(2), numeric(2)])
            await spool.tick(1)
        assert (spool.counters.events_refused, spool.counters.is_refusing_events) == (3, 1)
        assert [(lane, type(each)) for lane, each in complaints] == [("event", DiskNearlyFull)]
        refusing = [spool.is_refusing]
        await spool.put([Gap(validity="valid", reason="damaged", gap_lane="wave", gap_epoch=1, first=1, last=2)])
        await spool.put([numeric(3)])
        await spool.tick(1)
        assert spool.committed["numeric"] == 2
        disk.others = 94 * SEGMENT - taken(tmp_path)
        await spool.tick(1)
        with pytest.raises(DiskNearlyFull):
            await spool.put([alert(3)])
        disk.others = 90 * SEGMENT - taken(tmp_path)
        await spool.put([alert(4)])
        await spool.tick(1)
        assert alerts(spool) == [("on", "disk"), ("off", "disk")]
        assert [*refusing, spool.is_refusing] == [True, False]
        assert [each.vendor.code for each in stored(spool, "event").values() if each.vendor][-2:] == ["4", REFUSED]
        await spool.close()

    run(work())


def test_events_are_refused_at_their_cap(tmp_path: Path) -> None:
    """None is given up for another; the spool's own records find room above the cap, up to a limit."""

    async def work() -> None:
        caps: dict[Lane, int] = {"event": 4 * SEGMENT, "numeric": 3 * SEGMENT}
        spool = await filled(tmp_path, {"event": 4}, caps=caps)
        with pytest.raises(EventsFull, match="8 KiB"):
            await spool.put([alert(5, 1300)])
        with pytest.raises(EventsFull):
            await spool.put([alert(5)])
        for number in range(100):
            await spool.put([numeric(number, 1300)])
            await spool.commit_now()
        assert [seq for _, _, seq in stored(spool, "event")][:4] == [1, 2, 3, 4]
        told = [(first, last) for _, first, last, _ in gaps_of(spool)]
        assert len(segments(tmp_path, "event")) == 8
        assert told[0][0] == 1
        assert [one[1] + 1 for one in told[:-1]] == [one[0] for one in told[1:]]
        assert [seq for _, _, seq in stored(spool, "numeric")][0] == told[-1][1] + 1
        assert len(segments(tmp_path, "numeric")) == 3
        assert spool.counters.evicted == told[-1][1]
        spool.acknowledge("event", 1, 1000)
        await spool.tick(1)
        await spool.put([alert(6)])
        assert alerts(spool)[-1] == ("off", "cap")
        await spool.tick(1)
        assert [seq for _, _, seq in stored(spool, "numeric")][-1] == spool.committed["numeric"] == 100
        await spool.close()

    run(work())


def test_a_full_disk_is_got_out_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file can be made, and the event lane's own is full: the segment kept back takes the gap record."""

    async def work() -> None:
        spool = await filled(tmp_path, {"log": 3, "event": 2}, pad=1600)
        assert (tmp_path / "reserve").stat().st_size == SEGMENT
        room = [0]
        unlink, allocate = Path.unlink, os.posix_fallocate

        def unlinked(path: Path, missing_ok: bool = False) -> None:
            room[0] += path.suffix == ".seg"
            unlink(path, missing_ok)

        def allocated(fd: int, offset: int, length: int) -> None:
            if not room[0]:
                raise OSError(errno.ENOSPC, "full")
            room[0] -= 1
            allocate(fd, offset, length)

        monkeypatch.setattr(Path, "unlink", unlinked)
        monkeypatch.setattr(os, "posix_fallocate", allocated)
        with pytest.raises(DiskFull):
            await spool.put([alert(7, 1300)])
        await spool.tick(1)
        assert gaps_of(spool) == [("log", 1, 1, "evicted")]
        assert not (tmp_path / "reserve").exists()
        assert spool.counters.is_refusing_events == 0
        await spool.put([alert(8, 1300)])
        assert len(stored(spool, "event")) == 4
        room[0] = 5
        await spool.tick(60)
        assert (tmp_path / "reserve").exists()
        await spool.close()

    run(work())


def test_an_event_that_waits_behind_a_refused_gap_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a refusal the spool's own records go first and alone; whoever put meanwhile hears how that ended."""

    async def work() -> None:
        trouble = [True]

        def flush(fd: int) -> None:
            if (
                trouble[0]
                and "/event/" in str(Path(f"/proc/self/fd/{fd}").readlink())
                and "cursor" not in str(Path(f"/proc/self/fd/{fd}").readlink())
            ):
                raise OSError(errno.EIO, "EIO")

        trouble[0] = False
        spool = Spool.open(tmp_path, flush=flush, segment_bytes=SEGMENT)
        await spool.put([alert(1)])
        trouble[0] = True
        spool._committer.tell_lost("numeric", [(1, 1, 1)])
        for number in range(3):
            with pytest.raises(CommitRefused):
                await spool.put([alert(number)])
        trouble[0] = False
        await spool.put([alert(5)])
        codes = [each.vendor.code if each.vendor else "gap" for each in stored(spool, "event").values()]
        assert codes == ["1", "gap", "5"]
        await spool.close()

    run(work())


def test_what_goes_is_not_read_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the gap record and its file's end: the frames are not given out, and their absence is no damage."""

    async def work() -> None:
        gate, entered = threading.Event(), threading.Event()
        spool = await filled(tmp_path, {"numeric": 3}, caps={"numeric": 3 * SEGMENT})
        evict = LaneWriter.evict

        def slow(writer: LaneWriter, runs: Any, *, is_disk_short: bool) -> None:
            evict(writer, runs, is_disk_short=is_disk_short)
            entered.set()
            assert gate.wait(10)

        monkeypatch.setattr(LaneWriter, "evict", slow)
        await spool.put([numeric(4, 1300)])
        commit = asyncio.create_task(spool.commit_now())
        while not entered.is_set():
            await asyncio.sleep(0.001)
        assert [seq for _, _, seq in stored(spool, "numeric")] == [2, 3]
        assert spool.acknowledge("numeric", 1, 3) == 3
        gate.set()
        await commit
        await spool.tick(60)
        assert [seq for _, _, seq in stored(spool, "numeric")] == [4]
        assert (gaps_of(spool), spool.counters.damaged) == ([("numeric", 1, 1, "evicted")], 0)
        assert spool.released("numeric") == Position(1, 3)
        await spool.close()

    run(work())


def test_a_defect_while_evicting_hangs_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        spool = await filled(tmp_path, {"numeric": 3}, caps={"numeric": 3 * SEGMENT})

        def broken(*_: Any, **__: Any) -> None:
            raise KeyError("defect")

        monkeypatch.setattr(LaneWriter, "evict", broken)
        await spool.put([numeric(4, 1300)])
        async with asyncio.timeout(5):
            with pytest.raises(KeyError):
                await spool.commit_now()
        assert spool.committed["numeric"] == 4
        await spool.close()

    run(work())
