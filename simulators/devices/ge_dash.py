"""A GE Dash or Solar monitor on its own network: datagrams that it broadcasts, and parameters when it is asked.

    everybody                          monitor
                                  ◀──  7000 discovery each 10 s, with the patient's name
                                  ◀──  7001 an alarm when it begins, and again while it lasts
    box
    2000 request for parameters   ──▶
                                  ◀──  616 bytes each 2 s, until 30 s after the last request
    the same request each 5 s     ──▶

A request that is not worded as the known client words it gets no answer and stands in `illegal`. A request for curves
is a good one, but this monitor sends none. Which of these datagrams come to the box is an option: on a network each
kind has a port of its own.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices import ge_dash_frames as wire
from simulators.devices.datagrams import NETWORK_FAULTS, Datagrams
from simulators.devices.reporter import CLOCK_FAULT, CLOCK_STEPS_S
from simulators.devices.simulator import COMMON_OPTIONS, NO_OPTIONS, Option
from simulators.devices.vitals import SENSOR_OFF, Vitals

HISTORY_KEPT = 10_000
PERIOD_S = 2.0
DISCOVERY_S = 10.0
ALARM_CHECK_S = 1.0
BEHIND_LIMIT_S = 60.0
"""What is older than this is not made up for when nobody has turned the clock."""
YES_NO = ("no", "yes")
CHANNELS = ("parameters", "alarms", "discovery", "all")
SPECIALS = (wire.INVALID, wire.MISSING, wire.DRAW, wire.FLUSH, wire.ZERO, wire.CAL, wire.NO_PULSE, wire.FAIL)
LEVELS = {1: 7, 2: 6, 3: 5, 4: 4}
"""Urgency → crisis, warning, advisory, message."""
ALARM_TEXTS: Mapping[str, Mapping[str, str]] = {
    "spo2_high": {"en": "SPO2 HIGH", "fr": "SPO2 ÉLEVÉE"},
    "hr_high": {"en": "HR HIGH", "fr": "FC ÉLEVÉE"},
    "rr_low": {"en": "RR LOW", "fr": "FR BASSE"},
    SENSOR_OFF: {"en": "SPO2 PROBE", "fr": "CAPTEUR SPO2"},
}
ALARM_SENSORS = {"spo2_high": 0x2D, "hr_high": 0x3A, "rr_low": 0x22, SENSOR_OFF: 0x2D}


class Sensor(NamedTuple):
    """One entry of the parameters: its code and type, and quantity, low and high limit of each value."""

    code: int
    kind: int
    values: tuple[tuple[str, int, int], ...]


ST_LIMITS = (("-", -20, 20),) * 3
SENSORS = (
    Sensor(0x3A, 0x01, (("hr", 50, 120), ("pvc", 0, 10), ("-", 0, 0))),
    Sensor(0x22, 0x08, (("rr", 8, 30),)),
    Sensor(0x2D, 0x0B, (("spo2", 90, 100), ("pr", 50, 120))),
    Sensor(0x18, 0x0A, (("cuff_mean", 60, 110), ("cuff_sys", 90, 160), ("cuff_dia", 50, 100))),
    Sensor(0x56, 0x0D, ST_LIMITS),
    Sensor(0x57, 0x0D, ST_LIMITS),
    Sensor(0x58, 0x0D, ST_LIMITS),
)
"""Seven entries make the 616 bytes that were seen. The scale of ST is not known: it is never measured here."""
MORE_SENSORS = (Sensor(0x23, 0x0E, (("temp_1", 0, 0),)), Sensor(0x7F, 0x0E, (("icp", 0, 0),)))
"""A temperature, whose scale is not known, and a code that no list has."""


class Reading(NamedTuple):
    """What a datagram that left undamaged said."""

    at: float
    kind: str
    """parameters, alarm or discovery."""
    values: Mapping[str, str]
    """Of parameters `3A.0` → the number, `3A.0.low` and `.high` → its limits, `level` → that of the alarms; of an
    alarm its sensor → text; of discovery `place` and `patient`."""


class GeDash(Datagrams):
    """The monitor's side of its network."""

    NAME: ClassVar[str] = "ge_dash"
    DESCRIPTION: ClassVar[str] = "GE Dash / Solar patient monitor, bed messages, datagrams"
    is_datagram: bool = True
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType({**NETWORK_FAULTS, **CLOCK_FAULT})
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(NETWORK_FAULTS)
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "channel": Option("parameters", " | ".join(CHANNELS) + ": which datagrams come to the box"),
            "stream_s": Option("30", "parameters go on this long after the last request"),
            "alarm_repeat_s": Option("2", "an alarm is told again this often while it lasts; 0 = once"),
            "more": Option("no", "yes: a temperature and an unknown sensor too, in 756 bytes"),
            "absent_as": Option("invalid", "invalid | mixed: which special numbers stand for a missing value"),
            "language": Option("en", "en | fr: texts of alarms"),
            "address": Option("192.0.2.33", "its IP address, which its datagrams tell"),
            "place": Option("ICU|B-03", "ward and bed"),
            "patient": Option("ELUARD,PAUL", "the patient's name in its discovery datagrams"),
            "absent_rate": Option("0.05", "chance that a value which can be absent is so in a second, 0 to 1"),
            "cuff_every_s": Option("300", "the cuff measures this often; 0 = never"),
            "alarm_every_s": Option("60", "an alarm of 15 seconds starts this often; 0 = none"),
            "started": Option("20260101080000", "what the monitor's clock shows when it is switched on, UTC"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Datagrams that left undamaged."""
        self.history: deque[Reading] = deque(maxlen=HISTORY_KEPT)
        self.requests: Counter[str] = Counter()
        """Good requests: parameters, waves."""
        channel = self.choice("channel", CHANNELS)
        self._channels = frozenset(CHANNELS) if channel == "all" else frozenset({channel})
        self._stream_s = self.seconds("stream_s")
        self._repeat_s = self.seconds("alarm_repeat_s")
        self._sensors = SENSORS + (MORE_SENSORS if self.choice("more", YES_NO) == "yes" else ())
        self._is_mixed = self.choice("absent_as", ("invalid", "mixed")) == "mixed"
        self._language = self.choice("language", ("en", "fr"))
        self._place, self._patient = self.options["place"], self.options["patient"]
        try:
            self._address = IPv4Address(self.options["address"]).packed
        except ValueError:
            raise ValueError(f"{self.NAME}: option address = {self.options['address']!r} is no IP address") from None
        self._habits = tuple(self.seconds(name) for name in ("alarm_every_s", "cuff_every_s", "absent_rate"))
        started = datetime.strptime(self.options["started"], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        self._clock = int(started.timestamp())
        self._stepped_s = 0
        self._power_on(0.0)

    def _power_on(self, now: float) -> None:
        self._on_at = now
        alarm_s, cuff_s, absent = self._habits
        self.patient = Vitals(self.seed, now, 1.0, alarm_s, cuff_s, absent)
        self._sequence = 0
        self._alarm_count = 0
        self._told: dict[str, float] = {}
        """Active alarms and when they were told."""
        self._asked_until = 0.0
        self._turns: dict[str, float] = {}
        if "alarms" in self._channels:
            self._turns["alarms"] = now + ALARM_CHECK_S
        if "discovery" in self._channels:
            self._turns["discovery"] = now + DISCOVERY_S

    # -- the clock -------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._power_on(now)

    def _advance(self, now: float) -> None:
        self._turns = {name: now if now - at > BEHIND_LIMIT_S else at for name, at in self._turns.items()}
        super()._advance(now)

    def _due(self) -> float | None:
        return min(self._turns.values(), default=None)

    def _tick(self, now: float) -> None:
        name = min(self._turns, key=lambda turn: self._turns[turn])
        if self._strikes("clock_step"):
            self._stepped_s += self._dice.choice(CLOCK_STEPS_S)
        if name == "alarms":
            self._turns[name] = now + ALARM_CHECK_S
            self._say_alarms(now)
        elif name == "discovery":
            self._turns[name] = now + DISCOVERY_S
            self._say_discovery(now)
        elif now > self._asked_until:
            del self._turns[name]
        else:
            self._turns[name] = now + PERIOD_S
            self._say_parameters(now)

    def _thaw(self, now: float) -> None:
        self._turns = {name: max(now, at) for name, at in self._turns.items()}

    def _reboot(self, now: float) -> None:
        self._power_on(now)

    # -- what the box says -----------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        asked = wire.request_of(data)
        if asked is None:
            self.illegal.append(data)
        elif asked == wire.ASK_WAVES:
            self.requests["waves"] += 1
        else:
            self.requests["parameters"] += 1
            if "parameters" in self._channels:
                self._asked_until = now + self._stream_s
                self._turns.setdefault("parameters", now + self._rng.uniform(0.02, 0.2))

    # -- what the monitor says -------------------------------------------------------------------------------------

    def _say(self, datagram: bytes, kind: str, values: Mapping[str, str], now: float) -> None:
        if self._frozen_until is None and self._emit(datagram, now).good:
            self.sent += 1
            self.history.append(Reading(now, kind, MappingProxyType(dict(values))))

    def _say_parameters(self, now: float) -> None:
        measured = self.patient.values(now)
        if (cuff := self.patient.cuff(now)) is not None:
            measured |= {f"cuff_{name}": value for name, value in cuff._asdict().items()}
        entries: list[wire.Entry] = []
        texts: dict[str, str] = {}
        for sensor in self._sensors:
            values = [self._number(measured.get(quantity), quantity) for quantity, _, _ in sensor.values]
            limits = [(low, high) for _, low, high in sensor.values]
            entries.append(wire.Entry(sensor.code, sensor.kind, tuple(values), tuple(limits)))
            for place, (value, (low, high)) in enumerate(zip(values, limits, strict=True)):
                key = f"{sensor.code:02X}.{place}"
                texts |= {key: str(value), f"{key}.low": str(low), f"{key}.high": str(high)}
        level = max((LEVELS[urgency] for urgency in self.patient.alarms(now).values()), default=0)
        self._sequence += 1
        datagram = wire.parameters(self._address, self._sequence, (0, level, level), entries)
        self._say(datagram, "parameters", texts | {"level": str(level)}, now)

    def _number(self, value: float | None, quantity: str) -> int:
        if value is not None:
            return round(value)
        return self._rng.choice(SPECIALS) if self._is_mixed and quantity != "-" else wire.INVALID

    def _say_alarms(self, now: float) -> None:
        active = self.patient.alarms(now)
        self._told = {name: at for name, at in self._told.items() if name in active}
        for name in active:
            if name in self._told and (not self._repeat_s or now - self._told[name] < self._repeat_s):
                continue
            self._told[name] = now
            self._alarm_count += 1
            sensor, text = ALARM_SENSORS[name], ALARM_TEXTS[name][self._language]
            datagram = wire.alarm(self._address, self._place, sensor, text, self._alarm_count)
            self._say(datagram, "alarm", {f"{sensor:02X}": text}, now)

    def _say_discovery(self, now: float) -> None:
        clock = (self._clock + int(now - self._on_at) + self._stepped_s) % 2**32
        datagram = wire.discovery(self._address, clock, self._place, self._patient)
        self._say(datagram, "discovery", {"place": self._place, "patient": self._patient}, now)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return frame  # a datagram has none of its own
