"""One connection's life: birth and state, frames out as the windows allow, confirmations and acknowledgements in."""

import asyncio
from typing import Literal

import msgspec
from msgspec import Struct

from gateway.uplink import errors
from gateway.uplink.acknowledgement import Refused
from gateway.uplink.budget import wire_bytes
from gateway.uplink.flight import Flight
from gateway.uplink.mqtt import PACKET_LIMIT_BYTES, Connection, Granted, Message
from gateway.uplink.packing import Misfit, Packed, Packer
from gateway.uplink.schedule import Pace, Schedule, Sent
from gateway.uplink.schema import JSON_TYPE, Birth, Health, State, encode
from gateway.uplink.terms import Backoff, Counters, Identity, Journal, Store, Timing, Tools
from gateway.uplink.throughput import RTT_LIMIT_S, Cadence, Throughput
from gateway.uplink.timekeeper import NoTime
from gateway.uplink.topics import ack_filter, dictionary_named, frame_topic, own_topic, time_answer_topic

__all__ = ["Backoff", "Counters", "Identity", "Journal", "Session", "Store", "Timing", "Tools"]

NO_SUBSCRIBERS = 0x10
FAILURE = 0x80
HELD_LIMIT = 1000
MOVING_BYTES = 1000


class Session:
    """The listener of one connection, and what drives it."""

    def __init__(self, me: Identity, tools: Tools) -> None:
        self._me, self._t = me, tools
        self._connection: Connection | None = None
        self._granted = Granted()
        self._schedule, self._cadence = Schedule(tools.store), Cadence()
        self._flight = Flight(self._granted.window, Throughput())
        self._packer = Packer(me, tools.store.id, self._schedule, tools.wire, PACKET_LIMIT_BYTES)
        self._asked: tuple[str, ...] = ()
        self._outbox: dict[str, Message] = {}
        self._held: set[tuple[str, int, int]] = set()
        self._backoff: dict[str, Backoff] = {}
        self._drained_at = self._moving_at = self._health_at = tools.monotonic()
        self._moved = 0
        self._error: errors.UplinkError | None = None
        self._is_leaving = False
        self._aside_by: float | None = None
        self.wake = asyncio.Event()

    def will(self) -> Message:
        """What the broker says for us when the line breaks."""
        return self._own("state", State("offline", self._me.session))

    def begin(self, connection: Connection, granted: Granted, rtt_s: float = RTT_LIMIT_S) -> None:
        """CONNACK has come, `rtt_s` after CONNECT went."""
        me, wire = self._me, self._t.wire
        self._connection, self._granted = connection, granted
        self._flight = Flight(granted.window, Throughput(rtt_s))
        self._packer = Packer(me, self._t.store.id, self._schedule, wire, granted.packet_bytes)
        acks = (ack_filter(me.site, me.gateway),) if me.ack == "platform" else ()
        self._asked = (*acks, *((wire.topic,) if wire.topic else ()))
        if self._asked:
            connection.subscribe(*self._asked)
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
            encoding=self._t.wire.encoding,
        )
        self._post(self._fitting(whole))

    def _fitting(self, birth: Birth) -> Message:
        """The birth, without its metrics where the broker takes no packet of that size."""
        message = self._own("birth", birth)
        if len(message.payload) <= self._packer.limit:
            return message
        self._say_too_large(message)
        devices = tuple(msgspec.structs.replace(device, metrics=()) for device in birth.devices)
        return self._own("birth", msgspec.structs.replace(birth, devices=devices))

    def _say_too_large(self, message: Message) -> None:
        size, limit = len(message.payload), self._packer.limit
        error = errors.ReportTooLarge(topic=message.topic, size=size, limit=limit)
        self._t.journal.say(error, f"size of {message.topic}")

    async def work(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set or `step_aside` has done. Raises the leaf that ended the connection."""
        while self._error is None and not stopping.is_set() and not self._is_aside():
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

    def step_aside(self) -> None:
        """Send nothing more, so that another connection can follow once all that is under way is confirmed."""
        if self._aside_by is None:
            self._aside_by = self._t.monotonic() + self._t.timing.aside_s
            self.wake.set()

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
                while self._error is None and (self._outbox or state.topic in self._flight):
                    self.wake.clear()
                    self._pump(self._t.monotonic())
                    await self.wake.wait()
        except TimeoutError:
            pass
        await connection.close(deadline_s)

    # -- what the connection tells ------------------------------------------------------------------------------

    def published(self, mid: int, code: int, reason: str) -> None:
        """PUBACK: 0 is success; 0x10 and 0x80 upwards mean that nobody has it."""
        now = self._t.monotonic()
        sent = self._flight.land(mid, now)
        self.wake.set()
        if isinstance(sent, Sent):
            topic = frame_topic(self._me.site, self._me.gateway, sent.era, sent.lane)
            if code == NO_SUBSCRIBERS or code >= FAILURE:
                self._not_delivered(sent, topic, code, reason, now)
            else:
                self._confirmed(sent, topic, now)
        elif isinstance(sent, str) and code >= FAILURE:
            self._t.counters.undelivered[reason] += 1
            self._t.journal.say(errors.NotDelivered(topic=sent, reason=reason), f"publish {sent}")

    def received(self, topic: str, payload: bytes) -> None:
        """A message for us: an acknowledgement, the time, or the dictionary that the platform can read."""
        if dictionary_named(topic):
            self._see_dictionary(topic, payload)
            return
        if self._me.ack != "platform":
            return
        if topic == time_answer_topic(self._me.site, self._me.gateway):
            self._hear_time(topic, payload)
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
        """SUBACK, a code for each topic that was asked for."""
        for at, topic in enumerate(self._asked):
            is_refused = at >= len(codes) or codes[at] >= FAILURE
            if dictionary_named(topic):  # without it frames are larger, nothing else
                self._t.journal.event("dictionary_asked", topic=topic, is_refused=is_refused)
            elif is_refused:
                self._t.journal.say(errors.AckNotReadable(topic=topic), "subscription")
            else:
                self._t.journal.settle("subscription")

    def _hear_time(self, topic: str, payload: bytes) -> None:
        keeper = self._t.timekeeper
        if keeper is None:
            return
        try:
            keeper.hear(self._me.key, topic, payload)
        except NoTime as refused:
            if refused.reason not in ("nonce", "slow"):  # late answers and second ones are normal on a poor link
                self._t.journal.say(errors.TimeRefused(reason=refused.reason), "time answer")
        except errors.UplinkError as error:
            self.lost(error)

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

    def _pump(self, now: float) -> bool:
        """Hand over what there is room for; True when there may be more at once."""
        connection, flight = self._connection, self._flight
        if connection is None or self._error is not None or (self._aside_by is not None and not self._is_leaving):
            return False
        while self._outbox and flight.has_place(is_urgent=True):
            message = self._outbox.pop(next(iter(self._outbox)))
            if len(message.payload) > self._packer.limit:
                self._say_too_large(message)
                continue
            size = wire_bytes(message.topic, message.content_type, len(message.payload))
            self._launch(connection, message, message.topic, size, now)
        if self._is_leaving or self._outbox:
            return False
        self._schedule.pace = self._pace(now)
        self._schedule.observe(now)
        while flight.has_place(is_urgent=True):
            departure = self._schedule.next(now)
            if departure is None:
                if not self._schedule.is_skimming:
                    flight.throughput.ran_dry()
                return self._schedule.is_skimming
            packed = self._packer.pack(departure)
            if isinstance(packed, Misfit):
                self._hold(packed)
                self._schedule.skip(packed.departure)
            elif self._may_go(packed, now):
                self._depart(connection, packed, now)
            else:
                return False
        flight.throughput.filled()
        return False

    def _pace(self, now: float) -> Pace:
        """What broker, link and budget take well."""
        throughput, budget = self._flight.throughput, self._t.budget
        most = min(self._packer.limit, budget.burst // 2) if budget else self._packer.limit
        return Pace(
            bulk_bytes=min(most, throughput.frame_bytes),
            live_bytes=min(most, throughput.live_bytes(now) or most),
            join_s=self._cadence.frame_s if self._cadence.is_joined else 0.0,
        )

    def _may_go(self, packed: Packed, now: float) -> bool:
        departure, budget = packed.departure, self._t.budget
        if not self._flight.has_room(packed.size, is_urgent=departure.is_urgent):
            self._flight.throughput.filled()
            return False
        if (
            budget is None
            or departure.lane == "event"
            or not budget.wait(now, packed.size, is_urgent=departure.is_urgent)
        ):
            return True
        self._flight.throughput.ran_dry()
        self._t.journal.say(errors.BudgetSpent(budget=f"{budget.per_hour / (1 << 20):g} MiB"), "budget")
        return False

    def _depart(self, connection: Connection, packed: Packed, now: float) -> None:
        departure, size = packed.departure, len(packed.message.payload)
        sent = self._schedule.take(departure, size)
        self._t.judge.note_sent(sent.lane, sent.epoch, sent.last)
        self._launch(connection, packed.message, sent, packed.size, now)
        if sent.lane == "numeric" and sent.era == "live":
            self._cadence.departed(now, len(departure.frames), departure.content_bytes, packed.size)
        counters = self._t.counters
        counters.frames += 1
        counters.observations += sent.last - sent.first + 1
        counters.bytes += size

    def _launch(self, connection: Connection, message: Message, what: Sent | str, size: int, now: float) -> None:
        self._flight.launch(connection.publish(message), what, size, now)
        if self._t.budget:
            self._t.budget.spend(now, size)

    def _hold(self, misfit: Misfit) -> None:
        departure = misfit.departure
        name = (departure.lane, departure.epoch, departure.first)
        if name in self._held or len(self._held) >= HELD_LIMIT:
            return
        self._held.add(name)
        self._t.counters.held += 1
        self._t.journal.say(errors.FrameTooLarge(size=misfit.size, limit=self._packer.limit), "large frame")

    def _see_dictionary(self, topic: str, payload: bytes) -> None:
        if self._t.wire.received(topic, payload) and self._connection is not None:
            self._connection.unsubscribe(topic)
            self._t.journal.event("dictionary_used", topic=topic)

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
        if self._is_stuck(now):
            self._error = errors.BrokerStuck(seconds=round(timing.confirm_s))
            return
        for lane in self._schedule.overdue(now, timing.ack_s):
            self._t.counters.resent += 1
            self._t.journal.say(errors.NotAcknowledged(lane=lane, seconds=round(timing.ack_s)), f"silence {lane}")
            self._schedule.rewind(lane)
        self._choose_cadence(now)
        if self._t.timekeeper is not None and self._t.timekeeper.is_due():
            self._post(self._t.timekeeper.ask())
        if now >= self._health_at:
            self._health_at = now + timing.health_s
            self._post(self._own("health", self._whole_health(now)))

    def _is_aside(self) -> bool:
        return self._aside_by is not None and (not self._flight or self._t.monotonic() >= self._aside_by)

    def _is_stuck(self, now: float) -> bool:
        """One was not confirmed for long, and it is not that a long message is still on its way over a slow link."""
        if self._connection is None or not self._flight:
            return False
        moved = self._connection.traffic[0]
        if not self._connection.is_writing:
            self._drained_at, self._moved = now, moved
        elif moved - self._moved >= MOVING_BYTES:
            self._moved, self._moving_at = moved, now
        # Confirmations come in the order of the messages (MQTT 5.0 section 4.6): the oldest one tells of all.
        oldest_at = self._flight.oldest_at
        since = oldest_at if self._drained_at > oldest_at else max(oldest_at, self._moving_at)
        return now - since >= self._t.timing.confirm_s

    def _choose_cadence(self, now: float) -> None:
        """Live numerics in frames of one second or ten, by what the link carries and the budget allows."""
        rate, budget = self._flight.throughput.rate(now), self._t.budget
        limits = [limit for limit in (rate, budget.rate if budget else None) if limit is not None]
        if self._cadence.decide(now, min(limits, default=None)):
            self._t.journal.event("frames", seconds=self._cadence.frame_s, rate=rate and round(rate))
        if budget and not budget.is_short(now):
            self._t.journal.settle("budget")

    def _rest(self, now: float) -> float:
        """How long nothing needs to be looked at unless something happens."""
        wake_at = self._schedule.wake_at(now)
        return max(0.0, min(self._health_at - now, 1.0, *(() if wake_at is None else (wake_at - now,))))

    def _whole_health(self, now: float) -> Health:
        counters = msgspec.to_builtins(self._t.counters)
        traffic = self._connection.traffic if self._connection else (0, 0)
        rate, wire, budget = self._flight.throughput.rate(now), self._t.wire, self._t.budget
        link = {
            "bytes_sent": traffic[0],
            "bytes_received": traffic[1],
            "in_flight": len(self._flight),
            "window_bytes": self._flight.throughput.window_bytes,
            "rate_bytes_s": None if rate is None else round(rate),
            "frame_s": self._cadence.frame_s,
            "dictionary": wire.dictionary.name if wire.dictionary else "",
            "acknowledgements_refused": counters.pop("refused"),
            "undelivered": counters.pop("undelivered"),
        }
        if budget:
            link["budget"] = {
                "bytes_per_hour": budget.per_hour,
                "spent_bytes": budget.spent,
                "left_bytes": round(budget.left(now)),
                "is_short": budget.is_short(now),
            }
        told = self._t.health()
        return msgspec.structs.replace(
            told,
            gateway=self._me.gateway,
            session=self._me.session,
            link=told.link | link,
            counters=told.counters | {f"uplink_{name}": count for name, count in counters.items()},
        )
