"""The reading side of a lane: an index of segments in memory, frames read from disk when asked for.

Memory is bounded by the number of segments: a frame is never held longer than the call that reads it.
"""

import bisect
from collections.abc import Sequence

from msgspec import Struct

from drivers.observation import Lane
from gateway.spool.acked import Acked, Range, without_holes
from gateway.spool.frame import Frame, Position, Seen, Walk
from gateway.spool.segment import HEAD_BYTES, Run, read_bytes

WINDOW_BYTES = 256 * 1024
"""Read at once; the rest of the segment only if that holds no whole frame or something is wrong."""
HINTS = 8
"""Places remembered where readers stopped, so that going on does not begin at the segment's head."""


class Depth(Struct, frozen=True):
    """Committed and not yet released. Bytes are those on disk; a segment released in part counts in proportion."""

    observations: int
    bytes: int


class LaneIndex:
    """What is committed in one lane and what of it is released. Lives on the event loop only."""

    def __init__(self, lane: Lane, epoch: int, runs: list[Run], acked: Acked) -> None:
        self.lane, self.epoch, self.committed = lane, epoch, 0
        self._runs, self._acked = runs, Acked(acked.released)
        for of, first, last in acked.ranges:  # of segments that are gone there is nothing left to acknowledge
            self._mark(of, first, last, ())
        self._hints: dict[Position, tuple[int, int]] = {}
        self._leaving: list[Run] = []
        self._head = max([acked.released, *(run.stop for run in runs)])
        self._total = sum(run.observations for run in runs)
        self._bytes = sum(run.end - HEAD_BYTES for run in runs)
        self._advance()

    @property
    def head(self) -> Position:
        """The last observation committed."""
        return self._head

    @property
    def released(self) -> Position:
        """Everything up to here the platform has."""
        return self._acked.released

    @property
    def ranges(self) -> tuple[Range, ...]:
        """What the platform has beyond the released point."""
        return tuple(self._acked.ranges)

    def place(self, written: Sequence[Run]) -> None:
        """A commit is on disk: these segments are new or longer now."""
        for run in written:
            if self._runs and self._runs[-1].number == run.number:
                old = self._runs[-1]
                self._total += run.last - old.last
                self._bytes += run.end - old.end
                old.last, old.end = run.last, run.end
            else:
                self._runs.append(run)
                self._total += run.observations
                self._bytes += run.end - HEAD_BYTES
            self._head, self.committed = run.stop, run.last
        self._retire()

    def depth(self) -> Depth:
        """Observations and bytes that wait for the platform."""
        if not self._runs:
            return Depth(0, 0)
        first = self._runs[0]
        done = 0
        if first.epoch == self.released.epoch:
            done = max(0, min(first.last, self.released.seq) - first.first + 1)
        done_bytes = (first.end - HEAD_BYTES) * done // first.observations
        return Depth(self._total - done - self._acked.beyond(), self._bytes - done_bytes)

    def acknowledge(self, epoch: int, upto: int, holes: Sequence[tuple[int, int]]) -> int:
        """The platform has everything up to `upto` but `holes`. Returns how many of them are new."""
        newly = self._mark(epoch, 1, upto, sorted(holes))
        self._advance()
        return newly

    def lose(self, epoch: int, first: int, last: int) -> bool:
        """They can not be read: nobody waits for them any more. False if that was known."""
        if self._acked.covers(epoch, first, last):
            return False
        self._mark(epoch, first, last, ())
        self._advance()
        return True

    def covers(self, epoch: int, first: int, last: int) -> bool:
        """All of them are acknowledged."""
        return self._acked.covers(epoch, first, last)

    def take_released(self) -> list[Run]:
        """Segments that left the index because all their frames are released, to be used again."""
        gone, self._leaving = self._leaving, []
        return gone

    def give_back(self, runs: Sequence[Run]) -> None:
        """They could not be freed now; `take_released()` tells them again."""
        self._leaving[:0] = runs

    def frames_after(self, after: Position, limit: int) -> tuple[list[Frame], list[Range]]:
        """Up to `limit` frames that hold something behind `after`, in order; and what turned out to be lost."""
        found: list[Frame] = []
        lost: list[Range] = []
        number, offset = self._hints.get(after, (0, HEAD_BYTES))
        at = bisect.bisect_right(self._runs, after, key=lambda run: run.stop)
        for run in self._runs[at:]:
            if len(found) >= limit:
                break
            is_known = run.number == number
            start, last = (offset, after.seq) if is_known else (HEAD_BYTES, run.first - 1)
            self._read(run, start, last, after, found, limit, lost)
        fresh = [each for each in lost if self.lose(*each)]
        return found, fresh

    def _read(  # noqa: PLR0913, PLR0917
        self, run: Run, offset: int, last: int, after: Position, found: list[Frame], limit: int, lost: list[Range]
    ) -> None:
        def missing(upto: int) -> None:
            if upto > last:
                lost.append((run.epoch, last + 1, upto))
                run.is_damaged = True

        size = WINDOW_BYTES
        while offset < run.end and len(found) < limit:
            data = read_bytes(run.path, min(size, run.end - offset), offset)
            is_whole = size >= run.end - offset
            walk = Walk(data, self.lane, run.number, run.epoch, last)
            for seen in walk.frames(is_whole=is_whole):
                if seen.is_after_damage:
                    missing(seen.head.first - 1)
                last = seen.head.last
                if Position(run.epoch, last) > after:
                    found.append(self._frame(seen))
                    if len(found) >= limit:
                        self._remember(Position(run.epoch, last), run.number, offset + seen.end)
                        return
            offset += walk.end
            if is_whole:
                break
            size = WINDOW_BYTES if walk.end else run.end - offset
        missing(run.last)
        self._remember(run.stop, run.number, run.end)

    def _frame(self, seen: Seen) -> Frame:
        head = seen.head
        return Frame(self.lane, head.epoch, head.first, head.count, head.content, seen.payload)

    def _remember(self, position: Position, number: int, offset: int) -> None:
        self._hints.pop(position, None)
        while len(self._hints) >= HINTS:
            del self._hints[next(iter(self._hints))]
        self._hints[position] = (number, offset)

    def _mark(self, epoch: int, first: int, last: int, holes: Sequence[tuple[int, int]]) -> int:
        """Acknowledge what of `first` to `last` is stored, but `holes`. Returns how many are new."""
        newly = 0
        at = bisect.bisect_left(self._runs, Position(epoch, first), key=lambda run: run.stop)
        for run in self._runs[at:]:
            if run.epoch != epoch or run.first > last:
                break
            for low, high in without_holes(max(first, run.first), min(run.last, last), holes):
                newly += self._acked.add(epoch, low, high)
        return newly

    def _advance(self) -> None:
        """Move the released point on, over the borders of segments and of epochs."""
        while True:
            at = bisect.bisect_right(self._runs, self.released, key=lambda run: run.stop)
            if at == len(self._runs):
                break
            run = self._runs[at]
            is_inside = run.epoch == self.released.epoch and self.released.seq >= run.first
            following = self.released.seq + 1 if is_inside else run.first
            if not self._acked.advance(following, run.epoch):
                break
        self._retire()

    def _retire(self) -> None:
        """Segments that are released as a whole leave the index, oldest first; the one being written stays."""
        at = 0
        while at < len(self._runs) and self._runs[at].stop <= self.released:
            if at == len(self._runs) - 1 and self._runs[at].epoch == self.epoch:
                break
            at += 1
        gone = self._runs[:at]
        del self._runs[:at]
        self._leaving += gone
        self._total -= sum(run.observations for run in gone)
        self._bytes -= sum(run.end - HEAD_BYTES for run in gone)
