"""Commits: what is buffered goes to disk, one commit at a time, and who waits for it is told.

All writing and flushing runs in one worker thread; index, buffers and waiters belong to the event loop.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import msgspec
from msgspec import Struct

from drivers.observation import LANES, AnyObservation, Gap, Lane
from gateway.errors import JisrError
from gateway.spool.acked import Range
from gateway.spool.aside import BAD_SEGMENTS
from gateway.spool.buffer import Batch, Buffer, Item, Owed, frames_of
from gateway.spool.cipher import Keyring
from gateway.spool.cursor import Cursor, State
from gateway.spool.disk import CommitRefused, DamagedRemoved, DamageFound, Evicted, SpoolClosed, refused
from gateway.spool.frame import OVERHEAD_BYTES, Frame
from gateway.spool.lane import LaneIndex
from gateway.spool.plan import Plan, planned, segments_for
from gateway.spool.recovery import gap
from gateway.spool.room import EVICT_FROM, EVICTION_ORDER, OWN_SEGMENTS, DiskUse, Gate, excess, told
from gateway.spool.scrub import Scrubber
from gateway.spool.segment import HEAD_BYTES, Run
from gateway.spool.writer import NO_ROOM, LaneWriter

Listener = Callable[[Lane, int, tuple[AnyObservation, ...]], None]
Complaint = Callable[[Lane, CommitRefused], None]
Notice = Callable[[JisrError], None]
Stamp = Callable[[], Mapping[str, Any]]
"""The fields that put the box's time on a record of the spool's own."""
RECORD_BYTES = 512
"""More than one of the spool's own records takes."""


class OpenLane(Struct):
    """Everything about one lane while the spool is open."""

    index: LaneIndex
    writer: LaneWriter
    cursor: Cursor
    buffer: Buffer
    is_refusing: bool = False
    """The last commit of this lane failed."""
    saved: State = State()
    """What the cursor file says."""

    def state(self) -> State:
        """What the cursor file should say."""
        newest = max(self.index.newest, self.saved.segment)
        return State(self.index.released, self.index.ranges, self.index.head, newest)


class Means(Struct, frozen=True):
    """What a spool is opened with."""

    epoch: int
    keyring: Keyring
    segment_bytes: int
    frame_bytes: int
    caps: Mapping[Lane, int]
    usage: Callable[[], DiskUse]
    stamp: Stamp


class _Stored(Struct, frozen=True):
    runs: list[Run]
    payload_bytes: int


class _Work(Struct):
    """One commit: what is written, and what goes before it."""

    batches: dict[Lane, Batch] = {}
    frames: dict[Lane, list[Frame]] = {}
    plan: Plan = msgspec.field(default_factory=Plan)
    states: dict[Lane, State] = {}
    """Cursors as they are without what goes."""
    lost: int = 0
    """Observations of what goes that the platform does not have."""
    is_own_only: bool = False
    must_wait: bool = False
    """There is no room for the gap records: nothing goes, and no lane may grow over its cap."""


class _Tidy(Struct, frozen=True):
    lane: OpenLane
    state: State
    runs: list[Run]
    must_flush: bool


Results = dict[Lane, _Stored | OSError]


