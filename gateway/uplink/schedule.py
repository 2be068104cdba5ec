"""What goes next: pure decisions over what the spool holds and what was sent, no I/O of its own.

Each lane has two ways: `hist` from the released point up to where the lane stood when the connection was made, and
`live` from there on. By rank: event live, event hist, numeric live; of what the link has left, 70 % of the bytes for
numeric hist and 30 % for wave live; then wave hist; log last. Live data that the link could not take in time become
history, so that what is called live is. `Schedule.next` is the one place where the order is decided.
"""

from collections import deque

import msgspec
from msgspec import Struct

from drivers.observation import LANES, Lane
from gateway.spool.spool import EVERY_TICKS, TICK_S, Frame, Position
from gateway.uplink.topics import Era
from gateway.uplink.way import CONTENT_JSON, Sent, Source, Way, joined

__all__ = ["Departure", "Pace", "Schedule", "Sent", "Source"]

UNACKED_BYTES = 4 << 20
UNACKED_FRAMES = 512
"""What one way may have sent without the platform's word for it; beyond it waits."""
PROBE_BYTES = 64 << 10
"""The same after a time-out, until the platform speaks again: a silent platform does not cost a month of 4G."""
JOIN_BYTES = 64 << 10
"""JSON of one published frame, unless a single frame of the spool has more."""
JOIN_S = 60.0
"""Commits of history in one frame."""
HIST_SHARE = 0.7
LATE_S = 20.0
"""Live data that wait longer than that, their joining apart, become history."""
MARK_S = 0.25
"""Commits of a lane that come closer together are seen as one."""
SMALLEST = 512
LEARN = 0.3

_AGEING: tuple[Lane, ...] = ("numeric", "wave")


class Pace(Struct, frozen=True):
    """What the link takes well just now, in bytes of a published frame; `join_s`: live data are gathered so long."""

    bulk_bytes: int = 1 << 20
    live_bytes: int = 1 << 20
    join_s: float = 0.0


class Departure(Struct, frozen=True):
    """What goes next, and the way it goes: consecutive frames of one lane and epoch, or pieces of them."""

    era: Era
    frames: tuple[Frame, ...]
    is_shared: bool = False
    """Chosen by the 70/30 rule: both sides had something."""

    @property
    def lane(self) -> Lane:  # noqa: D102
        return self.frames[0].lane

    @property
    def epoch(self) -> int:  # noqa: D102
        return self.frames[0].epoch

    @property
    def first(self) -> int:  # noqa: D102
        return self.frames[0].first

    @property
    def last(self) -> int:  # noqa: D102
        return self.frames[-1].last

    @property
    def content_bytes(self) -> int:
        """JSON in it."""
        return sum(len(frame.payload) for frame in self.frames)

    @property
    def is_urgent(self) -> bool:
        """Of the ranks for which a part of the window is kept free."""
        return self.lane == "event" or (self.lane == "numeric" and self.era == "live")

    @property
    def is_readable(self) -> bool:
        """Whether this version knows what is in it."""
        return all(frame.content == CONTENT_JSON for frame in self.frames)

    def array(self) -> bytes:
        """All observations as one JSON array."""
        return joined(self.frames)


class _LaneWays:
    """Both ways of one lane."""

    def __init__(self, lane: Lane, source: Source) -> None:
        self.lane: Lane = lane
        self.live, self.hist = Way(lane, "live", source), Way(lane, "hist", source)
        self.turn = 0
        self.paused_until = 0.0
        self.window_bytes = UNACKED_BYTES
        self.marks: deque[tuple[float, Position]] = deque()
        """When commits were seen that did not leave yet: the first of them tells how late live is."""

    def of(self, era: Era) -> Way:
        return self.live if era == "live" else self.hist


