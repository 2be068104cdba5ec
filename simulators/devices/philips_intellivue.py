"""A Philips IntelliVue monitor (MP, MX, X2) that exports its data, over RS-232 (MIB) or as datagrams.

    box                                      monitor
    association request 0D        ──▶
                                  ◀──  0E accepted, or 0C refused
                                  ◀──  MDS create, to be confirmed
    result, its invoke id         ──▶
    poll                          ──▶
                                  ◀──  result, or parts (first, middle, last) and then the result
    extended poll, for 600 s      ──▶
                                  ◀──  numerics each second, curves each 256 ms, until the time is over
    release 09                    ──▶
                                  ◀──  0A

Only a poll keeps the association: without one it is aborted (19) after ten seconds, or longer when a longer least
period was agreed. It has one master at a time: a second request is refused. With `transport` = lan each of these
messages is one datagram without a frame, on port 24105, and `beacon` gives what the monitor tells the network on port
24005; the faults of a byte stream do not strike there.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices import intellivue_frames as wire
from simulators.devices import intellivue_objects as model
from simulators.devices.datagrams import NETWORK_FAULTS, Datagrams
from simulators.devices.reporter import CLOCK_FAULT, CLOCK_STEPS_S
from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Option
from simulators.devices.vitals import Vitals

HISTORY_KEPT = 10_000
STEPS_KEPT = 1_000
YES_NO = ("no", "yes")
BURST_FRAMES, BURST_S = 4, 0.128
OVERHEAD_BYTES = 60
MTU_LIMIT = 1364
PROFILES = ("8C000000", "88000000", "4C000000", "00000000")
EACH_SECOND, TWELVE_SECONDS, WITH_CURVES, WITH_ENUMERATIONS = 0x80000000, 0x40000000, 0x08000000, 0x04000000
KINDS = {
    model.NUMERICS: "numerics", model.CURVES: "curves", model.ENUMERATIONS: "enumerations", model.MDS: "mds",
    model.PATIENT: "patient", model.ALARMS: "alarms",
}  # fmt: skip
LANGUAGES = {"en": 1, "fr": 3}


class Reading(NamedTuple):
    """What an answer, or a part of one, that left undamaged said."""

    at: float
    kind: str
    """numerics, curves, enumerations, alarms, mds or patient."""
    values: Mapping[str, str]
    """Physio id in hex → the number as sent, or `state XXXX`; of an alarm its text → type."""


class _Extended(NamedTuple):
    poll: wire.Poll
    next_at: float
    until: float
    period_s: float
    sequence: int


class _Due(NamedTuple):
    at: float
    payload: bytes


def timeout_s(min_poll_ticks: int) -> float:
    """After how long without a poll the association is aborted."""
    period = min_poll_ticks / wire.TICKS_PER_S
    return 10.0 if period <= 3.3 else 3 * period if period <= 43 else 130.0


def _address(text: str) -> bytes:
    """MAC, IP and mask for the beacon; ValueError for what is no IP address."""
    try:
        ip = IPv4Address(text).packed
    except ValueError:
        raise ValueError(f"{PhilipsIntellivue.NAME}: option address = {text!r} is no IP address") from None
    return bytes.fromhex("0009FB000000") + ip + bytes.fromhex("FFFFFF00")


class PhilipsIntellivue(Datagrams):
    """The monitor's side of the data export."""

    NAME: ClassVar[str] = "philips_intellivue"
    DESCRIPTION: ClassVar[str] = "Philips IntelliVue patient monitor, data export, serial or datagrams"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **COMMON_FAULTS,
            **CLOCK_FAULT,
            "swapped": f"with transport = lan {NETWORK_FAULTS['swapped']}",
            "aborted_frame": "the beginning of a frame, taken back with 7D C1, then the frame",
            "abort": "the monitor aborts the association",
            "refuse": "an association request is refused",
            "lost_part": "one part of a linked result never comes",
        }
    )
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "transport": Option("rs232", "rs232 | lan: datagrams"),
            "address": Option("192.0.2.17", "IP address that its beacon tells"),
            "bed": Option("ICU 3", "name of the bed in its beacon"),
            "profile": Option(
                "8C000000", "what it can: " + " | ".join(PROFILES) + "; the last has no extended polls"
            ),
            "min_poll_ticks": Option("0", "its own least period between polls, in 1/8 ms"),
            "second_request": Option("refuse", "refuse | accept: a request while it is associated"),
            "linked": Option("auto", "auto | always: answers come in parts when they are too long, or always"),
            "final": Option("full", "full | empty: whether the result that ends a linked one has objects"),
            "specs": Option("always", "always | first: how often curves tell how they are sampled"),
            "ecg": Option("single", "single | compound: two leads come in one compound value"),
            "unknown_ids": Option("yes", "yes: one numeric has a physio id that no list has"),
            "not_usable": Option("nan", "nan | number: what stands in a value whose state says it is not usable"),
            "co2_unit": Option("mmHg", "mmHg | kPa"),
            "demo": Option("no", "yes: the monitor is in demonstration mode"),
            "language": Option("en", "en | fr: texts of alarms, and what its beacon says"),
            "uptime_s": Option("1000", "how long it was on before; its counter wraps after 536870.912"),
            "absent_rate": Option("0.05", "chance that a value which can be absent is so in a second, 0 to 1"),
            "cuff_every_s": Option("300", "the cuff measures this often; 0 = never"),
            "alarm_every_s": Option("60", "an alarm of 15 seconds starts this often; 0 = none"),
            "started": Option("20260101080000", "what the monitor's clock shows when it is switched on"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Answers and parts of answers that left undamaged."""
        self.history: deque[Reading] = deque(maxlen=HISTORY_KEPT)
        self.polls: Counter[str] = Counter()
        """Good polls by kind of object."""
        self.premature = 0
        """Operations before the association or before MDS create was confirmed."""
        self.hasty = 0
        """Single polls that came before the least period was over."""
        self.hurried = 0
        """Frames beyond four in 128 ms."""
        self.refused = 0
        self.timeouts = 0
        self.releases = 0
        self.is_datagram = self.choice("transport", ("rs232", "lan")) == "lan"
        self._address = _address(self.options["address"])
        self._offer = int(self.choice("profile", PROFILES), 16)
        self._min_poll = int(self.seconds("min_poll_ticks"))
        self._refuses_second = self.choice("second_request", ("refuse", "accept")) == "refuse"
        self._always_linked = self.choice("linked", ("auto", "always")) == "always"
        self._empty_final = self.choice("final", ("full", "empty")) == "empty"
        self._uptime_s = self.seconds("uptime_s")
        self._vitals_habits = tuple(self.seconds(name) for name in ("alarm_every_s", "cuff_every_s", "absent_rate"))
        self._habits = model.Habits(
            has_unknown=self.choice("unknown_ids", YES_NO) == "yes",
            is_demo=self.choice("demo", YES_NO) == "yes",
            keeps_number=self.choice("not_usable", ("nan", "number")) == "number",
            co2_in_kpa=self.choice("co2_unit", ("mmHg", "kPa")) == "kPa",
            specs_once=self.choice("specs", ("always", "first")) == "first",
            has_compound_ecg=self.choice("ecg", ("single", "compound")) == "compound",
            language=self.choice("language", tuple(LANGUAGES)),
        )
        self._clock = datetime.strptime(self.options["started"], "%Y%m%d%H%M%S")  # noqa: DTZ007 - a device's clock
        self._steps: deque[tuple[float, float]] = deque(maxlen=STEPS_KEPT)
        self._ear = wire.Ear()
        self._heard_at: deque[float] = deque(maxlen=BURST_FRAMES)
        self._power_on(0.0)

    def _power_on(self, now: float) -> None:
        self._on_at = now
        alarm_s, cuff_s, absent = self._vitals_habits
        self.patient = Vitals(self.seed, now, 1.0, alarm_s, cuff_s, absent)
        self._objects = model.Objects(self.patient, self.seed, self._habits)
        self._invoke = 0
        self._end()

    def _end(self) -> None:
        """No association."""
        self.terms: wire.Terms | None = None
        """What was agreed; None while there is no association."""
        self.is_known = False
        """MDS create was confirmed."""
        self.extended: dict[int, _Extended] = {}
        self._answers: deque[_Due] = deque()
        self._polled_at: dict[int, float] = {}
        self._deadline = float("inf")

    # -- the clock -------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._power_on(now)

    def _due(self) -> float | None:
        moments = [poll.next_at for poll in self.extended.values()]
        moments += [self._deadline, self._answers[0].at if self._answers else float("inf")]
        due = min(moments)
        return None if due == float("inf") else due

    def _tick(self, now: float) -> None:
        if self._answers and self._answers[0].at <= now:
            self._put(self._answers.popleft().payload, now)
        elif now >= self._deadline:
            self.timeouts += 1
            self._end()
            self._put(wire.ABORTION, now)
        else:
            self._repeat(now)

    def _repeat(self, now: float) -> None:
        kind, extended = min(self.extended.items(), key=lambda item: item[1].next_at)
        if now >= extended.until:
            del self.extended[kind]
        elif self._strikes("abort"):
            self._end()
            self._put(wire.ABORTION, now)
        else:
            self.extended[kind] = extended._replace(next_at=now + extended.period_s, sequence=extended.sequence + 1)
            self._answer(extended.poll, extended.sequence, now)

    def _thaw(self, now: float) -> None:
        self._ear.lose_place()
        for kind, extended in self.extended.items():
            self.extended[kind] = extended._replace(next_at=max(now, extended.next_at))

    def _reboot(self, now: float) -> None:
        self._power_on(now)
        self._uptime_s = 0.0

    def _ticks(self, now: float) -> int:
        return int((now - self._on_at + self._uptime_s) * wire.TICKS_PER_S) % 2**32

    def _wall(self, at: float) -> datetime:
        """What the clock showed at `at`: what was measured before a step keeps its time."""
        stepped_s = next((total for since, total in reversed(self._steps) if since <= at), 0.0)
        return self._clock + timedelta(seconds=at - self._on_at + stepped_s)

    def beacon(self, now: float) -> bytes:
        """The Connect Indication at `now`: a datagram to port 24005."""
        language = LANGUAGES[self.options["language"]]
        identity = self._objects.identity()
        return wire.beacon(self._ticks(now), self._address, language, self.options["bed"], identity)

    # -- what the box says -----------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        if self.is_datagram:
            self._take(data, now)
            return
        for is_whole, payload in self._ear.hear(data):
            if not is_whole:
                self.illegal.append(payload)
                continue
            if len(self._heard_at) == BURST_FRAMES and now - self._heard_at[0] < BURST_S:
                self.hurried += 1
            self._heard_at.append(now)
            self._take(payload, now)

    def _take(self, payload: bytes, now: float) -> None:
        match payload[0] if payload else 0:
            case wire.REQUEST:
                self._associate(payload, now)
            case wire.RELEASE if payload == wire.RELEASE_REQUEST:
                self.releases += 1
                if self.terms is not None:
                    self._end()
                    self._soon(wire.RELEASE_ANSWER, now)
            case wire.ABORT if payload == wire.ABORTION:
                self._end()
            case wire.DATA:
                self._operate(payload, now)
            case _:
                self.illegal.append(payload)

    def _associate(self, payload: bytes, now: float) -> None:
        asked = wire.terms_of(payload)
        if asked is None:
            self.illegal.append(payload)
        is_second = self.terms is not None and self._refuses_second
        if asked is None or is_second or self._strikes("refuse"):
            self.refused += 1
            self._soon(wire.REFUSAL, now)
            return
        self._end()
        mtu = min(asked.mtu_rx, MTU_LIMIT)
        terms = wire.Terms(max(asked.min_poll_ticks, self._min_poll), MTU_LIMIT, mtu, asked.options & self._offer)
        self.terms = terms
        self._deadline = now + timeout_s(terms.min_poll_ticks)
        self._soon(wire.acceptance(terms), now)
        self._invoke = (self._invoke + 1) % 0x10000
        self._soon(wire.creation(self._invoke, self._ticks(now), self._objects.identity()), now)

    def _operate(self, payload: bytes, now: float) -> None:
        operation = wire.operation_of(payload)
        if operation is None:
            self.illegal.append(payload)
        elif isinstance(operation, wire.Forbidden):
            self.illegal.append(payload)
            if self.terms is not None:
                self._soon(wire.error(operation.invoke, operation.error), now)
        elif self.terms is None:
            self.premature += 1
        elif isinstance(operation, wire.Answer):
            if operation.event != wire.MDS_CREATE or operation.invoke != self._invoke:
                self.illegal.append(payload)
            else:
                self.is_known = True
        elif not self.is_known:
            self.premature += 1
        else:
            self._poll(operation, self.terms, now)

    def _poll(self, poll: wire.Poll, terms: wire.Terms, now: float) -> None:
        self._deadline = now + timeout_s(terms.min_poll_ticks)
        is_extended = poll.action == wire.POLL_EXTENDED
        if poll.kind not in KINDS or poll.group not in model.GROUPS:
            self._soon(wire.error(poll.invoke, wire.NO_SUCH_CLASS), now)
            return
        self.polls[KINDS[poll.kind]] += 1
        needed = {model.CURVES: WITH_CURVES, model.ENUMERATIONS: WITH_ENUMERATIONS}.get(poll.kind, 0)
        if (is_extended and not terms.options) or needed & ~terms.options:
            self._soon(wire.error(poll.invoke, wire.NO_SUCH_ACTION), now)
        elif poll.kind == model.CURVES and not is_extended:
            # How a monitor refuses a single poll of curves is not known.
            self._soon(wire.error(poll.invoke, wire.INVALID_ARGUMENT), now)
        else:
            self._begin(poll, terms, now)

    def _begin(self, poll: wire.Poll, terms: wire.Terms, now: float) -> None:
        at = now + self._rng.uniform(0.02, 0.08)
        if poll.action == wire.POLL:
            least = terms.min_poll_ticks / wire.TICKS_PER_S
            self.hasty += now - self._polled_at.get(poll.kind, now - least) < least
            self._polled_at[poll.kind] = now
            until, period_s = at, 1.0
        else:
            until = now + poll.period_ticks / wire.TICKS_PER_S
            period_s = self._period_s(poll.kind, terms)
        if poll.action == wire.POLL or not poll.period_ticks:
            self._answer(poll, 0, now)
        else:
            self.extended[poll.kind] = _Extended(poll, at, until, period_s, 0)

    def _period_s(self, kind: int, terms: wire.Terms) -> float:
        if kind == model.CURVES:
            return model.CURVE_S
        if kind == model.NUMERICS and not terms.options & EACH_SECOND:
            return 12.0 if terms.options & TWELVE_SECONDS else 60.0
        return 1.0

    # -- what the monitor says -------------------------------------------------------------------------------------

    def _answer(self, poll: wire.Poll, sequence: int, now: float) -> None:
        """The answer to a poll, in parts when it has to be."""
        if self._strikes("clock_step"):
            total = self._steps[-1][1] if self._steps else 0.0
            self._steps.append((now, total + self._dice.choice(CLOCK_STEPS_S)))
        observations = self._observed(poll.kind, sequence, now)
        parts = self._parts(observations, self.terms.mtu_tx if self.terms else MTU_LIMIT)
        kind = KINDS[poll.kind]
        for number, part in enumerate(parts, start=1):
            is_final = number == len(parts)
            state = wire.FIRST if number == 1 else wire.LAST if number == len(parts) - 1 else wire.MIDDLE
            data = [item.data for item in part]
            reply = wire.poll_reply(poll, sequence, self._ticks(now), self._wall(now), data)
            payload = wire.poll_result(poll, reply, None if is_final else (state, number))
            if len(parts) > 1 and self._strikes("lost_part"):
                continue
            if not self._put(payload, now):
                continue
            values = {code: text for item in part for code, text in item.values.items()}
            self.sent += 1
            self.history.append(Reading(now, kind, MappingProxyType(values)))

    def _observed(self, kind: int, sequence: int, now: float) -> list[model.Observation]:
        match kind:
            case model.NUMERICS:
                cuff = self.patient.cuff(now)
                return self._objects.numerics(now, self._wall(now), self._wall(cuff.at) if cuff else None)
            case model.CURVES:
                return self._objects.curves(now, sequence == 0)
            case model.ENUMERATIONS:
                return self._objects.enumerations()
            case model.ALARMS:
                return self._objects.alarms(now)
            case model.PATIENT:
                return self._objects.demographics()
            case _:
                return self._objects.monitor(self._ticks(now), self._wall(now))

    def _parts(self, observations: list[model.Observation], mtu: int) -> list[list[model.Observation]]:
        """One part, or at least three: first, last and the result that ends them."""
        room = max(mtu - OVERHEAD_BYTES, max((len(item.data) for item in observations), default=0))
        total = sum(len(item.data) for item in observations)
        if total <= room and not (self._always_linked and len(observations) >= 3):
            return [observations]
        room = min(room, max(total // 3, 1)) if self._always_linked or total <= 3 * room else room
        parts: list[list[model.Observation]] = [[]]
        for item in observations:
            if parts[-1] and sum(len(other.data) for other in parts[-1]) + len(item.data) > room:
                parts.append([])
            parts[-1].append(item)
        if self._empty_final:
            parts.append([])
        return parts if len(parts) > 2 else [*parts, []]

    def _soon(self, payload: bytes, now: float) -> None:
        """Let a short message leave in a moment, behind those that wait."""
        after = self._answers[-1].at if self._answers else now
        self._answers.append(_Due(after + self._rng.uniform(0.02, 0.08), payload))

    def _put(self, payload: bytes, now: float) -> bool:
        """Whether it left undamaged; nothing leaves once a fault has silenced the monitor."""
        if self._frozen_until is not None:
            return False
        if self.is_datagram:
            return bool(self._emit(payload, now).good)
        frame = wire.framed(payload)
        if self._strikes("aborted_frame"):
            frame = frame[: len(frame) // 2].removesuffix(b"\x7d") + b"\x7d\xc1" + frame
        return bool(self._emit(frame, now).good)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        start = frame.rfind(bytes([wire.BEGIN]))
        payload = wire.payload_of(frame[start + 1 : -1]) or b""
        return frame[:start] + wire.framed(payload, spoil=0x0100)
