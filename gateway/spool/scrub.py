"""The scrub: a slow walk over everything committed, so that damage is found while a person can still do something.

A card loses bits in data that nobody reads for weeks. One window of a segment is read from the medium and opened at
each beat of the timer, round and round; what cannot be read any more is told as it is when it is met while sending.
"""

from collections.abc import Mapping

from msgspec import Struct

from drivers.observation import LANES, Lane
from gateway.spool.acked import Range
from gateway.spool.cipher import Keyring
from gateway.spool.lane import LaneIndex
from gateway.spool.segment import HEAD_BYTES, Run
from gateway.spool.window import WINDOW_BYTES, met_in

LAP_BEATS = 3600
"""A lap takes at least so many beats: what is small is not read over and over."""


class Stretch(Struct):
    """What is read at one beat: a piece of one segment, as it was committed when the beat began."""

    lane: Lane
    run: Run
    end: int
    """What is committed of it; more may be written meanwhile."""
    offset: int = HEAD_BYTES
    last: int = 0
    lost: list[Range] = []
    read: int = 0


class Scrubber:
    """Goes round. `next()` and `settle()` on the event loop, `verify()` in the worker, nothing else moving files."""

    def __init__(self, lanes: Mapping[Lane, LaneIndex], keyring: Keyring) -> None:
        self._lanes, self._keyring = lanes, keyring
        self._at: tuple[int, int] = (0, 0)
        """Place of the lane, number of the segment that was finished last in it."""
        self._rest: Stretch | None = None
        self._beats, self._is_under_way = LAP_BEATS, False
        self.bytes = self.laps = 0

    def next(self) -> Stretch | None:
        """What to read now; None where nothing is committed, or the last lap was a short one."""
        self._beats += 1
        rest, self._rest = self._rest, None
        if rest and self._lanes[rest.lane].run_after(rest.run.number - 1) is rest.run:
            rest.end, rest.lost, rest.read = rest.run.end, [], 0
            return rest
        while True:
            place, number = self._at
            if not self._is_under_way and self._beats < LAP_BEATS:
                return None
            run = self._lanes[LANES[place]].run_after(number)
            if run is not None:
                self._beats = self._beats if self._is_under_way else 0
                self._is_under_way = True
                return Stretch(LANES[place], run, run.end, last=run.first - 1)
            self._at = ((place + 1) % len(LANES), 0)
            if self._at == (0, 0):
                self.laps += self._is_under_way
                if not self._is_under_way:
                    return None
                self._is_under_way = False

    def verify(self, stretch: Stretch) -> None:
        """Read one window of it. In the worker."""
        run, start = stretch.run, stretch.offset
        bound = Run(run.folder, run.number, run.origin, run.first, run.last, stretch.end, run.size)
        opener = self._keyring.opener(run.origin)
        for met in met_in(bound, stretch.lane, opener, start, stretch.last, is_fresh=True):
            stretch.offset, stretch.last = met.end, met.last
            if met.lost:
                stretch.lost.append((run.epoch, *met.lost))
            if stretch.offset - start >= WINDOW_BYTES:
                break
        else:
            stretch.offset = stretch.end
        stretch.read = stretch.offset - start
        run.is_newer = run.is_newer or bound.is_newer

    def settle(self, stretch: Stretch) -> list[Range]:
        """Go on from there next time. Returns what is newly known to be lost."""
        self.bytes += stretch.read
        if stretch.offset < stretch.end:
            self._rest = stretch
        else:
            self._at = (LANES.index(stretch.lane), stretch.run.number)
        if not stretch.lost:
            return []
        stretch.run.is_damaged = True
        return [each for lost in stretch.lost for each in self._lanes[stretch.lane].lose(*lost)]
