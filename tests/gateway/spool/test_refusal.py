"""The disk refuses: nothing is confirmed that is not stored, nothing is lost without a gap; it goes on by itself."""

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.observation import AnyObservation, Gap, Lane
from gateway.spool import buffer
from gateway.spool.spool import CommitRefused, DiskFull, Position, Spool, SpoolClosed, TooLarge
from tests.gateway.spool.harness import SEGMENT, Ledger, alert, no_flush, numeric, run, stored, wave


class Trouble:
    """A disk that refuses while `error` is set, at the calls named in `at`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: str, error: int) -> None:
        self.error, self.at = 0, at
        self.wanted = error
        self.flushed: list[int] = []
        self.failed: list[int] = []
        for name in ("pwrite", "posix_fallocate"):
            monkeypatch.setattr(os, name, self._or_fail(name, getattr(os, name)))

    def _or_fail(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(fd: int, *rest: Any) -> Any:
            self.meet(name, fd)
            return real(fd, *rest)

        return call

    def meet(self, name: str, fd: int) -> None:
        if self.error and name == self.at:
            self.failed.append(os.fstat(fd).st_ino)
            raise OSError(self.error, os.strerror(self.error))

    def flush(self, fd: int) -> None:
        self.flushed.append(os.fstat(fd).st_ino)
        self.meet("flush", fd)

    def begin(self) -> None:
        self.error = self.wanted

    def end(self) -> None:
        self.error = 0


CASES = [
    ("flush", errno.EIO, CommitRefused),
    ("flush", errno.ENOSPC, DiskFull),
    ("pwrite", errno.EIO, CommitRefused),
    ("pwrite", errno.ENOSPC, DiskFull),
    ("pwrite", errno.EDQUOT, DiskFull),
]


@pytest.mark.parametrize(("at", "error", "kind"), CASES)
def test_refused_then_good_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, error: int, kind: type[CommitRefused]
) -> None:
    async def work() -> None:
        trouble = Trouble(monkeypatch, at, error)
        spool = Spool.open(tmp_path, flush=trouble.flush, segment_bytes=SEGMENT)
        ledger = Ledger()
        ledger.watch(spool)
        await spool.put([alert(1)])
        await spool.put([numeric(1), numeric(2)])
        await spool.commit_now()
        trouble.begin()
        await spool.put([numeric(3)])
        await spool.commit_now()
        results = await asyncio.gather(
            *(spool.put([alert(10 + at), numeric(90)]) for at in range(3)), return_exceptions=True
        )
        assert [type(each) for each in results] == [kind] * 3
        assert str(results[0])
        assert spool.committed == {"event": 1, "numeric": 2, "wave": 0, "log": 0}
        assert spool.counters.refused >= 2
        trouble.end()
        flushed = len(trouble.flushed)
        await spool.put([alert(2)])
        await spool.put([numeric(4)])
        await spool.commit_now()
        assert not set(trouble.failed) & set(trouble.flushed[flushed:]), "a descriptor that failed was tried again"
        assert spool.committed == {"event": 2, "numeric": 4, "wave": 0, "log": 0}
        events = [each.vendor.code for each in stored(spool, "event").values() if each.vendor]
        assert events == ["1", "2"], "what was refused is not there"
        values = [int(each.value or 0) for each in stored(spool, "numeric").values()]  # type: ignore[union-attr]
        assert values == [1, 2, 3, 4], "numerics outlast the trouble, those of a refused put excepted"
        await spool.close()
        again = Spool.open(tmp_path, flush=no_flush, segment_bytes=SEGMENT)
        assert ledger.missing(again) == []
        assert [each.vendor.code for each in stored(again, "event").values() if each.vendor] == ["1", "2"]
        assert again.recovery.gaps == ()
        await again.close()

    run(work())


def test_no_room_for_a_new_segment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current segment is used up to its end; then the lane refuses, and a released segment lets it go on."""

    async def work() -> None:
        trouble = Trouble(monkeypatch, "posix_fallocate", errno.ENOSPC)
        spool = Spool.open(tmp_path, flush=no_flush, segment_bytes=SEGMENT)
        await spool.put([alert(0, 1000)])
        await spool.put([alert(1, 1000)])
        await spool.put([alert(2, 1000)])
        await spool.put([alert(3, 1000)])
        trouble.begin()
        await spool.put([alert(4, 1000)])
        await spool.put([alert(5, 1000)])
        with pytest.raises(DiskFull):
            await spool.put([alert(6, 1000)])
        await spool.put([alert(7, 10)])
        assert [each.suffix for each in sorted((tmp_path / "event").iterdir())] == [".seg", ".seg", ""]
        assert spool.acknowledge("event", 1, 3) == 3
        await spool.tick(1)
        await spool.put([alert(8, 1000)])
        assert [each.vendor.code for each in stored(spool, "event").values() if each.vendor] == list("34578")
        await spool.close()

    run(work())


