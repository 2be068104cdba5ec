"""A link of so many bytes a second on a clock that is turned by hand: events only, no socket, no waiting.

The real session, schedule and encodings on one side; on the other a line that carries one byte after another, a
broker that confirms each message when its last byte is there, and a platform that acknowledges a little later.
"""

import heapq
import itertools
from collections.abc import Callable
from random import Random
from typing import cast

from msgspec import Struct

from drivers.observation import LANES, Lane
from gateway.uplink.acknowledgement import Judge
from gateway.uplink.budget import CONFIRM_COST, Budget, wire_bytes
from gateway.uplink.mqtt import Connection, Granted, Message
from gateway.uplink.schema import Birth, Health, decode_frame, encode, sign_ack, split_topic
from gateway.uplink.session import Session
from gateway.uplink.terms import Counters, Identity, Timing, Tools
from gateway.uplink.wire import Encoding, Wire
from simulators.central.store import add_range, holes_of
from tests.gateway.uplink.fake_spool import FakeSpool
from tests.gateway.uplink.journal import Memory

KEY = b"k" * 32
SITE, GATEWAY = "site-1", "gw-test"
ACK_S = 0.1


class Trip(Struct):
    """One frame's way over the link."""

    lane: Lane
    era: str
    epoch: int
    first: int
    last: int
    size: int
    payload: int
    departed: float
    arrived: float = 0.0


