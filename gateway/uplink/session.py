"""One connection's life: birth and state, frames out as the windows allow, confirmations and acknowledgements in."""

import asyncio
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from drivers.observation import Lane
from gateway.errors import JisrError
from gateway.spool.spool import Frame, Position
from gateway.uplink import errors
from gateway.uplink.acknowledgement import Judge, Refused
from gateway.uplink.mqtt import HEADROOM_BYTES, PACKET_LIMIT_BYTES, Connection, Granted, Message
from gateway.uplink.schedule import Departure, Schedule, Sent
from gateway.uplink.schema import FRAME_TYPE, JSON_TYPE, Birth, FrameEnvelope, Health, State, encode
from gateway.uplink.topics import ack_filter, frame_topic, own_topic

IN_FLIGHT_BYTES = 256 << 10
"""Keep-alive and events must never wait behind more than this."""
NO_SUBSCRIBERS = 0x10
FAILURE = 0x80
CONTENT_JSON = 1
HELD_LIMIT = 1000


class Journal(Protocol):
    """Where events and sentences go (gateway/journal.py)."""

    def event(self, name: str, **facts: Any) -> None:
        """One event for machines."""
        ...

    def say(self, error: JisrError, subject: str = "") -> None:
        """One sentence for people, once until it changes."""
        ...

    def settle(self, subject: str) -> None:
        """What was wrong with `subject` is over."""
        ...


class Store(Protocol):
    """What the uplink needs of the spool."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def epoch(self) -> int: ...  # noqa: D102

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

    def acknowledge(self, lane: Lane, epoch: int, upto: int, holes: tuple[tuple[int, int], ...] = ()) -> int:
        """Release; how many observations were released now."""
        ...


class Timing(Struct, frozen=True):
    """Every time of the uplink, in seconds."""

    connect_s: float = 15.0
    connack_s: float = 10.0
    ack_s: float = 60.0
    """No acknowledgement for so long after the broker's confirmation: send again."""
    confirm_s: float = 180.0
    """No confirmation at all for so long while some are awaited: connect again."""
    health_s: float = 60.0
    steady_s: float = 30.0
    """A connection that held so long starts the back-off afresh."""
    retry_first_s: float = 1.0
    retry_last_s: float = 300.0
    refused_last_s: float = 60.0


class Counters(Struct):
    """What the uplink has done in this life."""

    connections: int = 0
    frames: int = 0
    observations: int = 0
    bytes: int = 0
    confirmed: int = 0
    acknowledged: int = 0
    """Observations that an acknowledgement released."""
    resent: int = 0
    held: int = 0
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    """Acknowledgements refused, by reason."""
    undelivered: Counter[str] = msgspec.field(default_factory=Counter)
    """Publications the broker did not take, by reason."""


class Backoff:
    """Full jitter: anything between 0 and a bound that doubles from `first` to `last`."""

    def __init__(self, first_s: float, last_s: float, rng: Random) -> None:
        self._first, self._last, self._rng, self._tries = first_s, last_s, rng, 0

    def next(self) -> float:
        """Seconds to wait before the next try."""
        bound = min(self._last, self._first * 2**self._tries)
        self._tries = min(self._tries + 1, 32)
        return self._rng.uniform(0, bound)

    def reset(self) -> None:
        """It went well."""
        self._tries = 0


class Identity(Struct, frozen=True):
    """What a session is called, and how it is acknowledged."""

    site: str
    gateway: str
    session: int
    ack: Literal["platform", "broker"]
    key: bytes = b""


class Tools(Struct, frozen=True):
    """What a session works with."""

    store: Store
    judge: Judge
    journal: Journal
    counters: Counters
    rng: Random
    monotonic: Callable[[], float]
    timing: Timing
    birth: Callable[[], Birth]
    health: Callable[[], Health]
    acknowledged: Callable[[], None]


