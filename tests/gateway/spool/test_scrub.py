"""The scrub finds damage that nobody reads, keeps out of the way of commits, and goes round slowly."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from drivers.observation import Gap, Lane
from gateway.errors import JisrError
from gateway.spool import scrub, window
from gateway.spool.disk import DamageFound
from gateway.spool.scrub import Scrubber
from gateway.spool.spool import Position, Spool
from tests.gateway.spool.harness import SEGMENT, alert, no_flush, numeric, run, stored

WINDOW = 1500
"""Less than a segment, more than one frame of it."""
FRAME = 1300


@pytest.fixture(autouse=True)
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (window, scrub):
        monkeypatch.setattr(module, "WINDOW_BYTES", WINDOW)


async def filled(folder: Path, events: int = 9, numerics: int = 6) -> Spool:
    spool = Spool.open(folder, flush=no_flush, segment_bytes=SEGMENT)
    for number in range(events):
        await spool.put([alert(number, 1000)])
    for number in range(numerics):
        await spool.put([numeric(number, 1000)])
        await spool.commit_now()
    return spool


def spoil(folder: Path, lane: Lane, which: int, at: int) -> None:
    path = sorted((folder / lane).glob("*.seg"))[which]
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def told(spool: Spool) -> list[tuple[Lane, int, int, str]]:
    records = stored(spool, "event", Position(1, 9)).values()
    return [(each.gap_lane, each.first, each.last, each.reason) for each in records if isinstance(each, Gap)]


async def lap(spool: Spool, most: int = 1 << 30) -> int:
    """Beats until everything was read once more; fails if one of them reads so much."""
    laps, beats = spool.counters.scrub_laps, 0
    while spool.counters.scrub_laps == laps:
        before = spool.counters.scrubbed_bytes
        await spool.tick(1)
        assert spool.counters.scrubbed_bytes - before < most
        beats += 1
        assert beats < 100
    return beats


def test_every_frame_of_every_lane_is_read(tmp_path: Path) -> None:
    async def work() -> None:
        spool = await filled(tmp_path)
        beats = await lap(spool, most=WINDOW + FRAME)
        size = sum(each.bytes for each in spool.depth().values())
        assert spool.counters.scrubbed_bytes == size
        assert size / (WINDOW + FRAME) < beats <= 2 * size / WINDOW
        assert (spool.counters.damaged, told(spool)) == (0, [])
        await spool.close()

    run(work())


def test_damage_is_told_once_and_the_file_kept(tmp_path: Path) -> None:
    """In the middle of a lane, and in the segment that is being written."""

    async def work() -> None:
        spool, notices = await filled(tmp_path), list[JisrError]()
        spool.listen_notices(notices.append)
        spoil(tmp_path, "event", 1, 2500)
        spoil(tmp_path, "numeric", 1, 400)
        await lap(spool)
        await spool.tick(1)
        assert told(spool) == [("event", 5, 5, "damaged"), ("numeric", 4, 4, "damaged")]
        assert spool.counters.damaged == 2
        assert [each.facts["lane"] for each in notices if isinstance(each, DamageFound)] == ["event", "numeric"]
        assert list(stored(spool, "event"))[4] == ("event", 1, 6)
        assert spool.counters.damaged == 2
        assert spool.acknowledge("event", 1, 4) == 4
        assert spool.released("event") == Position(1, 5)
        spool.acknowledge("event", 1, 9)
        await spool.tick(1)
        assert [path.name[:10] for path in (tmp_path / "event").glob("*.bad")] == ["0000000002"]
        await spool.close()

    run(work())


def test_a_lap_is_not_run_over_and_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        spool = await filled(tmp_path, 3, 0)
        before = spool.counters.scrubbed_bytes
        for _ in range(50):
            await spool.tick(1)
        assert (spool.counters.scrub_laps, spool.counters.scrubbed_bytes - before) == (
            1,
            spool.depth()["event"].bytes,
        )
        spoil(tmp_path, "event", 0, 1500)
        monkeypatch.setattr(scrub, "LAP_BEATS", 0)
        await lap(spool)
        assert spool.counters.damaged == 1
        await spool.close()

    run(work())


def test_a_commit_waits_for_one_window_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        gate, entered, windows = threading.Event(), threading.Event(), list[int]()
        spool = await filled(tmp_path)
        verify = Scrubber.verify

        def slow(scrubber: Scrubber, stretch: scrub.Stretch) -> None:
            windows.append(stretch.offset)
            entered.set()
            assert gate.wait(10)
            verify(scrubber, stretch)

        monkeypatch.setattr(Scrubber, "verify", slow)
        beat = asyncio.create_task(spool.tick(1))
        while not entered.is_set():
            await asyncio.sleep(0.001)
        put = asyncio.create_task(spool.put([alert(10)]))
        again = asyncio.create_task(spool.tick(2))
        gate.set()
        await put
        assert len(windows) == 1, "the event is on disk before the next window is read"
        await asyncio.gather(beat, again)
        await spool.close()

    run(work())


def test_it_goes_on_where_it_was(tmp_path: Path) -> None:
    """Also when the segment grew, was released, or its file is gone meanwhile."""

    async def work() -> None:
        spool = await filled(tmp_path, 6, 1)
        await spool.tick(1)
        spool.acknowledge("event", 1, 3)
        await spool.tick(1)
        await spool.put([alert(7, 1000)])
        await lap(spool)
        assert (spool.counters.damaged, told(spool)) == (0, [])
        await spool.close()

    run(work())


def test_it_asks_the_medium_not_the_kernel_s_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        dropped: list[tuple[int, int, int]] = []

        def advise(_: int, offset: int, size: int, what: int) -> None:
            dropped.append((offset, size, what))

        spool = await filled(tmp_path, 1, 0)
        monkeypatch.setattr(os, "posix_fadvise", advise)
        await lap(spool)
        assert [(offset, what) for offset, _, what in dropped] == [(128, os.POSIX_FADV_DONTNEED)]
        stored(spool, "event")
        assert len(dropped) == 1
        await spool.close()

    run(work())
