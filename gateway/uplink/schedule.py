"""Which frame goes next: pure decisions over what the spool holds and what was sent, no I/O of its own.

Each lane has two ways: `hist` from the released point up to where the lane stood when the connection was made, and
`live` from there on. By rank: event live, event hist, numeric live, numeric hist, then waves, then log.
`Schedule.next` is the one place where the order is decided.
"""

from collections import deque
from typing import Protocol

from msgspec import Struct

from drivers.observation import LANES, Lane
from gateway.spool.spool import Frame, Position
from gateway.uplink.topics import Era

UNACKED_BYTES = 4 << 20
UNACKED_FRAMES = 512
"""What one way may have sent without the platform's word for it; beyond it waits."""
PROBE_BYTES = 64 << 10
"""The same after a time-out, until the platform speaks again: a silent platform does not cost a month of 4G."""
FETCH_FRAMES = 4
SKIP_FETCHES = 4


class Source(Protocol):
    """The part of the spool that is read here."""

    def frames_after(self, lane: Lane, after: Position, limit: int) -> list[Frame]:
        """Committed frames, in order."""
        ...

    def head(self, lane: Lane) -> Position:
        """The last committed observation."""
        ...

    def released(self, lane: Lane) -> Position:
        """The last observation before which nothing is kept."""
        ...

    def is_acknowledged(self, lane: Lane, epoch: int, first: int, last: int) -> bool:
        """Whether all of these were acknowledged."""
        ...


class Sent(Struct, eq=False):
    """One frame that was handed to the broker."""

    lane: Lane
    era: Era
    epoch: int
    first: int
    last: int
    size: int
    turn: int
    """Of its lane: what was sent before a rewind is no longer waited for."""
    confirmed_at: float | None = None
    """When its PUBACK came."""


class Departure(Struct, frozen=True):
    """The next frame, and the way it goes."""

    era: Era
    frame: Frame


class _Way:
    """One lane's live or hist."""

    def __init__(self, era: Era) -> None:
        self.era: Era = era
        self.cursor = self.end = Position(0, 0)
        self.ahead: deque[Frame] = deque()
        self.unacked: deque[Sent] = deque()
        self.unacked_bytes = 0

    def restart(self, cursor: Position, end: Position) -> None:
        self.cursor, self.end, self.unacked_bytes = cursor, end, 0
        self.ahead.clear()
        self.unacked.clear()


class _LaneWays:
    """Both ways of one lane."""

    def __init__(self, lane: Lane) -> None:
        self.lane: Lane = lane
        self.live, self.hist = _Way("live"), _Way("hist")
        self.turn = 0
        self.paused_until = 0.0
        self.window_bytes = UNACKED_BYTES


class Schedule:
    """Order, windows, and what is waited for. `now` is monotonic seconds."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lanes = {lane: _LaneWays(lane) for lane in LANES}
        self.is_skimming = False
        """`next` stopped in a stretch that is already acknowledged: ask again, there may be more behind it."""
        for lane in LANES:
            self.rewind(lane)

    def rewind(self, lane: Lane) -> None:
        """Everything unacknowledged goes again as history, from the released point; live begins at this moment."""
        ways, head = self._lanes[lane], self._source.head(lane)
        ways.turn += 1
        ways.hist.restart(self._source.released(lane), head)
        ways.live.restart(head, head)

    def pause(self, lane: Lane, until: float) -> None:
        """Send nothing of a lane before `until`."""
        self._lanes[lane].paused_until = until

    def is_current(self, sent: Sent) -> bool:
        """Whether a frame was sent after its lane's last rewind."""
        return self._lanes[sent.lane].turn == sent.turn

    def next(self, now: float) -> Departure | None:
        """The frame that goes next, if any may go."""
        self.is_skimming = False
        for ways in self._lanes.values():
            if now < ways.paused_until:
                continue
            for way in (ways.live, ways.hist):
                if len(way.unacked) >= UNACKED_FRAMES or way.unacked_bytes >= ways.window_bytes:
                    continue
                if not way.ahead:
                    self._fetch(ways.lane, way)
                if way.ahead:
                    return Departure(way.era, way.ahead[0])
        return None

    def take(self, departure: Departure, size: int) -> Sent:
        """`departure` was sent with `size` bytes: wait for its acknowledgement."""
        frame, ways = departure.frame, self._lanes[departure.frame.lane]
        way = self._pass(departure)
        last = frame.first + frame.count - 1
        sent = Sent(frame.lane, departure.era, frame.epoch, frame.first, last, size, ways.turn)
        way.unacked.append(sent)
        way.unacked_bytes += size
        return sent

    def skip(self, departure: Departure) -> None:
        """`departure` cannot go on this connection; others pass it, and it stays on disk."""
        self._pass(departure)

    def settle(self, lane: Lane, *, is_word: bool) -> None:
        """Forget what is acknowledged by now; `is_word`: the platform spoke, so the full window is open again."""
        ways = self._lanes[lane]
        if is_word:
            ways.window_bytes = UNACKED_BYTES
        for way in (ways.live, ways.hist):
            while way.unacked and self._is_done(way.unacked[0]):
                way.unacked_bytes -= way.unacked.popleft().size

    def overdue(self, now: float, timeout_s: float) -> list[Lane]:
        """Lanes of which the broker took something `timeout_s` ago that the platform has not acknowledged."""
        late = []
        for ways in self._lanes.values():
            self.settle(ways.lane, is_word=False)
            oldest = [way.unacked[0].confirmed_at for way in (ways.live, ways.hist) if way.unacked]
            if any(at is not None and now - at >= timeout_s for at in oldest):
                ways.window_bytes = PROBE_BYTES
                late.append(ways.lane)
        return late

    def wake_at(self, now: float) -> float | None:
        """When a paused lane may go on."""
        return min((ways.paused_until for ways in self._lanes.values() if ways.paused_until > now), default=None)

    def _pass(self, departure: Departure) -> _Way:
        ways = self._lanes[departure.frame.lane]
        way = ways.live if departure.era == "live" else ways.hist
        frame = way.ahead.popleft()
        way.cursor = Position(frame.epoch, frame.first + frame.count - 1)
        return way

    def _is_done(self, sent: Sent) -> bool:
        return self._source.is_acknowledged(sent.lane, sent.epoch, sent.first, sent.last)

    def _fetch(self, lane: Lane, way: _Way) -> None:
        if way.era == "live":
            way.end = self._source.head(lane)
        way.cursor = max(way.cursor, self._source.released(lane))
        for _ in range(SKIP_FETCHES):
            if way.cursor >= way.end:
                return
            found = self._source.frames_after(lane, way.cursor, FETCH_FRAMES)
            for frame in found:
                last = Position(frame.epoch, frame.first + frame.count - 1)
                if last > way.end:
                    break
                if not self._source.is_acknowledged(lane, frame.epoch, frame.first, last.seq):
                    way.ahead.append(frame)
                elif not way.ahead:
                    way.cursor = last
            if way.ahead:
                return
            if not found or way.cursor < Position(found[-1].epoch, found[-1].first + found[-1].count - 1):
                way.cursor = way.end  # what stood between was evicted, or belongs to the other way
                return
        self.is_skimming = True
