"""A GE / Datex-Ohmeda monitor (S/5, AS/3, CARESCAPE, B20 to B125) on its serial port: DRI, the computer interface.

    box                                     monitor
    displayed values, 10 s, classes    ──▶
                                       ◀──  a record each 10 s, a subrecord of 278 bytes for each class
    10 s trend                         ──▶  only after displayed values were asked for and while a case is started
    curves 1, 8                        ──▶
                                       ◀──  a record each second
    alarms: enter differences          ──▶  CARESCAPE only
                                       ◀──  a record at once and at each change
    interval 0                         ──▶  that stream ends

A stream goes on by itself. The same request within five seconds is ignored, and so is a request for curves of more
than 600 samples a second. Everything that is not one of these requests stands in `illegal`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices import dri_frames as wire
from simulators.devices.reporter import CLOCK_FAULT, CLOCK_STEPS_S
from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Option, Simulator
from simulators.devices.vitals import SENSOR_OFF, Vitals

REPEAT_AFTER_S = 5.0
OLD_AFTER_S = 60.0
TREND_S = {wire.TREND_10S: 10, wire.TREND_60S: 60}
KINDS = {wire.DISPLAYED: "displayed", wire.TREND_10S: "trend_10s", wire.TREND_60S: "trend_60s"}
WAVE_S = 1.0
BEHIND_LIMIT_S = 120.0
"""What a monitor has missed for longer than this it does not make up for when nobody has turned the clock."""
HISTORY_KEPT = 10_000
YES_NO = ("no", "yes")
AMBIENT_MMHG = 760.0
ALARM_CHECK_S = 1.0
LEVELS = {"s5": 6, "carescape": 10}
ALARMS_FROM_LEVEL = 10
EXISTS, ACTIVE = 1, 2
HR_SOURCES = {"ecg": 1, "bp": 2, "pleth": 6}
LABELS = {"ecg": 0x0123, "p1": 1, "p2": 2, "p3": 3, "p4": 7, "t1": 1, "t2": 7, "aa": 6}
CUFF_OLD = 1 << 8
SPECIALS = (wire.INVALID, wire.NOT_UPDATED, wire.DISCONTINUITY, wire.UNDER, wire.OVER, wire.NOT_CALIBRATED)
COLOURS = {1: 3, 2: 2, 3: 1, 4: 1}
GAP = 1
ALARM_TEXTS: Mapping[str, Mapping[str, str]] = {
    "spo2_high": {"en": "SpO2 high", "fr": "SpO2 élevée"},
    "hr_high": {"en": "HR high", "fr": "FC élevée"},
    "rr_low": {"en": "RR low", "fr": "FR basse"},
    SENSOR_OFF: {"en": "SpO2 probe off", "fr": "Capteur SpO2 débranché"},
}


class Reading(NamedTuple):
    """What a record that left undamaged said."""

    at: float
    kind: str
    """displayed, trend_10s, trend_60s, waves or alarms."""
    values: Mapping[str, str]
    """`group.field` → the raw number; type of a curve → its samples; text of an alarm → its colour."""


class _Stream(NamedTuple):
    next_at: float
    interval_s: float
    """0: once."""
    classes: tuple[int, ...] = ()


class GeDri(Simulator):
    """The monitor's side of the computer interface."""

    NAME: ClassVar[str] = "ge_dri"
    DESCRIPTION: ClassVar[str] = "GE / Datex-Ohmeda patient monitor (S/5, CARESCAPE), DRI, serial"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **COMMON_FAULTS,
            **CLOCK_FAULT,
            "empty_frame": "an empty frame before a record",
            "cts_stop": "CTS was off for two seconds: the monitor has stopped and must be asked again",
        }
    )
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "model": Option("carescape", "s5 | carescape: the latter also tells alarms"),
            "case_started": Option("yes", "no: trends are not sent"),
            "budget": Option("600", "samples a second that all curves may have together; 0 = no limit"),
            "class_order": Option("rising", "rising | falling: subrecords of a record"),
            "class_word": Option("bare", "bare | full: the bits beside the class in the last word are set"),
            "absent_as": Option("invalid", "invalid | mixed: which special numbers stand for a missing value"),
            "hr_source": Option("ecg", "ecg | bp | pleth: where the heart rate comes from"),
            "language": Option("en", "en | fr: texts of alarms"),
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
        """Records that left undamaged."""
        self.history: deque[Reading] = deque(maxlen=HISTORY_KEPT)
        self.requests: Counter[str] = Counter()
        """Good requests by kind of what was asked for, those without effect too."""
        self.ignored: Counter[str] = Counter()
        """Good requests that had no effect, by reason: repeated, no_case, no_displayed, budget, alarms, classes."""
        self._level = LEVELS[self.choice("model", tuple(LEVELS))]
        self._has_case = self.choice("case_started", ("yes", "no")) == "yes"
        self._budget = self.seconds("budget")
        self._is_falling = self.choice("class_order", ("rising", "falling")) == "falling"
        self._low_byte = 0xF1 if self.choice("class_word", ("bare", "full")) == "full" else 0
        self._is_mixed = self.choice("absent_as", ("invalid", "mixed")) == "mixed"
        self._hr_source = HR_SOURCES[self.choice("hr_source", tuple(HR_SOURCES))]
        self._language = self.choice("language", ("en", "fr"))
        self._habits = tuple(self.seconds(name) for name in ("alarm_every_s", "cuff_every_s", "absent_rate"))
        started = datetime.strptime(self.options["started"], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        self._clock = int(started.timestamp())
        self._stepped_s = 0
        self._power_on(0.0)

    def _power_on(self, now: float) -> None:
        self._on_at = now
        alarm_s, cuff_s, absent = self._habits
        self.patient = Vitals(self.seed, now, 1.0, alarm_s, cuff_s, absent)
        self._number = 0
        self._inside: bytearray | None = None
        self._is_lost = False
        self._stop()

    def _stop(self) -> None:
        """All streams end."""
        self.streams: dict[int, _Stream] = {}
        """Values by type: displayed, trends."""
        self.waves: list[int] = []
        self._waves_at = self._sampled_at = 0.0
        self._gap = 0
        self._alarm_at: float | None = None
        self._tells_changes = False
        self._told_alarms: tuple[tuple[str, int], ...] = ()
        self._asked_at: dict[int, float] = {}

    # -- the clock -------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._power_on(now)

    def _advance(self, now: float) -> None:
        for kind, stream in self.streams.items():
            if now - stream.next_at > BEHIND_LIMIT_S:
                self.streams[kind] = stream._replace(next_at=now)
        if self.waves and now - self._waves_at > BEHIND_LIMIT_S:
            self._resume_waves(now)
        if self._alarm_at is not None and now - self._alarm_at > BEHIND_LIMIT_S:
            self._alarm_at = now
        super()._advance(now)

    def _due(self) -> float | None:
        moments = [stream.next_at for stream in self.streams.values()]
        if self.waves:
            moments.append(self._waves_at)
        if self._alarm_at is not None:
            moments.append(self._alarm_at)
        return min(moments, default=None)

    def _tick(self, now: float) -> None:
        if self._strikes("clock_step"):
            self._stepped_s += self._dice.choice(CLOCK_STEPS_S)
        for kind, stream in list(self.streams.items()):
            if stream.next_at <= now:
                if stream.interval_s:
                    self.streams[kind] = stream._replace(next_at=now + stream.interval_s)
                else:
                    del self.streams[kind]
                self._say_values(kind, stream, now)
                return
        if self.waves and self._waves_at <= now:
            self._waves_at = now + WAVE_S
            self._say_waves(now)
        elif self._alarm_at is not None:
            self._alarm_at = now + ALARM_CHECK_S if self._tells_changes else None
            self._say_alarms(now)

    def _thaw(self, now: float) -> None:
        self._inside = None
        self._is_lost = True
        if self.waves:
            self._resume_waves(now)
            self._gap = GAP
        for kind, stream in self.streams.items():
            self.streams[kind] = stream._replace(next_at=max(now, stream.next_at))

    def _reboot(self, now: float) -> None:
        self._power_on(now)

    # -- what the box says -----------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if byte != wire.FLAG:
                self._hear_inside(byte)
            elif not self._inside:
                self._inside = bytearray()
                self._is_lost = False
            else:
                inside, self._inside = bytes(self._inside), None
                self._take(inside, now)

    def _hear_inside(self, byte: int) -> None:
        if self._inside is None:
            if not self._is_lost:
                self.illegal.append(bytes([byte]))
            return
        self._inside.append(byte)
        if len(self._inside) > wire.FRAME_LIMIT_BYTES:
            self.illegal.append(bytes(self._inside))
            self._inside, self._is_lost = None, True

    def _take(self, inside: bytes, now: float) -> None:
        data = wire.record_of(inside)
        request = wire.request_of(data) if data is not None else None
        if request is None:
            self.illegal.append(bytes([wire.FLAG]) + inside + bytes([wire.FLAG]))
        elif request.kind == "values":
            self._ask_values(request, now)
        elif request.kind == "waves":
            self._ask_waves(request, now)
        else:
            self._ask_alarms(request, now)

    def _ask_values(self, request: wire.Request, now: float) -> None:
        kind = request.command
        self.requests[KINDS[kind]] += 1
        if request.interval_s == wire.STOP:
            self.streams.pop(kind, None)
            self._asked_at.pop(kind, None)
            return
        classes = [number for number in (1, 2, 3) if request.classes & 1 << number]
        if not request.classes & wire.DENY_BASIC:
            classes.insert(0, 0)
        if self._is_falling:
            classes.reverse()
        if now - self._asked_at.get(kind, now - REPEAT_AFTER_S) < REPEAT_AFTER_S:
            self.ignored["repeated"] += 1
        elif not classes:
            self.ignored["classes"] += 1
        elif kind != wire.DISPLAYED and not self._has_case:
            self.ignored["no_case"] += 1
        elif kind != wire.DISPLAYED and wire.DISPLAYED not in self._asked_at:
            self.ignored["no_displayed"] += 1
        else:
            self._asked_at[kind] = now
            interval = 0 if request.interval_s == wire.ONCE else TREND_S.get(kind, request.interval_s)
            self.streams[kind] = _Stream(now + self._rng.uniform(0.05, 0.3), interval, tuple(classes))

    def _ask_waves(self, request: wire.Request, now: float) -> None:
        self.requests["waves"] += 1
        if request.command == 1:
            self.waves = [kind for kind in self.waves if request.types and kind not in request.types]
            return
        known = [kind for kind in dict.fromkeys(request.types) if kind in wire.WAVES]
        if self._budget and sum(wire.WAVES[kind].rate for kind in known) > self._budget:
            self.ignored["budget"] += 1
            return
        self.waves = known
        self._gap = 0
        self._resume_waves(now)

    def _resume_waves(self, now: float) -> None:
        self._sampled_at = now
        self._waves_at = now + WAVE_S

    def _ask_alarms(self, request: wire.Request, now: float) -> None:
        self.requests["alarms"] += 1
        if self._level < ALARMS_FROM_LEVEL:
            self.ignored["alarms"] += 1
        elif request.command == 3:
            self._tells_changes, self._alarm_at = False, None
        else:
            self._tells_changes = self._tells_changes or request.command == 2
            self._told_alarms = (("", -1),)
            self._alarm_at = now + self._rng.uniform(0.05, 0.3)

    # -- what the monitor says -------------------------------------------------------------------------------------

    def _unix(self, now: float) -> int:
        return self._clock + int(now - self._on_at) + self._stepped_s

    def _say(
        self, main_type: int, subrecords: list[tuple[int, bytes]], kind: str, values: Mapping[str, str], now: float
    ) -> None:
        if self._strikes("cts_stop"):
            self._stop()
            return
        self._number = (self._number + 1) % 256
        head = wire.Head(self._number, self._level, 4711, self._unix(now))
        frame = wire.framed(wire.record(head, main_type, subrecords))
        if self._strikes("empty_frame"):
            frame = bytes([wire.FLAG, wire.FLAG]) + frame
        if self._emit(frame, now).good:
            self.sent += 1
            self.history.append(Reading(now, kind, MappingProxyType(dict(values))))

    def _say_values(self, kind: int, stream: _Stream, now: float) -> None:
        raws, statuses, labels = self._basic(now)
        subrecords = []
        for number in stream.classes:
            # The layout of the extension classes is not known: their groups say that they do not exist.
            body = wire.basic_body(raws, statuses, labels) if number == 0 else bytes(wire.BODY_BYTES)
            subrecords.append((kind, wire.values_subrecord(self._unix(now), body, number, self._low_byte)))
        texts = {code: str(raw) for code, raw in raws.items()} if 0 in stream.classes else {}
        self._say(wire.PHDB, subrecords, KINDS[kind], texts, now)

    def _basic(self, now: float) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Raw numbers, states and labels of the basic class."""
        values = self._values(now)
        raws: dict[str, int] = {}
        statuses = {group: EXISTS for group in wire.GROUPS if group not in wire.ABSENT_GROUPS}
        for field in wire.FIELDS:
            value = values.get(field.quantity)
            group = field.code.partition(".")[0]
            if value is None:
                may_be_other = self._is_mixed and field.quantity != "-"
                raws[field.code] = self._rng.choice(SPECIALS) if may_be_other else wire.INVALID
            else:
                raws[field.code] = max(wire.SMALLEST, min(wire.LARGEST, round(value * field.scale)))
                statuses[group] |= ACTIVE
        statuses["ecg"] |= self._hr_source << 3
        labels = dict(LABELS)
        cuff = self.patient.cuff(now)
        labels["nibp"] = CUFF_OLD if cuff is not None and now - cuff.at > OLD_AFTER_S else 0
        return raws, statuses, labels

    def _values(self, now: float) -> dict[str, float]:
        values = self.patient.values(now)
        cuff = self.patient.cuff(now)
        if cuff is not None:
            values |= {f"cuff_{name}": value for name, value in cuff._asdict().items()}
        values["ambient"] = AMBIENT_MMHG
        values["co2_in_percent"] = values["co2_in"] / AMBIENT_MMHG * 100
        if "etco2" in values:
            values["co2_et_percent"] = values["etco2"] / AMBIENT_MMHG * 100
        return values

    def _say_waves(self, now: float) -> None:
        subrecords = []
        texts = {}
        has_co2 = "etco2" in self.patient.values(now)
        for kind in self.waves:
            wave = wire.WAVES[kind]
            if wave.quantity == "co2" and not has_co2:
                samples = [wire.INVALID] * wave.rate
            else:
                points = (self._sampled_at + index / wave.rate for index in range(wave.rate))
                samples = [round(self.patient.curve(wave.quantity, at) * wave.scale) for at in points]
            subrecords.append((kind, wire.wave_subrecord(samples, self._gap)))
            texts[str(kind)] = " ".join(str(sample) for sample in samples)
        self._gap = 0
        self._sampled_at += WAVE_S
        self._say(wire.WAVE, subrecords, "waves", texts, now)

    def _say_alarms(self, now: float) -> None:
        active = tuple(
            (ALARM_TEXTS[name][self._language], COLOURS[level]) for name, level in self.patient.alarms(now).items()
        )
        if active == self._told_alarms:
            return
        alarms = [wire.Alarm(*alarm, alarm not in self._told_alarms) for alarm in active]
        self._told_alarms = active
        data = wire.alarm_subrecord(alarms, 0)
        self._say(wire.ALARM, [(1, data)], "alarms", {text: str(colour) for text, colour in active}, now)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        flags, inside = (2, frame[3:-1]) if frame.startswith(b"\x7e\x7e") else (0, frame[1:-1])
        plain = wire.unstuffed(inside) or b"\0\0"
        return frame[:flags] + wire.framed(plain[:-1], check=1)