class Schedule:
    """Order, windows, and what is waited for. `now` is monotonic seconds."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lanes = {lane: _LaneWays(lane, source) for lane in LANES}
        self._balance = 0.0
        self.pace = Pace()
        self.is_skimming = False
        """`next` stopped in a stretch that is already acknowledged: ask again, there may be more behind it."""
        for lane in LANES:
            self.rewind(lane)

    def rewind(self, lane: Lane) -> None:
        """Everything unacknowledged goes again as history, from the released point; live begins at this moment."""
        ways, head = self._lanes[lane], self._source.head(lane)
        ways.turn += 1
        ways.marks.clear()
        ways.hist.restart(self._source.released(lane), head)
        ways.live.restart(head, head)

    def pause(self, lane: Lane, until: float) -> None:
        """Send nothing of a lane before `until`."""
        self._lanes[lane].paused_until = until

    def is_current(self, sent: Sent) -> bool:
        """Whether a frame was sent after its lane's last rewind."""
        return self._lanes[sent.lane].turn == sent.turn

    def observe(self, now: float) -> None:
        """See what was committed meanwhile, and let what came too late for live become history."""
        for lane in _AGEING:
            ways, head = self._lanes[lane], self._source.head(lane)
            marks = ways.marks
            while marks and marks[0][1] <= ways.live.cursor:
                marks.popleft()
            if head > (marks[-1][1] if marks else ways.live.cursor):
                if marks and now - marks[-1][0] < MARK_S:
                    marks[-1] = (marks[-1][0], head)
                else:
                    marks.append((now, head))
            if marks and now - marks[0][0] >= LATE_S + self.pace.join_s and now >= ways.paused_until:
                self._demote(ways, head)

    def next(self, now: float) -> Departure | None:
        """What goes next, if anything may go."""
        self.observe(now)
        self.is_skimming = False
        for lane, era in (("event", "live"), ("event", "hist"), ("numeric", "live")):
            found = self._candidate(self._lanes[lane], era, now)  # type: ignore[index, arg-type]
            if found or self.is_skimming:
                return found
        past = self._candidate(self._lanes["numeric"], "hist", now)
        if self.is_skimming:
            return None
        curve = self._candidate(self._lanes["wave"], "live", now)
        if past and curve:
            return msgspec.structs.replace(past if self._balance <= 0 else curve, is_shared=True)
        if past or curve or self.is_skimming:
            return past or curve
        for lane, era in (("wave", "hist"), ("log", "live"), ("log", "hist")):
            found = self._candidate(self._lanes[lane], era, now)  # type: ignore[index, arg-type]
            if found or self.is_skimming:
                return found
        return None

    def wanted(self, departure: Departure) -> int:
        """Bytes of a published frame that would suit the link."""
        return self.pace.live_bytes if departure.is_urgent else self.pace.bulk_bytes

    def shorten(self, departure: Departure, size: int) -> Departure | None:
        """About half of a departure that came out with `size` bytes; None if it cannot be cut."""
        way = self._lanes[departure.lane].of(departure.era)
        way.ratio = max(way.ratio, size / max(1, departure.content_bytes))
        if len(departure.frames) > 1:
            fewer = departure.frames[: len(departure.frames) // 2]
        elif way.split(len(departure.frames[0].payload) // 2 + 1):
            fewer = (way.ahead[0],)
        else:
            return None
        return msgspec.structs.replace(departure, frames=fewer)

    def take(self, departure: Departure, size: int) -> Sent:
        """`departure` was sent with `size` bytes: wait for its acknowledgement."""
        ways = self._lanes[departure.lane]
        way = ways.of(departure.era)
        way.leave(departure.frames)
        way.ratio += (size / max(1, departure.content_bytes) - way.ratio) * LEARN
        if departure.is_shared:
            is_past = departure.lane == "numeric"
            self._balance += size * (1 - HIST_SHARE) if is_past else -size * HIST_SHARE
        sent = Sent(departure.lane, departure.era, departure.epoch, departure.first, departure.last, size, ways.turn)
        way.unacked.append(sent)
        way.unacked_bytes += size
        return sent

    def skip(self, departure: Departure) -> None:
        """`departure` cannot go on this connection; others pass it, and it stays on disk."""
        self._lanes[departure.lane].of(departure.era).leave(departure.frames)

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
        """When a paused lane may go on, or something has been gathered long enough."""
        times = [ways.paused_until for ways in self._lanes.values()]
        if self.pace.join_s:
            times += [self._lanes[lane].marks[0][0] + self.pace.join_s for lane in _AGEING if self._lanes[lane].marks]
        return min((at for at in times if at > now), default=None)

    def _candidate(self, ways: _LaneWays, era: Era, now: float) -> Departure | None:
        way = ways.of(era)
        if now < ways.paused_until:
            return None
        if len(way.unacked) >= UNACKED_FRAMES or way.unacked_bytes >= ways.window_bytes:
            return None
        if way.fetch():
            self.is_skimming = True
        if not way.ahead:
            return None
        wanted = Departure(era, (way.ahead[0],))
        limit = max(SMALLEST, int(self.wanted(wanted) / way.ratio))
        if len(way.ahead[0].payload) > limit:
            way.split(limit)
        is_gathered = era == "live" and self.pace.join_s > 0
        frames, is_full = way.gather(min(limit, JOIN_BYTES), self._most(ways.lane, era))
        if is_gathered and not is_full and ways.marks and now - ways.marks[0][0] < self.pace.join_s:
            return None
        return Departure(era, frames)

    def _most(self, lane: Lane, era: Era) -> int:
        """How many frames may be joined."""
        if era == "live":
            return 1 if not self.pace.join_s else int(JOIN_S)
        return max(1, int(JOIN_S / (EVERY_TICKS[lane] * TICK_S)))

    def _demote(self, ways: _LaneWays, head: Position) -> None:
        start = ways.live.jump(head)
        ways.marks.clear()
        if not ways.hist.append(start, head):
            self.rewind(ways.lane)

    def _is_done(self, sent: Sent) -> bool:
        return self._source.is_acknowledged(sent.lane, sent.epoch, sent.first, sent.last)
