"""The spool: what is put here is on disk until the platform has it (design, section 6).

A commit is one write and one flush per lane, in one worker thread; the event loop never waits for the card. Event
observations are committed at once, all that wait together with one flush; the others by one timer.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from drivers.observation import LANES, AnyObservation, Lane, lane_of
from gateway.spool.buffer import FRAME_BYTES, Item, item
from gateway.spool.cipher import NO_SECRET
from gateway.spool.committer import Committer, Complaint, Listener, Means, Notice, OpenLane, Stamp
from gateway.spool.disk import (
    CommitRefused,
    Disk,
    DiskFull,
    DiskNearlyFull,
    EventsFull,
    SealedOtherwise,
    SpoolClosed,
    SpoolLocked,
    SpoolUnusable,
    TooLarge,
    unusable,
)
from gateway.spool.frame import OVERHEAD_BYTES, Frame, Position
from gateway.spool.identity import Identity, lock_folder
from gateway.spool.lane import Depth
from gateway.spool.recovery import LaneFound, Recovery
from gateway.spool.room import EVICT_FROM, DiskUse, caps_with, disk_use
from gateway.spool.segment import HEAD_BYTES
from gateway.spool.start import begin_epoch, open_lane, recovery_of

__all__ = [
    "CommitRefused",
    "Depth",
    "DiskFull",
    "DiskNearlyFull",
    "EventsFull",
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
SET_ASIDE = "spool_set_aside"
"""Vendor code of the alert which tells that a spool that was sealed with another secret was set aside."""
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
    evicted: int = 0
    """Observations given up for want of room; each is in a gap record."""
    evicted_segments: int = 0
    events_refused: int = 0
    """Event observations refused for want of room; whoever sent them keeps them."""
    is_refusing_events: int = 0
    """1 while that is so."""
    damaged: int = 0
    """Observations that could not be read any more; each is in a gap record."""
    damaged_files_removed: int = 0
    scrubbed_bytes: int = 0
    scrub_laps: int = 0


def unstamped() -> Mapping[str, Any]:
    """For tests without a clock."""
    return {}


class Spool:
    """One folder, one owner. `open()` makes it; everything else belongs to one event loop."""

    def __init__(
        self, lanes: dict[Lane, OpenLane], identity: Identity, means: Means, recovery: Recovery, disk: Disk, lock: int
    ) -> None:
        self._lanes, self._identity, self._disk, self._lock = lanes, identity, disk, lock
        self._limit = means.segment_bytes - HEAD_BYTES - OVERHEAD_BYTES - 2
        self.recovery = recovery
        self._committer = Committer(lanes, means)
        self._is_closed = False
        if any(isinstance(each, SealedOtherwise) for each in recovery.notices):
            self._committer.tell(SET_ASIDE, "on")

    @classmethod
    def open(  # noqa: PLR0913
        cls,
        path: Path,
        *,
        secret: bytes = NO_SECRET,
        boot: str = "",
        stamp: Stamp = unstamped,
        caps: Mapping[Lane, int] | None = None,
        usage: Callable[[Path], DiskUse] = disk_use,
        flush: Callable[[int], None] = os.fdatasync,
        segment_bytes: int = 1 << 20,
    ) -> "Spool":
        """Recover what is there and begin a new epoch. Damage never refuses it.

        `stamp` puts the box's time on the spool's own records. Raises SpoolLocked where another process has the
        folder, SpoolUnusable for the operating system's reasons.
        """
        disk = Disk(flush)
        lanes: dict[Lane, OpenLane] = {}
        found: dict[Lane, LaneFound] = {}
        with contextlib.ExitStack() as undo:
            try:
                path.mkdir(parents=True, exist_ok=True)
                lock = lock_folder(path)
                undo.callback(os.close, lock)
                whose = begin_epoch(path, secret, boot, disk)
                for name in LANES:
                    lanes[name], found[name] = open_lane(path / name, name, whose, segment_bytes, disk)
                    undo.callback(lanes[name].cursor.close)
                if usage(path).share < EVICT_FROM:
                    lanes["event"].writer.reserve()
                disk.sync_folder(path)
            except OSError as error:
                raise unusable(path, error) from error
            undo.pop_all()
        means = Means(
            epoch=whose.identity.epoch,
            keyring=whose.seals.keyring,
            segment_bytes=segment_bytes,
            frame_bytes=min(FRAME_BYTES, segment_bytes - HEAD_BYTES - OVERHEAD_BYTES),
            caps=caps_with(caps, segment_bytes),
            usage=lambda: usage(path),
            stamp=stamp,
        )
        return cls(lanes, whose.identity, means, recovery_of(whose, found, stamp), disk, lock)

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
            evicted=self._committer.evicted,
            evicted_segments=self._committer.evicted_segments,
            events_refused=self._committer.events_refused,
            is_refusing_events=int(bool(self._committer.gate.why)),
            damaged=self._committer.damaged,
            damaged_files_removed=self._committer.removed,
            scrubbed_bytes=self._committer.scrubber.bytes,
            scrub_laps=self._committer.scrubber.laps,
        )

    @property
    def is_refusing(self) -> bool:
        """Something that was put last could not be stored."""
        return self._committer.is_refusing

    def listen(self, callback: Listener) -> None:
        """Call it with lane, first number and observations after each flush."""
        self._committer.listeners.append(callback)

    def listen_refusals(self, callback: Complaint) -> None:
        """Call it with the lane and the sentence each time the disk refused a commit, and when events are refused."""
        self._committer.complaints.append(callback)

    def listen_notices(self, callback: Notice) -> None:
        """Call it with sentences about what was given up, and about damage."""
        self._committer.notices.append(callback)

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
        self._committer.tell_lost(lane, lost)
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
        await self._committer.scrub()

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