class SlowLink:
    """`commit` puts observations into the spool; `run` lets time pass. Rates may be changed at any time."""

    def __init__(
        self,
        spool: FakeSpool,
        rate: float,
        *,
        rtt: float = 0.1,
        encoding: Encoding = "json",
        budget: int = 0,
        granted: Granted | None = None,
        start: float = 1000.0,
    ) -> None:
        self.now, self.rate, self._rtt, self.spool = start, rate, rtt, spool
        self.trips: list[Trip] = []
        self.queued_most = 0
        self.spent: list[tuple[float, int, bool]] = []
        """When, how many bytes with all around them, and whether the budget may not hold it back."""
        self.joined: list[tuple[float, float]] = [(start, 0.0)]
        """Since when live data are gathered for how long."""
        self.committed_at: dict[tuple[Lane, int, int], float] = {}
        self.traffic, self.is_writing = (0, 0), False
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._mids = itertools.count(1)
        self._queue: list[tuple[float, Callable[[], None]]] = []
        self._left = 0.0
        self._queued = 0.0
        self._served_at = start
        self._received: dict[tuple[Lane, int], list[tuple[int, int]]] = {}
        self.journal, self.counters = Memory(), Counters()
        self.wire = Wire(encoding)
        tools = Tools(
            spool,
            Judge(SITE, GATEWAY, spool),
            self.journal,
            self.counters,
            Random(1),
            lambda: self.now,
            Timing(health_s=1e9, confirm_s=1e9, ack_s=1e9),
            Birth,
            Health,
            lambda: None,
            self.wire,
            Budget(budget, start) if budget else None,
        )
        self.session = Session(Identity(SITE, GATEWAY, 7, "platform", KEY), tools)
        self.session.begin(cast(Connection, self), granted or Granted(), rtt)

    # -- what a connection is to the session -----------------------------------------------------------------------

    def subscribe(self, *_topics: str) -> None:
        pass

    def unsubscribe(self, _topic: str) -> None:
        pass

    def publish(self, message: Message) -> int:
        mid = next(self._mids)
        size = wire_bytes(message.topic, message.content_type, len(message.payload))
        place = split_topic(message.topic)
        assert place is not None
        rest = place[2]
        trip: Trip | None = None
        if rest.startswith(("live/", "hist/")):
            frame, seen = decode_frame(message.payload)
            assert len(seen) == frame.count
            last = frame.first + frame.count - 1
            trip = Trip(frame.lane, rest[:4], frame.epoch, frame.first, last, size, len(message.payload), self.now)
            self.trips.append(trip)
        self.spent.append((self.now, size, trip is None or trip.lane == "event"))
        self._serve()
        self._queue.append((float(size - CONFIRM_COST), lambda: self._arrive(mid, trip)))
        self._queued += size - CONFIRM_COST
        self.queued_most = max(self.queued_most, round(self._queued))
        return mid

    # -- the line --------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        """What the line carried since it was last looked at; a message arrives with its last byte."""
        credit, at = (self.now - self._served_at) * self.rate, self._served_at
        self._served_at = self.now
        while self._queue and credit >= self._queue[0][0] - 1e-6:
            size, arrive = self._queue.pop(0)
            credit -= size
            self._queued -= size
            at += size / self.rate
            self._at(max(self.now, at + self._rtt / 2), arrive)
        if self._queue:
            size, arrive = self._queue[0]
            self._queue[0] = (size - credit, arrive)
            self._queued -= credit

    def set_rate(self, rate: float) -> None:
        self._serve()
        self.rate = rate

    def _at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), what))

    def _arrive(self, mid: int, trip: Trip | None) -> None:
        if trip is not None:
            trip.arrived = self.now
            ranges = self._received.setdefault((trip.lane, trip.epoch), [])
            self._received[trip.lane, trip.epoch] = add_range(ranges, trip.first, trip.last)
            self._at(self.now + ACK_S + self._rtt / 2, lambda: self._acknowledge(trip.lane, trip.epoch))
        self._at(self.now + self._rtt / 2, lambda: self.session.published(mid, 0, "Success"))

    def _acknowledge(self, lane: Lane, epoch: int) -> None:
        upto, holes = holes_of(self._received[lane, epoch])
        ack = sign_ack(KEY, SITE, GATEWAY, lane, spool=self.spool.id, epoch=epoch, upto=upto, holes=holes)
        self.session.received(f"jisr/v1/{SITE}/{GATEWAY}/ack/{lane}", encode(ack))

    # -- time ------------------------------------------------------------------------------------------------------

    def commit(self, lane: Lane, count: int, payload: bytes) -> None:
        self.spool.put_raw(lane, count, payload)
        frame = self.spool.frames[lane][-1]
        self.committed_at[lane, frame.epoch, frame.last] = self.now

    def run(self, until: float) -> None:
        """Let time pass, with the session at work whenever it would be."""
        while True:
            self._work()
            self._serve()
            following = min(self.now + self.session._rest(self.now) + 1e-3, until)
            if self._queue and self.rate:
                following = min(following, self.now + self._queue[0][0] / self.rate)
            if self._events:
                following = min(following, self._events[0][0])
            self.now = max(self.now, following)
            self._serve()
            while self._events and self._events[0][0] <= self.now:
                heapq.heappop(self._events)[2]()
            if self.now >= until:
                self._work()
                return

    def _work(self) -> None:
        self.session._watch(self.now)
        join_s = self.session._cadence.frame_s if self.session._cadence.is_joined else 0.0
        if join_s != self.joined[-1][1]:
            self.joined.append((self.now, join_s))
        while self.session._pump(self.now):
            pass

    # -- what is looked at afterwards ------------------------------------------------------------------------------

    def lateness(self, lane: Lane) -> list[tuple[float, float]]:
        """(commit, delay to the platform) of each commit of a lane since the connection stood; inf: not there."""
        ends = sorted((trip.epoch, trip.first, trip.last, trip.arrived) for trip in self.trips if trip.lane == lane)
        found, at = [], 0
        for (of, epoch, last), when in sorted(self.committed_at.items(), key=lambda item: item[0][1:]):
            if of != lane:
                continue
            while at < len(ends) and (ends[at][0], ends[at][2]) < (epoch, last):
                at += 1
            is_there = at < len(ends) and ends[at][0] == epoch and ends[at][1] <= last and ends[at][3]
            found.append((when, ends[at][3] - when if is_there else float("inf")))
        return found

    def counts(self) -> dict[tuple[Lane, int, int], int]:
        """How often each observation departed."""
        seen: dict[tuple[Lane, int, int], int] = {}
        for trip in self.trips:
            for seq in range(trip.first, trip.last + 1):
                name = (trip.lane, trip.epoch, seq)
                seen[name] = seen.get(name, 0) + 1
        return seen

    def arrived_bytes(self, lane: Lane, era: str) -> int:
        return sum(trip.size for trip in self.trips if (trip.lane, trip.era) == (lane, era) and trip.arrived)


__all__ = ["LANES", "SlowLink", "Trip"]