@pytest.mark.parametrize("lane", ["numeric", "wave"])
def test_bounded_while_the_disk_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lane: Lane) -> None:
    async def work() -> None:
        monkeypatch.setitem(buffer.LIMIT_BYTES, lane, 20_000)
        trouble = Trouble(monkeypatch, "flush", errno.EIO)
        spool = Spool.open(tmp_path, flush=trouble.flush, segment_bytes=SEGMENT)
        ledger = Ledger()
        ledger.watch(spool)
        make: Callable[[int], AnyObservation] = numeric if lane == "numeric" else wave
        await spool.put([make(number) for number in range(10)])
        await spool.commit_now()
        trouble.begin()
        for number in range(2000):
            await spool.put([make(number)])
            assert spool._lanes[lane].buffer.bytes < 21_000
            if number % 100 == 0:
                await spool.tick(5)
                assert spool.frames_after("event", Position(0, 0), 9) == []
        assert spool.counters.dropped > 1000
        trouble.end()
        await spool.tick(5)
        await spool.tick(60)
        gaps = [each for each in stored(spool, "event").values() if isinstance(each, Gap)]
        assert [(each.gap_lane, each.gap_epoch, each.first, each.reason) for each in gaps] == [
            (lane, 1, 11, "disk_refused")
        ]
        assert gaps[0].last - gaps[0].first + 1 == spool.counters.dropped
        held = [seq for _, _, seq in stored(spool, lane)]
        assert held == [*range(1, 11), *range(gaps[0].last + 1, 2011)]
        assert spool.depth()[lane].observations == len(held)
        assert ledger.acknowledge(spool, lane, 1, 2010) == len(held)
        assert spool.depth()[lane].observations == 0
        assert spool.released(lane) == Position(1, 2010)
        await spool.close()

    run(work())


def test_a_gap_record_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gaps of several lanes and times survive refused commits, joined where they adjoin; their number is bounded."""
    owed = buffer.Owed()
    monkeypatch.setattr(buffer, "OWED_GAPS", 3)
    for first, last, lane in [(1, 5, "numeric"), (6, 9, "numeric"), (1, 2, "wave"), (20, 22, "numeric")]:
        owed.add(Gap(validity="valid", reason="r", gap_lane=lane, gap_epoch=1, first=first, last=last))  # type: ignore[arg-type]
    taken = [each for each in owed.take() if isinstance(each, Gap)]
    assert [(each.gap_lane, each.first, each.last) for each in taken] == [
        ("numeric", 1, 9),
        ("wave", 1, 2),
        ("numeric", 20, 22),
    ]
    assert not owed
    owed.add(Gap(validity="valid", reason="r", gap_lane="numeric", gap_epoch=1, first=30, last=31))
    owed.give_back(taken)
    assert [(each.first, each.last) for each in owed.take() if isinstance(each, Gap)] == [(1, 9), (1, 2), (20, 31)]


def test_too_large_and_closed(tmp_path: Path) -> None:
    async def work() -> None:
        spool = Spool.open(tmp_path, flush=no_flush, segment_bytes=SEGMENT)
        with pytest.raises(TooLarge):
            await spool.put([numeric(1), alert(1, SEGMENT)])
        await spool.put([alert(1, SEGMENT - 420)])
        await spool.commit_now()
        assert spool.committed["numeric"] == 0
        await spool.close()
        await spool.close()
        with pytest.raises(SpoolClosed):
            await spool.put([numeric(1)])

    run(work())


def test_a_failed_cursor_frees_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        trouble = Trouble(monkeypatch, "flush", errno.EIO)
        spool = Spool.open(tmp_path, flush=trouble.flush, segment_bytes=SEGMENT)
        for number in range(8):
            await spool.put([alert(number, 1000)])
        spool.acknowledge("event", 1, 7)
        trouble.begin()
        await spool.tick(1)
        assert len(list((tmp_path / "event").glob("*.seg"))) == 3
        trouble.end()
        await spool.tick(2)
        assert len(list((tmp_path / "event").glob("*.seg"))) == 1
        assert len(list((tmp_path / "event").glob("*.free"))) == 2
        for number in range(30):
            await spool.put([alert(number, 1000)])
        spool.acknowledge("event", 1, 38)
        await spool.tick(3)
        assert len(list((tmp_path / "event").glob("*.free"))) == 4, "more are given back"
        await spool.close()

    run(work())


def test_a_failing_disk_at_close_still_lets_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        trouble = Trouble(monkeypatch, "flush", errno.EIO)
        spool = Spool.open(tmp_path, flush=trouble.flush, segment_bytes=SEGMENT)
        await spool.put([numeric(1)])
        trouble.begin()
        await spool.close()
        trouble.end()
        await Spool.open(tmp_path, flush=no_flush).close()

    run(work())


def test_mixed_put_needs_its_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A put whose event is refused leaves nothing behind, neither event nor numeric."""

    async def work() -> None:
        trouble = Trouble(monkeypatch, "pwrite", errno.ENOSPC)
        spool = Spool.open(tmp_path, flush=no_flush, segment_bytes=SEGMENT)
        trouble.begin()
        with pytest.raises(DiskFull) as refused:
            await spool.put([numeric(1), alert(1)])
        assert "full" in refused.value.text()
        trouble.end()
        await spool.commit_now()
        assert spool.committed == {"event": 0, "numeric": 0, "wave": 0, "log": 0}
        await spool.close()

    run(work())


def test_a_refusal_is_told_though_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trouble = Trouble(monkeypatch, "flush", errno.ENOSPC)
    refusing: list[bool] = []
    told: list[tuple[Lane, CommitRefused]] = []

    async def go() -> None:
        spool = Spool.open(tmp_path, flush=trouble.flush)
        spool.listen_refusals(lambda lane, error: told.append((lane, error)))
        await spool.put((numeric(1),))
        trouble.begin()
        await spool.commit_now()
        refusing.append(spool.is_refusing)
        trouble.end()
        await spool.commit_now()
        refusing.append(spool.is_refusing)
        assert spool.committed["numeric"] == 1
        await spool.close()

    run(go())
    assert refusing == [True, False]
    assert [(lane, type(one)) for lane, one in told] == [("numeric", DiskFull)]
