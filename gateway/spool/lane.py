"""The reading side of a lane: an index of segments in memory, frames read from disk when asked for.

Memory is bounded by the number of segments: a frame is never held longer than the call that reads it.
"""

import bisect
from collections.abc import Iterator, Sequence

from msgspec import Struct

from drivers.observation import Lane
from gateway.spool.acked import Acked, Range, without_holes
from gateway.spool.cipher import Keyring
from gateway.spool.frame import Frame, Position, Seen
from gateway.spool.segment import HEAD_BYTES, Run
from gateway.spool.window import met_in

HINTS = 8
"""Places remembered where readers stopped, so that going on does not begin at the segment's head."""


class Depth(Struct, frozen=True):
    """Committed and not yet released. Bytes are those on disk; a segment released in part counts in proportion."""

    observations: int
    bytes: int


class LaneIndex:
    """What is committed in one lane and what of it is released. Lives on the event loop only."""

    def __init__(self, lane: Lane, epoch: int, runs: list[Run], acked: Acked, keyring: Keyring) -> None:
        self.lane, self.epoch, self.committed = lane, epoch, 0
        self._keyring = keyring
        self._runs, self._acked = runs, Acked(acked.released)
        for of, first, last in acked.ranges:  # of segments that are gone there is nothing left to acknowledge
            self._mark(of, first, last, ())
        self._hints: dict[Position, tuple[int, int]] = {}
        self._leaving: list[Run] = []
        self._head = max([acked.released, *(run.stop for run in runs)])
        self._total = sum(run.observations for run in runs)
        self._bytes = sum(run.end - HEAD_BYTES for run in runs)
        self._allocated = sum(run.size for run in runs)
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

    @property
    def allocated(self) -> int:
        """Bytes that the files of its segments take, those on their way out included."""
        return self._allocated

    @property
    def leaving(self) -> int:
        """Of it, what is released and only waits for the next beat."""
        return sum(run.size for run in self._leaving)

    @property
    def newest(self) -> int:
        """The number of the last segment."""
        return self._runs[-1].number if self._runs else 0

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
                self._allocated += run.size
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

    def lose(self, epoch: int, first: int, last: int) -> list[Range]:
        """They can not be read: nobody waits for them any more. Returns what of it was not known or acknowledged."""
        fresh = [(epoch, *piece) for piece in self._acked.missing(epoch, first, last)]
        for each in fresh:
            self._mark(*each, (), must=True)
        self._advance()
        return fresh

    def covers(self, epoch: int, first: int, last: int) -> bool:
        """All of them are acknowledged."""
        return self._acked.covers(epoch, first, last)

    def take_released(self) -> list[Run]:
        """Segments that left the index because all their frames are released, to be used again."""
        gone, self._leaving = self._leaving, []
        self._allocated -= sum(run.size for run in gone)
        return gone

    def give_back(self, runs: Sequence[Run]) -> None:
        """They could not be freed now; `take_released()` tells them again."""
        self._leaving[:0] = runs
        self._allocated += sum(run.size for run in runs)

    @property
    def has_evictable(self) -> bool:
        """There is something that may be given up, or is on its way out."""
        return len(self._runs) > 1 or any(run.epoch != self.epoch for run in self._runs)

    def evictable(self) -> Iterator[Run]:
        """Segments that may be given up, oldest first; the one being written stays."""
        for at, run in enumerate(self._runs):
            if run.is_leaving or (at == len(self._runs) - 1 and run.epoch == self.epoch):
                return
            yield run

    def missing_of(self, run: Run) -> list[Range]:
        """What the platform does not have of a segment."""
        return [(run.epoch, *piece) for piece in self._acked.missing(run.epoch, run.first, run.last)]

    def without(self, runs: Sequence[Run]) -> tuple[Position, tuple[Range, ...]]:
        """The cursor's state as it will be once these, the oldest, are given up."""
        after = Acked(self.released, self.ranges)
        for run in runs:
            after.pass_over(run.stop)
        return after.released, tuple(after.ranges)

    def evict(self, runs: Sequence[Run]) -> None:
        """These, the oldest, are gone: nobody waits for what was in them."""
        for run in runs:
            if run in self._leaving:  # acknowledged meanwhile
                self._leaving.remove(run)
            else:
                self._forget(self._runs.index(run), run)
            self._allocated -= run.size
            self._acked.pass_over(run.stop)
        self._advance()

    def run_after(self, number: int) -> Run | None:
        """The first segment with a higher number, for the scrub."""
        at = bisect.bisect_right(self._runs, number, key=lambda run: run.number)
        return self._runs[at] if at < len(self._runs) else None

    def frames_after(self, after: Position, limit: int) -> tuple[list[Frame], list[Range]]:
        """Up to `limit` frames that hold something behind `after`, in order; and what turned out to be lost."""
        found: list[Frame] = []
        lost: list[Range] = []
        number, offset = self._hints.get(after, (0, HEAD_BYTES))
        at = bisect.bisect_right(self._runs, after, key=lambda run: run.stop)
        for run in self._runs[at:]:
            if len(found) >= limit:
                break
            if run.is_leaving:
                continue
            is_known = run.number == number
            start, last = (offset, after.seq) if is_known else (HEAD_BYTES, run.first - 1)
            lost += self._read(run, start, last, after, found, limit)
        return found, [each for one in lost for each in self.lose(*one)]

    def _read(  # noqa: PLR0913, PLR0917
        self, run: Run, offset: int, last: int, after: Position, found: list[Frame], limit: int
    ) -> Iterator[Range]:
        for met in met_in(run, self.lane, self._keyring.opener(run.origin), offset, last):
            if met.lost:
                run.is_damaged = True
                yield (run.epoch, *met.lost)
            if met.seen and Position(run.epoch, met.last) > after:
                found.append(self._frame(run, met.seen))
                if len(found) >= limit:
                    self._remember(Position(run.epoch, met.last), run.number, met.end)
                    return
        self._remember(run.stop, run.number, run.end)

    def _frame(self, run: Run, seen: Seen) -> Frame:
        head = seen.head
        return Frame(self.lane, head.epoch, head.first, head.count, head.content, seen.payload, boot=run.origin.boot)

    def _remember(self, position: Position, number: int, offset: int) -> None:
        self._hints.pop(position, None)
        while len(self._hints) >= HINTS:
            del self._hints[next(iter(self._hints))]
        self._hints[position] = (number, offset)

    def _mark(
        self, epoch: int, first: int, last: int, holes: Sequence[tuple[int, int]], *, must: bool = False
    ) -> int:
        """Acknowledge what of `first` to `last` is stored, but `holes`. Returns how many are new."""
        newly = 0
        at = bisect.bisect_left(self._runs, Position(epoch, first), key=lambda run: run.stop)
        for run in self._runs[at:]:
            if run.epoch != epoch or run.first > last:
                break
            for low, high in without_holes(max(first, run.first), min(run.last, last), holes):
                newly += self._acked.add(epoch, low, high, must=must)
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
        while self._runs and self._runs[0].stop <= self.released:
            if len(self._runs) == 1 and self._runs[0].epoch == self.epoch:
                break
            self._leaving.append(self._runs[0])
            self._forget(0, self._runs[0])

    def _forget(self, at: int, run: Run) -> None:
        del self._runs[at]
        self._total -= run.observations
        self._bytes -= run.end - HEAD_BYTES
