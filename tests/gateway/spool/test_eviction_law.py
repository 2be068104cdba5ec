"""The law of eviction, for any order of things: no event goes, each loss is told once, the lesser goes first."""

import contextlib
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.observation import LANES, AnyObservation, Gap, Lane
from gateway.spool import spool as module
from gateway.spool.spool import DiskNearlyFull, EventsFull, Spool
from gateway.spool.writer import LaneWriter
from tests.gateway.spool.harness import Key, no_flush, run, stored
from tests.gateway.spool.small_disk import MAKE, SEGMENT, SmallDisk, began, lane_for_tests, segments, taken

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
ORDER: tuple[Lane, ...] = ("log", "wave", "numeric")


class Life:
    """Applies steps to a spool, and holds what was promised against what is there."""

    def __init__(self, folder: Path, caps: dict[Lane, int], patch: pytest.MonkeyPatch) -> None:
        self.folder, self.caps, self.disk = folder, caps, SmallDisk()
        self.kept: dict[Key, AnyObservation] = {}
        self.acked: set[Key] = set()
        self.gaps: list[tuple[Lane, Gap]] = []
        self.began: set[tuple[str, int, int]] = set()
        """Lane, epoch and first number of each segment that there ever was."""
        self.number = 0
        evict = LaneWriter.evict
        life = self

        def watched(writer: LaneWriter, runs: Any, *, is_disk_short: bool) -> None:
            life.before_eviction(writer._lane, len(runs))
            evict(writer, runs, is_disk_short=is_disk_short)

        patch.setattr(LaneWriter, "evict", watched)

    async def open(self) -> None:
        self.spool = Spool.open(
            self.folder,
            flush=no_flush,
            segment_bytes=SEGMENT,
            caps=self.caps,
            usage=lambda _: self.disk.use(self.folder),
        )
        self.spool.listen(self.committed)

    def committed(self, lane: Lane, first: int, observations: tuple[AnyObservation, ...]) -> None:
        self.began |= {began(path) for path in segments(self.folder, lane)}
        for seq, each in enumerate(observations, first):
            key = (lane, self.spool.epoch, seq)
            assert key not in self.kept, "a number was given twice"
            self.kept[key] = each
            if isinstance(each, Gap):
                self.gaps.append((each.gap_lane, each))

    def before_eviction(self, lane: Lane, count: int) -> None:
        assert lane != "event"
        there = segments(self.folder, lane)
        if (len(there) + 8) * SEGMENT < self.caps[lane]:  # not for its own cap, whatever the commit brings
            for lower in ORDER[: ORDER.index(lane)]:
                left = [path for path in segments(self.folder, lower) if self.is_needed(path)]
                is_written = len(left) == 1 and left[0].name.split("-")[1] == str(self.spool.epoch)
                assert not left or is_written, f"{lane} goes, and {lower} has {left}"

    def is_needed(self, path: Path) -> bool:
        """It holds something that the platform does not have."""
        lane, epoch, first = began(path)
        end = min((other for *of, other in self.began if of == [lane, epoch] and other > first), default=1 << 60)
        held = {key for key in self.kept if key[:2] == (lane, epoch) and first <= key[2] < end}
        return bool(held - self.acked)

    async def put(self, wanted: list[tuple[Lane, int]]) -> None:
        observations = []
        for lane, pad in wanted:
            self.number += 1
            observations.append(MAKE[lane](self.number, pad))
        must = self.must_refuse() and any(lane == "event" for lane, _ in wanted)
        before = self.spool.counters.events_refused
        with contextlib.suppress(DiskNearlyFull, EventsFull):
            await self.spool.put(observations)
            assert not must
        is_refused = self.spool.counters.events_refused > before
        assert is_refused <= self.spool.counters.is_refusing_events
        await self.spool.tick(60)

    def must_refuse(self) -> bool:
        has_evictable = any(
            len(left) > 1 or any(path.name.split("-")[1] != str(self.spool.epoch) for path in left)
            for left in (segments(self.folder, lane) for lane in ORDER)
        )
        return self.disk.use(self.folder).share >= 0.95 and not has_evictable

    async def ack(self, lane: Lane, back: int, holes: list[tuple[int, int]]) -> None:
        head = self.spool.head(lane)
        upto, ranges = max(0, head.seq - back), [(a, a + b) for a, b in holes]
        gone = {key for of, each in self.gaps if of == lane for key in inside(each)}
        self.acked |= {
            key
            for key in self.kept
            if key[:2] == (lane, head.epoch) and key[2] <= upto and not any(a <= key[2] <= b for a, b in ranges)
        } - gone
        self.spool.acknowledge(lane, head.epoch, upto, ranges)

    async def squeeze(self, share: int) -> None:
        """So much of the disk is in use now, with what the spool has."""
        self.disk.total = 100 * SEGMENT * 10
        self.disk.others = max(0, self.disk.total * share // 100 - taken(self.folder))

    async def restart(self) -> None:
        await self.spool.close()
        await self.open()

    async def step(self, name: str, *rest: Any) -> None:
        if name == "tick":
            await self.spool.tick(60)
        else:
            await getattr(self, name)(*rest)
        for lane in LANES:
            size = sum(path.stat().st_size for path in segments(self.folder, lane))
            assert size <= self.caps[lane] + (5 * SEGMENT if lane == "event" else 0)

    async def settle(self) -> None:
        """Everything that was promised is there, was acknowledged, or stands in exactly one gap record."""
        await self.spool.commit_now()
        there = {key for lane in LANES for key in stored(self.spool, lane)}
        told = Counter(key for _, each in self.gaps for key in inside(each))
        assert all(count == 1 for count in told.values()), "told twice"
        assert not set(told) & there, "there, and said to be gone"
        assert not set(told) & self.acked, "the platform has it"
        assert set(told) <= set(self.kept)
        assert {each.reason for _, each in self.gaps} <= {"evicted"}
        assert not any(key[0] == "event" for key in told)
        assert set(self.kept) - there - self.acked == set(told)


def inside(gap: Gap) -> list[Key]:
    return [(gap.gap_lane, gap.gap_epoch, seq) for seq in range(gap.first, gap.last + 1)]


puts = st.tuples(
    st.just("put"),
    st.lists(st.tuples(st.sampled_from(LANES), st.integers(300, 900)), min_size=4, max_size=8),
)
acks = st.tuples(
    st.just("ack"),
    st.sampled_from(LANES),
    st.integers(0, 12),
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 4)), max_size=2),
)
squeezes = st.tuples(st.just("squeeze"), st.sampled_from((50, 92, 93, 94, 95, 97, 99)))
plain = st.sampled_from((("tick",), ("restart",)))
steps = st.lists(st.one_of(puts, puts, puts, puts, acks, squeezes, plain), min_size=30, max_size=70)
sizes = st.integers(9, 14).map(lambda count: count * SEGMENT)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.fixed_dictionaries(dict.fromkeys(LANES, sizes)), steps)
def test_whatever_comes(caps: dict[Lane, int], steps: list[tuple[Any, ...]]) -> None:
    async def work(folder: Path, patch: pytest.MonkeyPatch) -> None:
        life = Life(folder, caps, patch)
        await life.open()
        for name, *rest in steps:
            await life.step(name, *rest)
        await life.settle()
        await life.spool.close()

    with tempfile.TemporaryDirectory(dir=MEMORY) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "lane_of", lane_for_tests)
        run(work(Path(folder), patch))
