"""Results in order: what a network doubled or delivered late, and linked results of which a part is missing.

The parts of a linked result are numbered: first (1), middle (2) and last (3), with a count that begins at 1, then
the final one, which is a plain result. All of one poll carry the monitor's own time, eighths of a millisecond since
it was switched on.
"""

from drivers.contract import Fault
from drivers.philips_intellivue.pdus import FIRST, LAST, PollResult

_WRAP = 1 << 32
LATE_TICKS = 10 * 8000
"""Further back than this the monitor was switched on again, and nothing is late."""
MOST_PARTS = 300
"""Of one moment that are remembered: a count has one byte."""


class Order:
    """What came last, by the type of object that was polled: a handful."""

    def __init__(self, *, is_network: bool) -> None:
        self._is_network = is_network
        self._parts: dict[int, tuple[int, int]] = {}
        self._broken: set[int] = set()
        self._newest: dict[int, int] = {}
        self._seen: dict[int, set[tuple[int, int, int]]] = {}

    def restart(self) -> None:
        """A new association."""
        for memory in (self._parts, self._newest, self._seen):
            memory.clear()
        self._broken.clear()

    def check(self, result: PollResult) -> tuple[Fault | None, bool]:
        """What is wrong with its place, and whether it must not be read."""
        if self._is_network and (reason := self._old(result)):
            return Fault(reason, f"type {result.kind:04X}"), True
        return (Fault("part_missing") if self._is_missing(result) else None), False

    def is_broken(self, result: PollResult) -> bool:
        """Whether a part of its round is missing. A final result ends the round."""
        if result.part:
            return result.kind in self._broken
        is_broken = result.kind in self._broken
        self._broken.discard(result.kind)
        return is_broken

    def _old(self, result: PollResult) -> str:
        newest = self._newest.get(result.kind, result.relative)
        behind = (newest - result.relative) % _WRAP
        if 0 < behind <= LATE_TICKS:
            return "late"
        if behind or result.kind not in self._newest:
            self._newest[result.kind] = result.relative
            self._seen[result.kind] = set()
        seen = self._seen[result.kind]
        mark = (result.sequence, result.part, result.count)
        if mark in seen:
            return "repeated"
        if len(seen) < MOST_PARTS:
            seen.add(mark)
        return ""

    def _is_missing(self, result: PollResult) -> bool:
        before, count = self._parts.get(result.kind, (0, 0))
        self._parts[result.kind] = (result.part, result.count)
        if result.part == FIRST:
            self._broken.discard(result.kind)
            return before != 0
        is_missing = before not in (0, LAST) if result.part == 0 else before in (0, LAST) or result.count != count + 1
        if is_missing:
            self._broken.add(result.kind)
        return is_missing
