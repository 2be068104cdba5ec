"""What the link carries, judged from the broker's confirmations alone. Pure: `now` is monotonic seconds.

The rate is taken as in the delivery rate estimation of draft-cheng-iccrg-delivery-rate-estimation-02 (TCP BBR): bytes
confirmed between the launch of a message and its own confirmation, over the longer of the time it took to launch
them and the time it took to confirm them, so that a burst of late confirmations is not mistaken for a fast link.
Messages launched while the window was not full say what was asked of the link, not what it can carry: they do not
count. Nor is one quick answer believed at once: what may be in flight grows with what was confirmed lately.
"""

import math

from msgspec import Struct

CEILING_BYTES = 256 << 10
"""In flight at most, on any link."""
START_BYTES = 8 << 10
"""Before anything is known."""
FLOOR_BYTES = 2 << 10
DRAIN_S = 1.25
"""What is in flight drains in about this time: keep-alive and live data never wait behind more."""
FRAME_SHARE = 0.375
"""A frame of the bulk is at most this part of what may be in flight: two of them fit beside what is kept free."""
FRAME_FLOOR_BYTES = 1 << 10
SETTLE_S = 3.0
"""Time constant with which the rate falls; it rises at once."""
FORGET_S = 60.0
"""A rate is known for so long after the link was last seen at work."""
RTT_LIMIT_S = 2.0
SHORTEST_S = 1e-3


class Mark(Struct, frozen=True):
    """What was known when a message was launched; it comes back with the confirmation."""

    at: float
    size: int
    delivered: int
    delivered_at: float
    first_at: float
    is_idle: bool


class Throughput:
    """The rate of one connection, and what may be in flight over it."""

    def __init__(self, rtt_s: float = RTT_LIMIT_S) -> None:
        self.rtt_s = min(rtt_s, RTT_LIMIT_S)
        self._rate = 0.0
        self._busy_at: float | None = None
        self._is_dry = True
        self._in_flight = self._delivered = 0
        self._delivered_at = self._first_at = self._faded_at = 0.0
        self._lately = 0.0

    def launched(self, now: float, size: int) -> Mark:
        """A message of `size` bytes on the wire goes out."""
        self._fade(now)
        if not self._in_flight:
            self._delivered_at = self._first_at = now
        self._in_flight += size
        return Mark(now, size, self._delivered, self._delivered_at, self._first_at, self._is_dry)

    def filled(self) -> None:
        """More waits than the window takes: from now on the link sets the pace."""
        self._is_dry = False

    def ran_dry(self) -> None:
        """Nothing more waits: from now on it is we who set the pace."""
        self._is_dry = True

    def confirmed(self, now: float, mark: Mark) -> None:
        """The broker has it, or refused it: either way it has crossed the link."""
        self._fade(now)
        self._lately += mark.size
        self._in_flight -= mark.size
        self._delivered += mark.size
        self._delivered_at = now
        self._first_at = max(self._first_at, mark.at)
        self.rtt_s = min(self.rtt_s, max(SHORTEST_S, now - mark.at))
        took = max(now - mark.delivered_at, mark.at - mark.first_at, SHORTEST_S)
        seen = (self._delivered - mark.delivered) / took
        is_busy = not mark.is_idle or now - mark.at > DRAIN_S + self.rtt_s  # so long a queue: no rest between
        if not is_busy:
            return
        fall = (seen - self._rate) * (1 - math.exp(-took / SETTLE_S))
        self._rate = seen if seen > self._rate else self._rate + fall
        self._busy_at = now

    def rate(self, now: float) -> float | None:
        """Bytes per second the link carries; None when it was not seen at work lately."""
        is_known = self._busy_at is not None and now - self._busy_at < FORGET_S
        return self._rate if is_known else None

    @property
    def window_bytes(self) -> int:
        """What may be in flight."""
        if self._busy_at is None:
            return START_BYTES
        drained = min(self._rate * (DRAIN_S + self.rtt_s), START_BYTES + 2 * self._lately)
        return max(FLOOR_BYTES, min(CEILING_BYTES, round(drained)))

    @property
    def frame_bytes(self) -> int:
        """What a frame of the bulk may have, so that live data find their place between two of them."""
        window = self.window_bytes
        return window if window >= CEILING_BYTES else max(FRAME_FLOOR_BYTES, int(window * FRAME_SHARE))

    def live_bytes(self, now: float) -> int | None:
        """What a frame of live data may have, so that its beginning does not wait for its end; None: anything."""
        window = self.window_bytes
        is_free = window >= CEILING_BYTES or self.rate(now) is None
        return None if is_free else max(FRAME_FLOOR_BYTES, window // 2)

    def _fade(self, now: float) -> None:
        """What was confirmed in about the time in which the window drains."""
        self._lately *= math.exp((self._faded_at - now) / (DRAIN_S + self.rtt_s))
        self._faded_at = now


FRAME_S = 1.0
JOINED_S = 10.0
TOO_MUCH, EASY = 0.5, 0.25
"""Share of the link that live numerics may take in frames of a second; with how little of it they are tried again."""
DWELL_S = 60.0
MEMORY_S = 20.0
LEARN = 0.2


class Cadence:
    """Frames of one second while they fit well, frames of ten when they do not, and back with hysteresis."""

    def __init__(self) -> None:
        self.is_joined = False
        self._since = self._heard_at = 0.0
        self._bytes_s = 0.0
        self._cost = 0.0

    @property
    def frame_s(self) -> float:
        """Seconds of live data in a frame."""
        return JOINED_S if self.is_joined else FRAME_S

    def departed(self, now: float, commits: int, content: int, wire: int) -> None:
        """Live numerics left: `content` bytes of JSON in so many commits, `wire` bytes on the link."""
        self._fade(now)
        self._bytes_s += content / MEMORY_S
        if commits == 1:
            cost = wire / max(1, content)
            self._cost = cost if not self._cost else self._cost + (cost - self._cost) * LEARN

    def demand(self, now: float) -> float:
        """Bytes per second of live numerics, were they sent in frames of one second."""
        self._fade(now)
        return self._bytes_s * (self._cost or 1.0)

    def decide(self, now: float, pace: float | None) -> bool:
        """Choose anew for a link of `pace` bytes per second (None: not known); True when it changed."""
        demand = self.demand(now)
        if self.is_joined:
            change = now - self._since >= DWELL_S and (pace is None or demand < EASY * pace)
        else:
            change = pace is not None and demand > TOO_MUCH * pace
        if change:
            self.is_joined, self._since = not self.is_joined, now
        return change

    def _fade(self, now: float) -> None:
        self._bytes_s *= math.exp((self._heard_at - now) / MEMORY_S)
        self._heard_at = now
