r"""A Puritan Bennett 840 or 980: `SNDF` and `SNDA` on port 1, unasked curves on port 2.

    box                      device
    SNDF CR           ──▶
                      ◀──    MISCF,1225,169 ,<STX>f5,f6,…,f173,<ETX><CR>     1244 bytes
    SNDA CR           ──▶
                      ◀──    MISCA,706,97 ,<STX>f5,…,f101,<ETX><CR>

Every field is left-justified, space-padded to its width and followed by a comma; blank = not measured; there is no
checksum. 1225 counts the bytes between STX and ETX as recorded; `count=cr` declares what stands up to CR instead.
Of MISCA only the two counts, the time and the identity are known: its other fields are blank here, and the widths
that bring it to 706 are a stand-in.

The second port says, without being asked, `BS, S:<n>,` then `<flow>, <pressure>` every 20 ms, then `BE`.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Option, Simulator

STX, ETX, CR = b"\x02", b"\x03", b"\r"
COMMANDS = (b"SNDF", b"SNDA")
COMMAND_LIMIT_BYTES = 64
HISTORY_KEPT = 10_000

FIELD_WIDTH = 6
MISCF_WIDTHS = {6: 18, 7: 12, 8: 9, 50: 9, 53: 18, 55: 9, 66: 9}
"""Widths of the fields that are not six characters."""
MISCF_FIELDS = range(5, 174)
MISCA_WIDTHS = {6: 18, 8: 12, 99: 9, 100: 9, 101: 9}
MISCA_FIELDS = range(5, 102)

MEASURED = (*range(69, 105), 154, 155)
LIMITS = range(36, 44)
SILENCE = 105
ALARMS = {"840": (*range(106, 154),), "980": (*range(106, 146), 160)}
"""Alarms by model; a 980 leaves 146 to 153 blank."""
EPISODES = (106, 108, 110, 112, 117, 118, 120, 122, 124, 125)
"""Alarms that come and go: apnoea, high VTe, high Ppeak, high rate, low VTe, low MV, low O2 %, O2 supply, …"""
LEVELS = ("LOW", "MEDIUM", "HIGH")
ALARM_LASTS_S = 15.0
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

SETTINGS: Mapping[int, str] = MappingProxyType(
    {
        8: "INVASIVE", 9: "SIMV", 10: "VC", 11: "PS", 12: "V-Trig", 13: "15.0", 14: "0.480", 15: "40.0", 16: "40",
        18: "5.0", 19: "0.0", 20: "20", 21: "0.480", 22: "10.0", 23: "53.0", 24: "100", 27: "RAMP", 28: "VC",
        31: "10", 32: "SQUARE", 33: "OFF", 34: "40", 36: "12.000", 37: "4.000", 38: "800", 39: "250", 40: "800",
        41: "250", 42: "35", 44: "3.5", 45: "2.0", 53: "HME", 55: "Disabled", 56: "75", 57: "70", 59: "25.0",
        60: "61.0", 66: "ADULT",
    }
)  # fmt: skip

BREATH_S = 4.0
INSPIRATION_S = 1.3
SAMPLE_S = 0.02
CURVES_BEHIND_LIMIT_S = 60.0
"""Curves older than this are lost when nobody has turned the clock."""


def frame(name: str, fields: list[str], is_counted_to_cr: bool = False, count: int | None = None) -> bytes:
    """A report; `fields` are padded already, `count` overrides the declared number of fields."""
    body = "".join(text + "," for text in fields).encode("ascii")
    size = len(body) + (len(ETX + CR) if is_counted_to_cr else 0)
    number = len(fields) if count is None else count
    # MISCA is shorter but has the same shape: the number of fields is followed by a space.
    return f"{name},{size},{number} ,".encode("ascii") + STX + body + ETX + CR


def padded(values: Mapping[int, str], fields: range, widths: Mapping[int, int]) -> list[str]:
    """The texts of `fields`, each in its width; what `values` lacks is blank."""
    return [f"{values.get(field, ''):<{widths.get(field, FIELD_WIDTH)}}" for field in fields]


class Report(NamedTuple):
    """An undamaged answer that went out."""

    at: float
    name: str
    """MISCF or MISCA."""
    values: Mapping[str, str]
    """Field number → text without its padding; '' when it was blank."""


class Patient:
    """Values that wander a little each `period_s`, alarms that come and go."""

    def __init__(self, seed: int, start: float, options: Mapping[str, float]) -> None:
        self._rng = Random(seed)  # noqa: S311
        self._seed = seed
        self._start = start
        self._period_s = max(options["period_s"], 0.001)
        self._alarm_every_s = options["alarm_every_s"]
        self._blank_rate = options["blank_rate"]
        self._step = -1
        self._walk = {"volume": 0.480, "rate": 15.0, "peak": 22.0, "peep": 5.0, "oxygen": 40.0, "compliance": 42.0,
                      "resistance": 10.0, "inspiration": 1.3}  # fmt: skip
        self._target = dict(self._walk)
        self._blank: frozenset[int] = frozenset()

    def measured(self, now: float) -> dict[int, str]:
        """Measured fields: number → text; what is not measured now is left out."""
        self._wander(now)
        w = self._walk
        ratio = max(60 / w["rate"] - w["inspiration"], 0.1) / w["inspiration"]
        mean = w["peep"] + (w["peak"] - w["peep"]) * 0.35
        values = {
            69: f"{w['peak'] - 1:.1f}", 70: f"{w['rate']:.1f}", 71: f"{w['volume']:.3f}",
            72: f"{w['volume'] * w['rate']:.3f}", 73: f"{w['peak']:.1f}", 74: f"{mean:.1f}", 75: f"{ratio:.2f}",
            76: f"1:{ratio:.2f}", 77: f"{w['oxygen']:.0f}", 78: f"{w['volume'] * 1.02:.3f}",
            87: f"{w['peep']:.1f}", 88: f"{w['inspiration'] * 0.7:.2f}", 89: "0.00", 92: f"{w['compliance']:.1f}",
            93: f"{w['resistance']:.1f}", 94: f"{w['peak'] - 3:.1f}", 96: f"{w['compliance'] * 0.9:.1f}",
            97: f"{w['resistance'] * 1.1:.1f}", 98: "26.0", 99: "42.0", 100: "0.0", 154: f"{w['volume'] * 0.6:.3f}",
        }  # fmt: skip
        return {number: text for number, text in values.items() if number not in self._blank}

    def _wander(self, now: float) -> None:
        # Bounded, so that a clock turned by a day costs what an hour costs.
        step = int((now - self._start) / self._period_s)
        self._step = max(self._step, step - 2000)
        while self._step < step:
            self._step += 1
            for name, target in self._target.items():
                value = self._walk[name]
                self._walk[name] = value + (target - value) * 0.2 + self._rng.uniform(-0.02, 0.02) * target
            self._blank = frozenset(number for number in MEASURED if self._rng.random() < self._blank_rate)

    def alarms(self, now: float) -> dict[int, str]:
        """Alarms that are not NORMAL: field → LOW, MEDIUM or HIGH, and RESET for a while after."""
        if self._alarm_every_s <= 0:
            return {}
        episode, since = divmod(now - self._start, self._alarm_every_s)
        if episode < 1 or since >= 2 * ALARM_LASTS_S:
            return {}
        dice = Random(self._seed * 1_000_003 + int(episode))  # noqa: S311
        fields = dice.sample(EPISODES, dice.choice((1, 1, 2)))
        levels = [dice.choice(LEVELS) for _ in fields]
        is_over = since >= ALARM_LASTS_S
        return {field: "RESET" if is_over else level for field, level in zip(fields, levels, strict=True)}


class PuritanBennett(Simulator):
    """Port 1 of the ventilator: reports on request, no checksum, no settings that can be changed."""

    NAME: ClassVar[str] = "puritan_bennett"
    DESCRIPTION: ClassVar[str] = "Puritan Bennett 840 or 980 ventilator, SNDF and SNDA, serial"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **{name: text for name, text in COMMON_FAULTS.items() if name != "bad_checksum"},
            "stuck_reply": "a report stops midway and its rest never comes; the next command is answered",
            "wrong_field_count": "a field is left out; the byte count fits, the field count does not",
            "wrong_width": "a field is one character short and the next one long: both counts fit",
        }
    )
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(COMMON_FAULTS) - {"bad_checksum"}
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "model": Option("840", "840 | 980"),
            "serial": Option("3510000001", "serial number in the identity, 14 characters at most"),
            "count": Option("etx", "what the byte count covers: etx (as recorded) | cr (up to and with CR)"),
            "standby": Option("no", "yes: nothing is measured"),
            "limits": Option("on", "off: the volume and rate limits say OFF"),
            "blank_rate": Option("0.02", "chance that a measured field is blank in a period, 0 to 1"),
            "period_s": Option("1", "seconds between two changes of the measured values"),
            "alarm_every_s": Option("60", "an alarm of 15 seconds starts this often; 0 = none"),
            "answer_s": Option("0.2", "seconds from a command to its report"),
            "started": Option("20260101080000", "what the device's clock shows when it is switched on"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Reports that left undamaged."""
        self.history: deque[Report] = deque(maxlen=HISTORY_KEPT)
        self.commands: Counter[str] = Counter()
        self.hurried = 0
        """Commands that came before the report to the one before had left; they are not answered."""
        self._model = self.choice("model", ("840", "980"))
        self._is_counted_to_cr = self.choice("count", ("etx", "cr")) == "cr"
        self._is_standby = self.choice("standby", ("yes", "no")) == "yes"
        self._has_limits = self.choice("limits", ("on", "off")) == "on"
        self._answer_s = self.seconds("answer_s")
        self._identity = f"{self._model} {self.options['serial']}"
        if len(self._identity) > MISCF_WIDTHS[6]:
            raise ValueError(f"{self.NAME}: option serial = {self.options['serial']!r} is longer than 14 characters")
        self._clock = datetime.strptime(self.options["started"], "%Y%m%d%H%M%S")  # noqa: DTZ007 - a device's clock
        self._numbers = {name: self.seconds(name) for name in ("period_s", "alarm_every_s", "blank_rate")}
        self._patient = Patient(seed, 0.0, self._numbers)
        self._on_at = 0.0
        self._heard = bytearray()
        self._is_lost = False
        self._reply: tuple[float, bytes] | None = None

    # -- the clock -------------------------------------------------------------------------------------------------

    def _start(self, now: float) -> None:
        self._on_at = now
        self._patient = Patient(self.seed, now, self._numbers)

    def _due(self) -> float | None:
        return self._reply[0] if self._reply else None

    def _tick(self, now: float) -> None:
        if self._reply is not None:
            command = self._reply[1]
            self._reply = None
            self._report(command, now)

    def _thaw(self, now: float) -> None:
        # What came in the meantime is gone, perhaps the beginning of a command.
        self._heard.clear()
        self._is_lost = True
        self._reply = None

    def _reboot(self, now: float) -> None:
        self._heard.clear()
        self._reply = None

    # -- what the box says -----------------------------------------------------------------------------------------

    def _hear(self, data: bytes, now: float) -> None:
        for byte in data:
            if byte == CR[0]:
                line = bytes(self._heard)
                self._heard.clear()
                self._obey(line, now)
                self._is_lost = False
            else:
                self._heard.append(byte)
            if len(self._heard) > COMMAND_LIMIT_BYTES:
                self._blame(bytes(self._heard))
                self._heard.clear()

    def _obey(self, line: bytes, now: float) -> None:
        if line not in COMMANDS:
            if line == b"RSET":
                self._reply = None
            self._blame(line + CR)
            return
        self.commands[line.decode("ascii")] += 1
        if self._reply is not None:
            self.hurried += 1
            return
        self._reply = (now + self._answer_s, line)

    def _blame(self, data: bytes) -> None:
        if not self._is_lost:
            self.illegal.append(data)

    # -- what the device answers -----------------------------------------------------------------------------------

    def fields(self, now: float) -> dict[int, str]:
        """The fields of MISCF at `now`: number → text without padding; what is blank is left out."""
        clock = self._clock + timedelta(seconds=now - self._on_at)
        values = {5: clock.strftime("%H:%M"), 6: self._identity, **SETTINGS}
        values[7] = f"{MONTHS[clock.month - 1]} {clock:%d %Y}"
        if not self._has_limits:
            values |= dict.fromkeys(LIMITS, "OFF")
        values |= dict.fromkeys(ALARMS[self._model], "NORMAL") | {SILENCE: "OFF"}
        if self._model == "980":
            values |= {163: "0.400", 164: "1.900", 172: "BREATH"}
        if not self._is_standby:
            values |= self._patient.measured(now) | self._patient.alarms(now)
        return values

    def _report(self, command: bytes, now: float) -> None:
        values = self.fields(now)
        name, numbers, widths = "MISCF", MISCF_FIELDS, MISCF_WIDTHS
        if command == b"SNDA":
            name, numbers, widths = "MISCA", MISCA_FIELDS, MISCA_WIDTHS
            values = {5: values[5], 6: values[6]}
        texts = padded(values, numbers, widths)
        whole = frame(name, texts, self._is_counted_to_cr)
        if self._strikes("stuck_reply"):
            self._line.put(whole[: self._dice.randrange(1, len(whole) - 1)], now)
            return
        if self._strikes("wrong_field_count"):
            left_out = self._dice.randrange(len(texts))
            self._line.put(
                frame(name, texts[:left_out] + texts[left_out + 1 :], self._is_counted_to_cr, len(texts)), now
            )
            return
        if self._strikes("wrong_width"):
            short = self._dice.choice([i for i, text in enumerate(texts[:-1]) if text.endswith(" ")])
            texts[short], texts[short + 1] = texts[short][:-1], texts[short + 1] + " "
            self._line.put(frame(name, texts, self._is_counted_to_cr), now)
            return
        if self._emit(whole, now).good:
            self.sent += 1
            self.history.append(Report(now, name, {str(number): values.get(number, "") for number in numbers}))

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return frame  # the protocol has none, and FAULTS leaves this one out


