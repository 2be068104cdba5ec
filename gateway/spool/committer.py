"""Commits: what is buffered goes to disk, one commit at a time, and who waits for it is told.

All writing and flushing runs in one worker thread; index, buffers and waiters belong to the event loop.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Struct

from drivers.observation import LANES, AnyObservation, Lane
from gateway.spool.acked import Range
from gateway.spool.buffer import Batch, Buffer, Item, OwedGaps, frames_of
from gateway.spool.cursor import Cursor
from gateway.spool.disk import CommitRefused, SpoolClosed, refused
from gateway.spool.frame import Position
from gateway.spool.lane import LaneIndex
from gateway.spool.recovery import gap
from gateway.spool.segment import Run
from gateway.spool.writer import LaneWriter

Listener = Callable[[Lane, int, tuple[AnyObservation, ...]], None]
Complaint = Callable[[CommitRefused], None]


class OpenLane(Struct):
    """Everything about one lane while the spool is open."""

    index: LaneIndex
    writer: LaneWriter
    cursor: Cursor
    buffer: Buffer
    is_refusing: bool = False
    """The last commit of this lane failed."""
    saved: tuple[Position, tuple[Range, ...]] = (Position(0, 0), ())
    """What the cursor file says."""


class _Stored(Struct, frozen=True):
    runs: list[Run]
    payload_bytes: int


class _Tidy(Struct, frozen=True):
    lane: OpenLane
    state: tuple[Position, tuple[Range, ...]]
    runs: list[Run]
    must_flush: bool


class Committer:
    """The one writer."""

    def __init__(self, lanes: dict[Lane, OpenLane], epoch: int, frame_bytes: int) -> None:
        self._lanes, self._epoch, self._frame_bytes = lanes, epoch, frame_bytes
        self._worker = ThreadPoolExecutor(1, "spool")
        self._turn = asyncio.Lock()
        self._wanted: set[Lane] = set()
        self._queued: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: list[asyncio.Future[bool]] = []
        self._is_closed = False
        self.owed = OwedGaps()
        self.listeners: list[Listener] = []
        self.complaints: list[Complaint] = []
        self.commits = self.payload_bytes = self.refused = self.dropped = 0

    async def store(self, items: list[Item]) -> None:
        """Event observations: returns when they are on disk. Raises CommitRefused."""
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
            batches: dict[Lane, Batch] = {}
            for name in LANES:
                owed = self.owed.take() if name == "event" else []
                if owed or (name in wanted and len(self._lanes[name].buffer)):
                    batches[name] = self._lanes[name].buffer.take(owed)
            results: dict[Lane, _Stored | OSError] = {}
            defect: Exception | None = None
            if batches:
                loop = asyncio.get_running_loop()
                results, defect = await loop.run_in_executor(self._worker, self._write, batches)
            for name, result in results.items():
                self._settle(name, batches[name], result)
            stored = [name for name, result in results.items() if isinstance(result, _Stored)]
            ended, self._ended = self._ended, []
            for each in ended:
                if not each.done():
                    each.set_result(bool(stored))
        for name in stored:
            observations = tuple(each.observation for each in batches[name].items)
            for listener in self.listeners:
                listener(name, batches[name].first, observations)
        if defect is not None:
            raise defect

    def _write(self, batches: dict[Lane, Batch]) -> tuple[dict[Lane, _Stored | OSError], Exception | None]:
        """In the worker: events first, so that a gap record is on disk before what follows the gap.

        A defect of ours is told like a refusal of the disk, so that nobody waits for ever, and raised afterwards.
        """
        results: dict[Lane, _Stored | OSError] = {}
        defect: Exception | None = None
        for name, batch in batches.items():
            try:
                frames = frames_of(name, self._epoch, batch, self._frame_bytes)
                runs = self._lanes[name].writer.write(frames)
                results[name] = _Stored(runs, sum(len(frame.payload) for frame in frames))
            except OSError as error:
                results[name] = error
            except Exception as error:  # noqa: BLE001
                results[name], defect = OSError(type(error).__name__), error
        return results, defect

    def _settle(self, name: Lane, batch: Batch, result: _Stored | OSError) -> None:
        lane = self._lanes[name]
        lane.is_refusing = isinstance(result, OSError)
        if isinstance(result, _Stored):
            lane.index.place(result.runs)
            self.commits += 1
            self.payload_bytes += result.payload_bytes
            for waiter in batch.waiters:
                if not waiter.done():
                    waiter.set_result(None)
            return
        self.refused += 1
        error = refused(result)
        for complain in self.complaints:
            complain(error)
        if name == "event":
            lane.buffer.forget(batch)
            self.owed.give_back(batch.gaps)
        else:
            lane.buffer.give_back(batch)
            self._shed(name)
        for waiter in batch.waiters:
            if not waiter.done():
                waiter.set_exception(error)

    def _shed(self, name: Lane) -> None:
        gone = self._lanes[name].buffer.shed()
        if gone:
            self.dropped += gone[1] - gone[0] + 1
            self.owed.add(gap(name, self._epoch, *gone, "disk_refused"))

    async def _tidy(self, must_flush: bool) -> None:
        async with self._turn:
            jobs = []
            for lane in self._lanes.values():
                state, runs = (lane.index.released, lane.index.ranges), lane.index.take_released()
                if runs or must_flush or state != lane.saved:
                    jobs.append(_Tidy(lane, state, runs, must_flush))
            if jobs:
                await asyncio.get_running_loop().run_in_executor(self._worker, _tidy_all, jobs)


def _tidy_all(jobs: list[_Tidy]) -> None:
    """In the worker. A segment is taken back only after the cursor that releases it is on the medium."""
    for job in jobs:
        try:
            if job.state != job.lane.saved:
                job.lane.cursor.write(*job.state)
                job.lane.saved = job.state
            if job.runs or job.must_flush:
                job.lane.cursor.flush()
        except OSError:
            job.lane.index.give_back(job.runs)  # a cursor that is not written means sending again, no more
        else:
            job.lane.writer.release(job.runs)
