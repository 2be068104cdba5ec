"""What the platform has of one lane: everything up to a point, and ranges beyond it."""

import bisect
from collections.abc import Iterable, Iterator, Sequence

from gateway.spool.frame import Position

MAX_RANGES = 160
"""More do not fit into a cursor slot; what finds no place counts as not acknowledged and is sent again."""

Range = tuple[int, int, int]
"""Epoch, first, last."""


def without_holes(first: int, last: int, holes: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The pieces of `first` to `last` outside `holes`, which are sorted by their first number."""
    for low, high in holes:
        if high < first:
            continue
        if low > last:
            break
        if low > first:
            yield first, low - 1
        first = max(first, high + 1)
    if first <= last:
        yield first, last


class Acked:
    """The released point and the acknowledged ranges beyond it, sorted and disjoint."""

    def __init__(self, released: Position | None = None, ranges: Iterable[Range] = ()) -> None:
        self.released = released or Position(0, 0)
        self.ranges: list[Range] = []
        for epoch, first, last in ranges:
            self.add(epoch, first, last)

    def add(self, epoch: int, first: int, last: int, *, must: bool = False) -> int:
        """Mark them. Returns how many were not marked before; 0 if there is no place for one more range.

        `must`: they cannot come any more; the highest range makes room, and what it held is sent again.
        """
        if epoch < self.released.epoch:
            return 0
        if epoch == self.released.epoch:
            first = max(first, self.released.seq + 1)
        if first > last:
            return 0
        low = bisect.bisect_left(self.ranges, (epoch, first, 0))
        if low and self.ranges[low - 1][0] == epoch and self.ranges[low - 1][2] >= first - 1:
            low -= 1
        high = low
        while high < len(self.ranges) and self.ranges[high][0] == epoch and self.ranges[high][1] <= last + 1:
            high += 1
        merged = self.ranges[low:high]
        if not merged and len(self.ranges) >= MAX_RANGES:
            if not must:
                return 0
            self.ranges.pop()
            low = high = min(low, len(self.ranges))
        known = sum(b - a + 1 for _, a, b in merged)
        whole = (epoch, min([first, *(a for _, a, _ in merged)]), max([last, *(b for *_, b in merged)]))
        self.ranges[low:high] = [whole]
        return whole[2] - whole[1] + 1 - known

    def advance(self, first: int, epoch: int) -> bool:
        """Move the released point over a range that begins at or before `first`, the next number stored."""
        for at, (of, low, high) in enumerate(self.ranges):
            if of == epoch and low <= first <= high:
                self.released = Position(epoch, high)
                del self.ranges[: at + 1]
                return True
        return False

    def pass_over(self, upto: Position) -> None:
        """Nothing up to there is stored any more: nobody waits for it."""
        if upto <= self.released:
            return
        rest, self.released, self.ranges = self.ranges, upto, []
        for epoch, first, last in rest:
            self.add(epoch, first, last)
        self.advance(upto.seq + 1, upto.epoch)

    def missing(self, epoch: int, first: int, last: int) -> Iterator[tuple[int, int]]:
        """The pieces of `first` to `last` that are not acknowledged."""
        if epoch < self.released.epoch:
            return iter(())
        if epoch == self.released.epoch:
            first = max(first, self.released.seq + 1)
        return without_holes(first, last, [(low, high) for of, low, high in self.ranges if of == epoch])

    def covers(self, epoch: int, first: int, last: int) -> bool:
        """All of them are acknowledged."""
        if epoch < self.released.epoch or (epoch == self.released.epoch and last <= self.released.seq):
            return True
        if epoch == self.released.epoch:
            first = max(first, self.released.seq + 1)
        return any(of == epoch and low <= first and last <= high for of, low, high in self.ranges)

    def beyond(self) -> int:
        """How many are acknowledged beyond the released point."""
        return sum(last - first + 1 for _, first, last in self.ranges)
