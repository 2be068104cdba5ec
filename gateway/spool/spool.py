"""The spool: what is put here is on disk until the platform has it (design, section 6).

A commit is one write and one flush per lane, in one worker thread; the event loop never waits for the card. Event
observations are committed at once, all that wait together with one flush; the others by one timer.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from drivers.observation import LANES, AnyObservation, Lane, lane_of
from gateway.spool.buffer import FRAME_BYTES, Buffer, Item, item
from gateway.spool.committer import Committer, Complaint, Listener, OpenLane
from gateway.spool.cursor import Cursor
from gateway.spool.disk import (
    CommitRefused,
    Disk,
    DiskFull,
    SpoolClosed,
    SpoolLocked,
    SpoolUnusable,
    TooLarge,
    unusable,
)
from gateway.spool.frame import OVERHEAD_BYTES, Frame, Position
from gateway.spool.identity import NAME, Identity, lock_folder, next_identity, parse_identity, write_identity
from gateway.spool.lane import Depth, LaneIndex
from gateway.spool.recovery import CURSOR, LaneFound, LaneRecovery, Recovery, gap, witnesses
from gateway.spool.segment import HEAD_BYTES, read_bytes
from gateway.spool.writer import LaneWriter

__all__ = [
    "CommitRefused",
    "Depth",
    "DiskFull",
    "Frame",
    "Position",
    "Recovery",
    "Spool",
    "SpoolClosed",
    "SpoolCounters",
    "SpoolLocked",
    "SpoolUnusable",
    "TooLarge",
]

TICK_S = 1.0
EVERY_TICKS: dict[Lane, int] = {"event": 1, "numeric": 1, "wave": 5, "log": 30}
"""Ticks between two commits of a lane; events are committed at once, the tick only takes owed gap records along."""
CURSOR_TICKS = 60
"""Ticks between two flushes of a cursor. It is also flushed before a segment is used again, and at the end."""


class SpoolCounters(Struct, frozen=True):
    """Since the open. A commit is counted per lane; bytes written are whole pages of 4 KiB, as the card sees them."""

    commits: int = 0
    flushes: int = 0
    payload_bytes: int = 0
    written_bytes: int = 0
    refused: int = 0
    """Commits that the disk refused."""
    dropped: int = 0
    """Observations dropped because the disk refused them for too long; each is in a gap record."""


class Spool:
    """One folder, one owner. `open()` makes it; everything else belongs to one event loop."""

    def __init__(
        self, lanes: dict[Lane, OpenLane], identity: Identity, recovery: Recovery, disk: Disk, lock: int, limit: int
    ) -> None:
        self._lanes, self._identity, self._disk, self._lock, self._limit = lanes, identity, disk, lock, limit
        self.recovery = recovery
        self._committer = Committer(lanes, identity.epoch, min(FRAME_BYTES, limit + 2))
        self._is_closed = False

    @classmethod
    def open(
        cls, path: Path, *, flush: Callable[[int], None] = os.fdatasync, segment_bytes: int = 1 << 20
    ) -> "Spool":
        """Recover what is there and begin a new epoch. Damage never refuses it.

        Raises SpoolLocked where another process has the folder, SpoolUnusable for the operating system's reasons.
        """
        disk = Disk(flush)
        with contextlib.ExitStack() as undo:
            try:
                path.mkdir(parents=True, exist_ok=True)
                lock = lock_folder(path)
                undo.callback(os.close, lock)
                stored, seen = parse_identity(read_bytes(path / NAME, 4096)), witnesses(path)
                identity = next_identity(stored, seen)
                write_identity(path, identity, disk)
                lanes: dict[Lane, OpenLane] = {}
                found: list[LaneFound] = []
                for name in LANES:
                    lane, recovered = _open_lane(path / name, name, identity, disk, segment_bytes)
                    undo.callback(lane.cursor.close)
                    lanes[name] = lane
                    found.append(recovered)
                disk.sync_folder(path)
            except OSError as error:
                raise unusable(path, error) from error
            undo.pop_all()
        recovery = Recovery(
            frames_kept=sum(each.frames_kept for each in found),
            tail_bytes_cut=sum(each.tail_bytes_cut for each in found),
            segments_set_aside=sum(each.set_aside for each in found),
            gaps=tuple(one for each in found for one in each.gaps),
            is_identity_rebuilt=stored is None and bool(seen),
        )
        return cls(lanes, identity, recovery, disk, lock, segment_bytes - HEAD_BYTES - OVERHEAD_BYTES - 2)

    @property
    def id(self) -> str:
        """16 hex digits, the same at each open."""
        return self._identity.id

    @property
    def epoch(self) -> int:
        """One more at each open."""
        return self._identity.epoch

    @property
    def committed(self) -> dict[Lane, int]:
        """Last sequence number of this epoch on disk, per lane."""
        return {name: lane.index.committed for name, lane in self._lanes.items()}

    @property
    def counters(self) -> SpoolCounters:
        """What it cost so far."""
        return SpoolCounters(
            commits=self._committer.commits,
            flushes=self._disk.flushes,
            payload_bytes=self._committer.payload_bytes,
            written_bytes=self._disk.written_bytes,
            refused=self._committer.refused,
            dropped=self._committer.dropped,
        )

    def listen(self, callback: Listener) -> None:
        """Call it with lane, first number and observations after each flush."""
        self._committer.listeners.append(callback)

    def listen_refusals(self, callback: Complaint) -> None:
        """Call it with the sentence each time the disk refused a commit of any lane."""
        self._committer.complaints.append(callback)

    def head(self, lane: Lane) -> Position:
        """The last observation on disk."""
        return self._lanes[lane].index.head

    def released(self, lane: Lane) -> Position:
        """Up to here the platform has everything."""
        return self._lanes[lane].index.released

    def depth(self) -> dict[Lane, Depth]:
        """Committed and not yet released, per lane."""
        return {name: lane.index.depth() for name, lane in self._lanes.items()}

    def is_acknowledged(self, lane: Lane, epoch: int, first: int, last: int) -> bool:
        """The platform has all of them."""
        return self._lanes[lane].index.covers(epoch, first, last)

    def acknowledge(self, lane: Lane, epoch: int, upto: int, holes: Sequence[tuple[int, int]] = ()) -> int:
        """The platform has everything of `epoch` up to `upto` but `holes`. Returns how many are newly released.

        What is not committed, or of an epoch that is not here, is not touched.
        """
        return self._lanes[lane].index.acknowledge(epoch, upto, holes)

    def frames_after(self, lane: Lane, after: Position, limit: int) -> list[Frame]:
        """Up to `limit` committed frames behind `after`, in order. What turns out to be unreadable leaves a gap."""
        frames, lost = self._lanes[lane].index.frames_after(after, limit)
        for epoch, first, last in lost:
            self._committer.owed.add(gap(lane, epoch, first, last, "damaged"))
        return frames

    async def put(self, observations: Sequence[AnyObservation]) -> None:
        """Take observations into their lanes. Returns when those of the event lane are on disk, the others buffered.

        Raises CommitRefused: then nothing of this put is stored. Waits while a buffer is full.
        """
        if self._is_closed:
            raise SpoolClosed
        split: dict[Lane, list[Item]] = {}
        for observation in observations:
            each = item(observation)
            if len(each.encoded) > self._limit:
                raise TooLarge(size=len(each.encoded), limit=self._limit)
            split.setdefault(lane_of(observation), []).append(each)
        events = split.pop("event", None)
        if events:
            await self._committer.store(events)
        for name, items in split.items():
            await self._committer.hold(name, items)

    async def run(self) -> None:
        """The timer: commits each lane in its time, and writes the cursors. Ends when the spool is closed."""
        number, loop = 0, asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + TICK_S, loop.time())
            await asyncio.sleep(due - loop.time())
            if self._is_closed:
                return
            number += 1
            await self.tick(number)

    async def tick(self, number: int) -> None:
        """One beat of the timer: what is due at it."""
        await self._committer.commit(name for name in LANES if number % EVERY_TICKS[name] == 0)
        await self._committer.tidy(must_flush=number % CURSOR_TICKS == 0)

    async def commit_now(self) -> None:
        """Commit everything buffered. What the disk refuses stays buffered; the counters tell."""
        await self._committer.commit(LANES)

    async def wait_commit(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - its answer is the time-out
        """Return after the next commit; False if none came in `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while not await self._committer.next_end():
                    pass
                return True
        return False

    async def close(self) -> None:
        """Commit what is buffered, write the cursors, let go of the folder."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._committer.close()
        os.close(self._lock)


def _open_lane(
    folder: Path, name: Lane, identity: Identity, disk: Disk, segment_bytes: int
) -> tuple[OpenLane, LaneFound]:
    folder.mkdir(exist_ok=True)
    found = LaneRecovery(folder, name, identity.id, segment_bytes, disk).found()
    writer = LaneWriter(
        disk, folder, name, identity.id, segment_bytes=segment_bytes, number=found.number, previous=found.previous
    )
    index = LaneIndex(name, identity.epoch, found.runs, found.acked)
    cursor = Cursor(folder / CURSOR, name, identity.id, identity.epoch, disk)
    saved = (cursor.state.released, cursor.state.ranges)
    return OpenLane(index, writer, cursor, Buffer(name), saved=saved), found
