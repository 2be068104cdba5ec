"""A Nellcor NPB-290, N-560 or N-595 on its data port: column headings, and a line every two seconds.

    NPB-290 VERSION 1.0.0.1 CRC: XXXX SpO2 Limit: 30-100% PR Limit: 100-180BPM
    ADULT 0SAT-S  SPO2 RESP MODE: NORMAL                                        N-560 and N-595 only
    TIME               %SPO2  BPM   PA   Status
    12-NOV-97 14:00:05  100   120   50

The headings come with the first line, every 25 lines, and when a limit changes. `*` behind a value says that it is in
alarm, dashes that there is none. The months are English wherever the device is. XOFF stops the output and XON starts
it again; two Ctrl-C open a menu that can set the clock, so nothing may be said to it. Where the columns stand is not
known: the gaps are a stand-in. The N-200 and its checksum are left out for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar

from simulators.devices.pulse import Pulse
from simulators.devices.reporter import CLOCK_FAULT, CLOCK_OPTION, REPORTER_OPTIONS, UNCHECKED_FAULTS, Reporter
from simulators.devices.simulator import NO_OPTIONS, Option

XON, XOFF, CTRL_C = 0x11, 0x13, 0x03
CRLF = "\r\n"
LINE_S = 2.0
LINES_A_PAGE = 25
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
TITLES: Mapping[str, str] = MappingProxyType({"npb290": "NPB-290", "n560": "N-560", "n595": "N-595"})
COLUMNS = "TIME               %SPO2  BPM   PA   Status"
STATUS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "sensor_off": ("SO",),
        "no_sensor": ("SD",),
        "defective_sensor": ("LM",),
        "searching": ("PS",),
        "out_of_track": ("LP",),
        "interference": ("MO",),
        "desaturation": ("SL",),
        "fast_pulse": ("PH",),
        "slow_pulse": ("PL",),
        "low_battery": ("LB",),
    }
)
"""What happens → the codes at the end of the line."""
NO_VALUES = frozenset({"sensor_off", "no_sensor", "defective_sensor", "searching", "out_of_track"})
LIMITS = ("SpO2 Limit: 30-100% PR Limit: 100-180BPM", "SpO2 Limit: 85-100% PR Limit: 40-170BPM")


def stamp(time: datetime) -> str:
    """The eighteen characters at the start of a line."""
    return f"{time:%d}-{MONTHS[time.month - 1]}-{time:%y %H:%M:%S}"


def line(time: datetime, spo2: str, rate: str, amplitude: str, codes: tuple[str, ...] = ()) -> bytes:
    """A line of values; a value may carry its `*`."""
    text = f"{stamp(time)}  {spo2:<5} {rate:<5} {amplitude:<5} {'  '.join(codes)}"
    return (text.rstrip() + CRLF).encode("ascii")


class NellcorAscii(Reporter):
    """The oximeter's side."""

    NAME: ClassVar[str] = "nellcor_ascii"
    DESCRIPTION: ClassVar[str] = "Nellcor NPB-290, N-560, N-595 oximeters, data port, ASCII, serial"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **UNCHECKED_FAULTS,
            **CLOCK_FAULT,
            "on_battery": "the mains fail: an NPB-290 says nothing for a while, another goes on",
            "new_limits": "somebody changes the alarm limits: the headings come again",
        }
    )
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **REPORTER_OPTIONS,
            **CLOCK_OPTION,
            "model": Option("npb290", "npb290 | n560 | n595"),
            "patient_mode": Option("ADULT", "ADULT | NEO"),
            "response": Option("NORMAL", "NORMAL | FAST"),
            "alarms": Option("on", "on | off | silenced"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.pages = 0
        """How often the headings were said."""
        self.is_in_menu = False
        """Two Ctrl-C came: no line leaves until the device is switched off and on."""
        self._model = self.choice("model", tuple(TITLES))
        self._alarms = {"on": (), "off": ("AO",), "silenced": ("AS",)}[
            self.choice("alarms", ("on", "off", "silenced"))
        ]
        self._mode = self.choice("patient_mode", ("ADULT", "NEO"))
        self._response = self.choice("response", ("NORMAL", "FAST"))
        self._limits = 0
        self._lines_left = 0
        self._is_stopped = False
        self._last_heard = 0
        self._mains_at = 0.0

    def _power_up(self, now: float) -> None:
        self._lines_left = 0
        self._is_stopped = self.is_in_menu = False
        self._last_heard = 0
        self._repeat("line", LINE_S, now + LINE_S)

    def _hear(self, data: bytes, now: float) -> None:
        self.illegal.append(data)
        for byte in data:
            if byte in (XON, XOFF):
                self._is_stopped = byte == XOFF
            elif byte == CTRL_C == self._last_heard:
                self.is_in_menu = True
            self._last_heard = byte

    def _turn(self, name: str, now: float) -> None:
        if self._strikes("on_battery") and self._model == "npb290":
            self._mains_at = now + self.seconds("silence_s")
        if self._strikes("new_limits"):
            self._limits = 1 - self._limits
            self._lines_left = 0
        if self.is_in_menu or self._is_stopped or now < self._mains_at:
            return
        if self._lines_left <= 0:
            self.pages += 1
            self._lines_left = LINES_A_PAGE
            for text in self._headings():
                self._say((text + CRLF).encode("ascii"), now)
                if self._frozen_until is not None:
                    return
        values, data = self._values(self._clock(now), self._patient.at(now))
        self._lines_left -= 1
        self._say(data, now, "line", values)

    def _headings(self) -> list[str]:
        title = f"{TITLES[self._model]} VERSION 1.0.0.1 CRC: XXXX {LIMITS[self._limits]}"
        if self._model == "npb290":
            return [title, COLUMNS]
        return [title, f"{self._mode} 0SAT-S  SPO2 RESP MODE: {self._response}", COLUMNS]

    def _values(self, time: datetime, pulse: Pulse) -> tuple[dict[str, str], bytes]:
        codes = STATUS.get(pulse.episode, ()) + self._alarms
        spo2, rate = str(pulse.saturation), str(pulse.rate)
        amplitude = str(min(254, round(pulse.perfusion * 14)))
        if pulse.episode in NO_VALUES:
            spo2 = rate = amplitude = "---"
        if pulse.episode == "desaturation":
            spo2 += "*"
        if pulse.episode in ("fast_pulse", "slow_pulse"):
            rate += "*"
        values = {"%SPO2": spo2, "BPM": rate, "PA": amplitude, "Status": " ".join(codes)}
        return values, line(time, spo2, rate, amplitude, codes)