class Committer:
    """The one writer."""

    def __init__(self, lanes: dict[Lane, OpenLane], means: Means) -> None:
        self._lanes, self._means = lanes, means
        self._worker = ThreadPoolExecutor(1, "spool")
        self._turn = asyncio.Lock()
        self._wanted: set[Lane] = set()
        self._queued: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: list[asyncio.Future[bool]] = []
        self._is_closed = self._is_full = False
        self._indexes = {name: lane.index for name, lane in lanes.items()}
        self.scrubber = Scrubber(self._indexes, means.keyring)
        self.gate = Gate(means.caps["event"], means.segment_bytes)
        self.owed = Owed(means.stamp)
        self.listeners: list[Listener] = []
        self.complaints: list[Complaint] = []
        self.notices: list[Notice] = []
        self.commits = self.payload_bytes = self.refused = self.dropped = 0
        self.evicted = self.evicted_segments = self.events_refused = self.damaged = 0

    async def store(self, items: list[Item]) -> None:
        """Event observations: returns when they are on disk. Raises CommitRefused."""
        if not all(isinstance(each.observation, Gap) for each in items):
            self._let_in(items)
        await self._room("event")
        waiter = asyncio.get_running_loop().create_future()
        self._lanes["event"].buffer.add(items, waiter)
        self._kick(("event",))
        await waiter

    async def hold(self, name: Lane, items: list[Item]) -> None:
        """Other observations: returns when they are buffered. Where the disk refuses, the oldest make room."""
        await self._room(name)
        lane = self._lanes[name]
        lane.buffer.add(items)
        if lane.is_refusing and not self._turn.locked():
            self._shed(name)
        elif lane.buffer.bytes >= lane.buffer.limit // 2:
            self._kick((name,))

    async def commit(self, lanes: Iterable[Lane]) -> None:
        """Commit what these lanes hold; returns when it is on disk or refused."""
        await asyncio.shield(self._kick(lanes))

    async def tidy(self, *, must_flush: bool) -> None:
        """Write the cursors that moved, and take back the segments that are released."""
        await asyncio.shield(self._spawn(self._tidy(must_flush)))

    async def scrub(self) -> None:
        """Read one window of what is committed, to see whether it can still be read."""
        await asyncio.shield(self._spawn(self._scrub()))

    async def next_end(self) -> bool:
        """Wait for the end of the next commit; True if it stored something."""
        end: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._ended.append(end)
        return await end

    async def close(self) -> None:
        """Commit what is buffered, write the cursors, let go of the files. Later puts are refused."""
        self._is_closed = True
        await self.commit(LANES)
        await self.tidy(must_flush=True)
        for lane in self._lanes.values():
            lane.writer.close()
            lane.cursor.close()
        self._worker.shutdown()

    @property
    def is_refusing(self) -> bool:
        """The last commit of some lane failed, or events are refused for want of room."""
        return bool(self.gate.why) or any(lane.is_refusing for lane in self._lanes.values())

    def tell_lost(self, name: Lane, ranges: Iterable[Range]) -> None:
        """These were committed and cannot be read any more: a gap record each, and a sentence."""
        for epoch, first, last in ranges:
            self.damaged += last - first + 1
            self.owed.add(gap(name, epoch, first, last, "damaged"))
            self._notify(DamageFound(lane=name))

    def tell(self, code: str, presence: Literal["on", "off"]) -> None:
        """An alert about the spool itself goes with the next commit."""
        self.owed.add(told(code, presence))

    def _notify(self, notice: JisrError) -> None:
        for listener in self.notices:
            listener(notice)

    def _let_in(self, items: list[Item]) -> None:
        """Raise where events are refused for want of room."""
        lane, means = self._lanes["event"], self._means
        size = lane.buffer.bytes + sum(len(each.encoded) + 1 for each in items) + OVERHEAD_BYTES + 2
        begun = int(size > lane.writer.room)
        if size > means.frame_bytes:  # frames are not divided: of two segments in a row at least half is used
            begun += 2 * size // (means.segment_bytes - HEAD_BYTES)
        self._judge(is_short=lane.index.allocated + begun * means.segment_bytes > means.caps["event"] and begun > 0)
        refusal = self.gate.refusal()
        if self.owed:  # that it is refused, or taken again
            self._kick(())
        if refusal:
            self.events_refused += len(items)
            raise refusal

    def _judge(self, *, is_short: bool = False) -> None:
        has_evictable = any(self._indexes[name].has_evictable for name in EVICTION_ORDER)
        changed = self.gate.judge(
            self._means.usage(),
            has_evictable=has_evictable,
            allocated=self._indexes["event"].allocated,
            is_short=is_short,
        )
        if not changed:
            return
        self.owed.add(changed)
        refusal = self.gate.refusal()
        for complain in self.complaints:
            if refusal:
                complain("event", refusal)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task of its own: who waits for it may be cancelled, a commit under way is not."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _kick(self, lanes: Iterable[Lane]) -> asyncio.Task[None]:
        self._wanted.update(lanes)
        if self._queued is None:
            self._queued = self._spawn(self._commit())
        return self._queued

    async def _room(self, name: Lane) -> None:
        lane = self._lanes[name]
        while lane.buffer.bytes >= lane.buffer.limit and not self._is_closed:
            if lane.is_refusing and name != "event" and not self._turn.locked():
                break
            self._kick((name,))
            await self.next_end()
        if self._is_closed:
            raise SpoolClosed

    async def _commit(self) -> None:
        async with self._turn:
            self._queued = None
            wanted, self._wanted = self._wanted, set()
            self._judge()
            work = _Work()
            results: Results = {}
            defect: Exception | None = None
            try:
                self._gather(work, wanted)
            except Exception as error:  # noqa: BLE001
                defect, results = error, {name: OSError(type(error).__name__) for name in work.batches}
            if not defect and (work.batches or work.plan.runs):
                loop = asyncio.get_running_loop()
                results, defect = await loop.run_in_executor(self._worker, self._write, work)
            self._gone(work, is_told=_is_told(work, results))
            for name, result in results.items():
                self._settle(name, work, result)
            stored = [name for name, result in results.items() if isinstance(result, _Stored)]
            ended, self._ended = self._ended, []
            for each in ended:
                if not each.done():
                    each.set_result(bool(stored))
            if work.is_own_only and len(self._lanes["event"].buffer):
                self._kick(("event",))
        for name in stored:
            observations = tuple(each.observation for each in work.batches[name].items)
            for listener in self.listeners:
                listener(name, work.batches[name].first, observations)
        if defect is not None:
            raise defect

    def _gather(self, work: _Work, wanted: set[Lane]) -> None:
        """What this commit writes, and what has to go for it, each with its gap record in the same commit."""
        means, event = self._means, self._lanes["event"]
        for name in LANES[1:]:
            lane = self._lanes[name]
            if name in wanted and len(lane.buffer):
                work.batches[name] = lane.buffer.take()
                work.frames[name] = frames_of(name, means.epoch, work.batches[name], means.frame_bytes)
        begun = {
            name: segments_for(frames, self._lanes[name].writer.room, means.segment_bytes)
            for name, frames in work.frames.items()
        }
        plan = planned(self._indexes, begun, means.caps, self._excess(), means.segment_bytes)
        missing = plan.missing(self._indexes)
        if plan.runs and not self._can_tell(len(missing)):
            plan, missing, work.must_wait = Plan(over=plan.over), [], True
        work.plan, work.lost = plan, sum(last - first + 1 for _, (_, first, last) in missing)
        for name, runs in plan.runs.items():
            released, ranges = self._indexes[name].without(runs)
            state = self._lanes[name].state()
            work.states[name] = State(released, ranges, state.committed, state.segment)
        plan.mark(is_leaving=True)
        owed = self.owed.take() if self.owed and self._can_tell(len(self.owed) + len(missing)) else []
        stamped = means.stamp() if missing else {}
        gaps = [msgspec.structs.replace(gap(lane, *each, "evicted"), **stamped) for lane, each in missing]
        work.is_own_only = event.is_refusing and bool(owed or gaps)
        if owed or gaps or ("event" in wanted and len(event.buffer)):
            work.batches["event"] = event.buffer.take(owed, gaps, is_own_only=work.is_own_only)
            work.frames["event"] = frames_of("event", means.epoch, work.batches["event"], means.frame_bytes)

    def _excess(self) -> int:
        """Bytes of which the disk is short. What is released already, or waits to be used again, goes first."""
        is_full, self._is_full = self._is_full, False
        short = max(excess(self._means.usage()), self._means.segment_bytes if is_full else 0)
        if short > 0:
            for name, lane in self._lanes.items():
                short -= lane.index.leaving
                if name != "event":
                    short -= lane.writer.free * self._means.segment_bytes
                    self._worker.submit(lane.writer.drop_free)
        return short

    def _can_tell(self, count: int) -> bool:
        """The event lane has room for so many records more; if not, nothing is given up."""
        event, size = self._lanes["event"], self._means.segment_bytes
        if (count + 1) * RECORD_BYTES + OVERHEAD_BYTES <= event.writer.room:
            return True
        return event.index.allocated + size <= self._means.caps["event"] + OWN_SEGMENTS * size

    def _write(self, work: _Work) -> tuple[Results, Exception | None]:
        """In the worker: events first, so that a gap record is on disk before what follows the gap.

        A defect of ours is told like a refusal of the disk, so that nobody waits for ever, and raised afterwards.
        """
        results: Results = {}
        defect: Exception | None = None
        for name in LANES:
            try:
                if name in work.frames:
                    results[name] = self._store(name, work, may_grow=_is_told(work, results))
            except OSError as error:
                results[name] = error
            except Exception as error:  # noqa: BLE001
                results[name], defect = OSError(type(error).__name__), error
            if name == "event" and _is_told(work, results):
                try:
                    self._evict(work)
                except Exception as error:  # noqa: BLE001
                    defect = error
        return results, defect

    def _store(self, name: Lane, work: _Work, *, may_grow: bool) -> _Stored:
        if name in work.plan.over and (work.must_wait or not may_grow):
            raise OSError("its cap is reached, and what would go cannot be told")
        frames, may_reserve = work.frames[name], name == "event" and work.is_own_only
        runs = self._lanes[name].writer.write(frames, may_reserve=may_reserve)
        return _Stored(runs, sum(len(frame.payload) for frame in frames))

    def _evict(self, work: _Work) -> None:
        """In the worker, once the gap records are on disk. The cursor first: a start must not miss what is gone."""
        for name, runs in work.plan.runs.items():
            lane = self._lanes[name]
            with contextlib.suppress(OSError):
                lane.cursor.write(work.states[name])
                lane.cursor.flush()
                lane.saved = work.states[name]
            lane.writer.evict(runs, is_disk_short=work.plan.is_disk_short)

    def _gone(self, work: _Work, *, is_told: bool) -> None:
        plan = work.plan
        if not is_told:
            plan.mark(is_leaving=False)
            return
        for name, runs in plan.runs.items():
            self._indexes[name].evict(runs)
            self.evicted_segments += len(runs)
            self._notify(Evicted(lane=name))
        self.evicted += work.lost

    def _settle(self, name: Lane, work: _Work, result: _Stored | OSError) -> None:
        lane = self._lanes[name]
        lane.is_refusing = isinstance(result, OSError)
        batch = work.batches[name]
        if isinstance(result, _Stored):
            lane.index.place(result.runs)
            self.commits += 1
            self.payload_bytes += result.payload_bytes
            for waiter in batch.waiters:
                if not waiter.done():
                    waiter.set_result(None)
            return
        self.refused += 1
        self._is_full = self._is_full or result.errno in NO_ROOM
        error = refused(result)
        for complain in self.complaints:
            complain(name, error)
        waiters = batch.waiters
        if name == "event":
            lane.buffer.forget(batch)
            self.owed.give_back(batch.own)
            if work.is_own_only:  # not even the spool's own: who waits behind it is told too
                rest = lane.buffer.take()
                lane.buffer.forget(rest)
                waiters = rest.waiters
        else:
            lane.buffer.give_back(batch)
            self._shed(name)
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)

    def _shed(self, name: Lane) -> None:
        gone = self._lanes[name].buffer.shed()
        if gone:
            self.dropped += gone[1] - gone[0] + 1
            self.owed.add(gap(name, self._means.epoch, *gone, "disk_refused"))

    async def _tidy(self, must_flush: bool) -> None:
        async with self._turn:
            jobs = []
            before = {name: lane.writer.removed for name, lane in self._lanes.items()}
            for lane in self._lanes.values():
                state, runs = lane.state(), lane.index.take_released()
                has_moved = (state.released, state.ranges, state.segment) != (
                    lane.saved.released,
                    lane.saved.ranges,
                    lane.saved.segment,
                )
                if runs or must_flush or has_moved:
                    jobs.append(_Tidy(lane, state, runs, must_flush))
            if jobs:
                await asyncio.get_running_loop().run_in_executor(self._worker, _tidy_all, jobs)
            for name in (name for name, lane in self._lanes.items() if lane.writer.removed > before[name]):
                self._notify(DamagedRemoved(limit=BAD_SEGMENTS, lane=name))
            if must_flush and self._means.usage().share < EVICT_FROM:
                self._worker.submit(self._lanes["event"].writer.reserve)

    @property
    def removed(self) -> int:
        """Damaged files that made room for newer ones."""
        return sum(lane.writer.removed for lane in self._lanes.values())

    async def _scrub(self) -> None:
        async with self._turn:
            stretch = self.scrubber.next()
            if stretch is None:
                return
            await asyncio.get_running_loop().run_in_executor(self._worker, self.scrubber.verify, stretch)
            self.tell_lost(stretch.lane, self.scrubber.settle(stretch))


def _is_told(work: _Work, results: Results) -> bool:
    """What goes, if anything, is on disk as a gap record, or the platform has all of it."""
    return not work.lost or isinstance(results.get("event"), _Stored)


def _tidy_all(jobs: list[_Tidy]) -> None:
    """In the worker. A segment is taken back only after the cursor that releases it is on the medium."""
    for job in jobs:
        try:
            if job.state != job.lane.saved:
                job.lane.cursor.write(job.state)
                job.lane.saved = job.state
            if job.runs or job.must_flush:
                job.lane.cursor.flush()
        except OSError:
            job.lane.index.give_back(job.runs)  # a cursor that is not written means sending again, no more
        else:
            job.lane.writer.release(job.runs)