class Sample(NamedTuple):
    """An undamaged line of a curve that went out."""

    at: float
    breath: int
    flow: str
    """L/min."""
    pressure: str
    """cmH2O."""


class PuritanBennettWaveforms(Simulator):
    """Port 2 of the ventilator: flow and pressure of every breath, unasked."""

    NAME: ClassVar[str] = "puritan_bennett_waveforms"
    DESCRIPTION: ClassVar[str] = "Puritan Bennett 840 or 980 ventilator, curves of port 2, serial"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {name: text for name, text in COMMON_FAULTS.items() if name != "bad_checksum"}
    )
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(FAULTS)
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **COMMON_OPTIONS,
            "fault_rate": Option("0.005", "chance that a chosen fault strikes a line, 0 to 1"),
            "standby": Option("no", "yes: no breath, no line"),
            "line_end": Option("lf", "lf | crlf: how a line ends"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Lines that left undamaged."""
        self.history: deque[Sample] = deque(maxlen=HISTORY_KEPT)
        self.breath = 0
        """Number of the breath under way."""
        self._is_standby = self.choice("standby", ("yes", "no")) == "yes"
        self._end = b"\n" if self.choice("line_end", ("lf", "crlf")) == "lf" else b"\r\n"
        self._peak = 17.0
        self._index = 0
        self._next_at = 0.0

    def _start(self, now: float) -> None:
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._index = 0
        self._next_at = now

    def _advance(self, now: float) -> None:
        if self._started_at is not None and now - self._next_at > CURVES_BEHIND_LIMIT_S:
            self._begin(now - CURVES_BEHIND_LIMIT_S / 2)
        super()._advance(now)

    def _due(self) -> float | None:
        return None if self._is_standby else self._next_at

    def _tick(self, now: float) -> None:
        if self._index == 0:
            self.breath += 1
            self._peak = 17.0 * (1 + self._rng.uniform(-0.05, 0.05))
            self.sent += bool(self._emit(f"BS, S:{self.breath},".encode() + self._end, now).good)
        flow, pressure = self._sample(self._index * SAMPLE_S)
        if self._emit(f"{flow}, {pressure}".encode() + self._end, now).good:
            self.sent += 1
            self.history.append(Sample(now, self.breath, flow, pressure))
        self._index += 1
        if self._index * SAMPLE_S >= BREATH_S:
            self.sent += bool(self._emit(b"BE" + self._end, now).good)
            self._index = 0
        self._next_at = now + SAMPLE_S

    def _sample(self, t: float) -> tuple[str, str]:
        if t < INSPIRATION_S:
            flow, pressure = 22.0, 5 + self._peak * (1 - math.exp(-t / 0.3))
        else:
            since = t - INSPIRATION_S
            flow, pressure = -60 * math.exp(-since / 0.5), 5 + self._peak * math.exp(-since / 0.4)
        return f"{flow:.1f}", f"{pressure:.1f}"

    def _hear(self, data: bytes, now: float) -> None:
        self.illegal.append(data)  # nothing is asked on this port

    def _thaw(self, now: float) -> None:
        self._begin(now)

    def _reboot(self, now: float) -> None:
        self.breath = 0
        self._begin(now)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return frame  # the protocol has none, and FAULTS leaves this one out