class Session:
    """The listener of one connection, and what drives it."""

    def __init__(self, me: Identity, tools: Tools) -> None:
        self._me, self._t = me, tools
        self._connection: Connection | None = None
        self._granted = Granted()
        self._schedule = Schedule(tools.store)
        self._outbox: dict[str, Message] = {}
        self._in_flight: dict[int, Sent | str] = {}
        self._in_flight_bytes = 0
        self._held: set[tuple[str, int, int]] = set()
        self._backoff: dict[str, Backoff] = {}
        self._confirmed_at = self._health_at = tools.monotonic()
        self._error: errors.UplinkError | None = None
        self._is_leaving = False
        self.wake = asyncio.Event()

    def will(self) -> Message:
        """What the broker says for us when the line breaks."""
        return self._own("state", State("offline", self._me.session))

    def begin(self, connection: Connection, granted: Granted) -> None:
        """CONNACK has come."""
        self._connection, self._granted = connection, granted
        if self._me.ack == "platform":
            connection.subscribe(ack_filter(self._me.site, self._me.gateway))
        self.say_birth()
        self._post(self._own("state", State("online", self._me.session)))

    def say_birth(self) -> None:
        """Send the birth (again), with this session's own fields."""
        me, store = self._me, self._t.store
        whole = msgspec.structs.replace(
            self._t.birth(),
            gateway=me.gateway,
            site=me.site,
            session=me.session,
            spool=store.id,
            epoch=store.epoch,
            ack=me.ack,
            encoding="json",
        )
        self._post(self._own("birth", whole))

    async def work(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set. Raises the leaf that ended the connection."""
        while self._error is None and not stopping.is_set():
            self.wake.clear()
            now = self._t.monotonic()
            self._watch(now)
            is_more = self._pump(now)
            if is_more:
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(self._rest(self._t.monotonic())):
                    await self.wake.wait()
            except TimeoutError:
                continue
        if self._error is not None:
            raise self._error

    async def farewell(self, deadline_s: float) -> None:
        """State offline, confirmed if the line lets it within `deadline_s`; then DISCONNECT."""
        connection, self._is_leaving = self._connection, True
        if connection is None:
            return
        self._outbox.clear()
        state = self._own("state", State("offline", self._me.session))
        self._post(state)
        try:
            async with asyncio.timeout(deadline_s):
                while self._error is None and (self._outbox or state.topic in self._in_flight.values()):
                    self.wake.clear()
                    self._pump(self._t.monotonic())
                    await self.wake.wait()
        except TimeoutError:
            pass
        await connection.close(deadline_s)

    # -- what the connection tells ------------------------------------------------------------------------------

    def published(self, mid: int, code: int, reason: str) -> None:
        """PUBACK: 0 is success; 0x10 and 0x80 upwards mean that nobody has it."""
        sent, now = self._in_flight.pop(mid, None), self._t.monotonic()
        self._confirmed_at = now
        self.wake.set()
        if isinstance(sent, Sent):
            self._in_flight_bytes -= sent.size
            topic = frame_topic(self._me.site, self._me.gateway, sent.era, sent.lane)
            if code == NO_SUBSCRIBERS or code >= FAILURE:
                self._not_delivered(sent, topic, code, reason, now)
            else:
                self._confirmed(sent, topic, now)
        elif isinstance(sent, str) and code >= FAILURE:
            self._t.counters.undelivered[reason] += 1
            self._t.journal.say(errors.NotDelivered(topic=sent, reason=reason), f"publish {sent}")

    def received(self, topic: str, payload: bytes) -> None:
        """A message for us: only acknowledgements are expected."""
        if self._me.ack != "platform":
            return
        try:
            verdict = self._t.judge.judge(self._me.key, topic, payload)
        except Refused as refused:
            self._t.counters.refused[refused.reason] += 1
            if refused.reason != "old":  # a repeat is normal after a re-send
                self._t.journal.say(errors.AckRefused(reason=refused.reason), "acknowledgement")
            return
        freed = self._t.store.acknowledge(verdict.lane, verdict.epoch, verdict.upto, verdict.holes)
        self._t.counters.acknowledged += freed
        self._t.journal.settle(f"silence {verdict.lane}")
        self._schedule.settle(verdict.lane, is_word=True)
        self._t.acknowledged()
        self.wake.set()

    def subscribed(self, codes: tuple[int, ...]) -> None:
        """SUBACK."""
        topic = ack_filter(self._me.site, self._me.gateway)
        if not codes or any(code >= FAILURE for code in codes):
            self._t.journal.say(errors.AckNotReadable(topic=topic), "subscription")
        else:
            self._t.journal.settle("subscription")

    def lost(self, error: errors.UplinkError) -> None:
        """The connection is over."""
        self._error = self._error or error
        self.wake.set()

    # -- what goes out ------------------------------------------------------------------------------------------

    def _own(self, leaf: Literal["birth", "state", "health"], content: Struct) -> Message:
        retain = leaf != "health" and self._granted.retain
        return Message(own_topic(self._me.site, self._me.gateway, leaf), encode(content), JSON_TYPE, retain)

    def _post(self, message: Message) -> None:
        self._outbox[message.topic] = message
        self.wake.set()

    def _has_room(self, size: int) -> bool:
        if len(self._in_flight) >= self._granted.window:
            return False
        return self._in_flight_bytes == 0 or self._in_flight_bytes + size <= IN_FLIGHT_BYTES

    def _pump(self, now: float) -> bool:
        """Hand over what there is room for; True when there may be more at once."""
        connection = self._connection
        if connection is None or self._error is not None:
            return False
        while self._outbox and self._has_room(0):
            topic = next(iter(self._outbox))
            self._launch(connection, self._outbox.pop(topic), topic)
        while not self._is_leaving and not self._outbox and self._has_room(0):
            departure = self._schedule.next(now)
            if departure is None:
                return self._schedule.is_skimming
            if not self._depart(connection, departure):
                return False
        return False

    def _depart(self, connection: Connection, departure: Departure) -> bool:
        """False when the frame must wait for room; a frame that can never go is passed over and held."""
        me, frame = self._me, departure.frame
        message = Message(
            frame_topic(me.site, me.gateway, departure.era, frame.lane), self._envelope(frame), FRAME_TYPE
        )
        size = len(message.payload)
        if frame.content != CONTENT_JSON or size + HEADROOM_BYTES > min(
            self._granted.packet_bytes, PACKET_LIMIT_BYTES
        ):
            self._hold(frame, size)
            self._schedule.skip(departure)
            return True
        if not self._has_room(size):
            return False
        sent = self._schedule.take(departure, size)
        self._t.judge.note_sent(sent.lane, sent.epoch, sent.last)
        self._launch(connection, message, sent)
        counters = self._t.counters
        counters.frames += 1
        counters.observations += frame.count
        counters.bytes += size
        return True

    def _launch(self, connection: Connection, message: Message, what: Sent | str) -> None:
        if not self._in_flight:
            self._confirmed_at = self._t.monotonic()
        self._in_flight[connection.publish(message)] = what
        if isinstance(what, Sent):
            self._in_flight_bytes += what.size

    def _envelope(self, frame: Frame) -> bytes:
        me = self._me
        return encode(
            FrameEnvelope(
                me.gateway,
                me.site,
                self._t.store.id,
                frame.epoch,
                frame.lane,
                frame.first,
                frame.count,
                msgspec.Raw(frame.payload),
            )
        )

    def _hold(self, frame: Frame, size: int) -> None:
        name = (frame.lane, frame.epoch, frame.first)
        if name in self._held or len(self._held) >= HELD_LIMIT:
            return
        self._held.add(name)
        self._t.counters.held += 1
        limit = min(self._granted.packet_bytes, PACKET_LIMIT_BYTES)
        self._t.journal.say(errors.FrameTooLarge(size=size, limit=limit), "large frame")

    # -- what becomes of it -------------------------------------------------------------------------------------

    def _confirmed(self, sent: Sent, topic: str, now: float) -> None:
        self._t.counters.confirmed += 1
        if not self._schedule.is_current(sent):
            return
        sent.confirmed_at = now
        if topic in self._backoff:
            del self._backoff[topic]
            self._t.journal.settle(f"publish {topic}")
        if self._me.ack == "broker":
            before = ((1, sent.first - 1),) if sent.first > 1 else ()
            self._t.counters.acknowledged += self._t.store.acknowledge(sent.lane, sent.epoch, sent.last, before)
            self._t.acknowledged()
            self._schedule.settle(sent.lane, is_word=True)

    def _not_delivered(self, sent: Sent, topic: str, code: int, reason: str, now: float) -> None:
        self._t.counters.undelivered[reason] += 1
        if not self._schedule.is_current(sent):
            return
        timing = self._t.timing
        leaf = errors.NobodyListens if code == NO_SUBSCRIBERS else errors.NotDelivered
        self._t.journal.say(leaf(topic=topic, reason=reason), f"publish {topic}")
        backoff = self._backoff.setdefault(topic, Backoff(timing.retry_first_s, timing.refused_last_s, self._t.rng))
        self._schedule.rewind(sent.lane)
        self._schedule.pause(sent.lane, now + backoff.next())

    def _watch(self, now: float) -> None:
        timing = self._t.timing
        if self._in_flight and now - self._confirmed_at >= timing.confirm_s:
            self._error = errors.BrokerStuck(seconds=round(timing.confirm_s))
            return
        for lane in self._schedule.overdue(now, timing.ack_s):
            self._t.counters.resent += 1
            self._t.journal.say(errors.NotAcknowledged(lane=lane, seconds=round(timing.ack_s)), f"silence {lane}")
            self._schedule.rewind(lane)
        if now >= self._health_at:
            self._health_at = now + timing.health_s
            self._post(self._own("health", self._whole_health()))

    def _rest(self, now: float) -> float:
        """How long nothing needs to be looked at unless something happens."""
        wake_at = self._schedule.wake_at(now)
        return max(0.0, min(self._health_at - now, 1.0, *(() if wake_at is None else (wake_at - now,))))

    def _whole_health(self) -> Health:
        counters = msgspec.to_builtins(self._t.counters)
        traffic = self._connection.traffic if self._connection else (0, 0)
        link = {
            "bytes_sent": traffic[0],
            "bytes_received": traffic[1],
            "in_flight": len(self._in_flight),
            "acknowledgements_refused": counters.pop("refused"),
            "undelivered": counters.pop("undelivered"),
        }
        told = self._t.health()
        return msgspec.structs.replace(
            told,
            gateway=self._me.gateway,
            session=self._me.session,
            link=told.link | link,
            counters=told.counters | {f"uplink_{name}": count for name, count in counters.items()},
        )
