"""Which segments are given up before a commit, so that what it writes finds room."""

from collections.abc import Mapping
from itertools import islice

from msgspec import Struct

from drivers.observation import Lane
from gateway.spool.acked import Range
from gateway.spool.frame import OVERHEAD_BYTES, Frame
from gateway.spool.lane import LaneIndex
from gateway.spool.room import EVICT_AT_ONCE, EVICTION_ORDER
from gateway.spool.segment import HEAD_BYTES, Run


class Plan(Struct):
    """What goes, per lane, oldest first."""

    runs: dict[Lane, list[Run]] = {}
    over: set[Lane] = set()
    """Lanes that would be over their cap without it."""
    is_disk_short: bool = False
    """What goes is given back to the file system, not used again."""

    def missing(self, lanes: Mapping[Lane, LaneIndex]) -> list[tuple[Lane, Range]]:
        """What the platform does not have of it, in order, adjoining pieces joined."""
        pieces: list[tuple[Lane, Range]] = []
        for lane, runs in self.runs.items():
            for epoch, low, last in (each for run in runs for each in lanes[lane].missing_of(run)):
                first = low
                if pieces and pieces[-1][0] == lane and pieces[-1][1][::2] == (epoch, low - 1):
                    first = pieces.pop()[1][1]
                pieces.append((lane, (epoch, first, last)))
        return pieces

    def mark(self, *, is_leaving: bool) -> None:
        """Nobody reads what goes; or it stays, because it could not be told."""
        for run in (each for runs in self.runs.values() for each in runs):
            run.is_leaving = is_leaving


def segments_for(frames: list[Frame], room: int, segment_bytes: int) -> int:
    """How many segments have to be begun for these frames, if the one being written has so much room."""
    begun = 0
    for frame in frames:
        size = OVERHEAD_BYTES + len(frame.payload)
        if size > room:
            begun, room = begun + 1, segment_bytes - HEAD_BYTES
        room -= size
    return begun


def planned(
    lanes: Mapping[Lane, LaneIndex],
    begun: Mapping[Lane, int],
    caps: Mapping[Lane, int],
    excess: int,
    segment_bytes: int,
) -> Plan:
    """What goes so that no lane is over its cap with the segments it begins, and the disk has `excess` bytes more."""
    plan = Plan(is_disk_short=excess > 0)
    left = EVICT_AT_ONCE
    for lane in EVICTION_ORDER:
        over = lanes[lane].allocated + begun.get(lane, 0) * segment_bytes - caps[lane]
        if over > 0:
            plan.over.add(lane)
        for run in islice(lanes[lane].evictable(), left):
            if over <= 0 and excess <= 0:
                break
            plan.runs.setdefault(lane, []).append(run)
            over, excess, left = over - run.size, excess - run.size, left - 1
    return plan
