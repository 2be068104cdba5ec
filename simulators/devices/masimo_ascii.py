"""A Masimo Radical-5, Radical-7, Rad-8 or Rad-87 on its serial port in the format ASCII 1: a line a second.

    02/22/16 22:47:45 SN=0000056661 SPO2=098% BPM=097 PI=03.60% SPCO=--.-% SPMET=--.-% DESAT=-- PIDELTA=+-- ⏎
        ALARM=0000 EXC=000800

Month first, year of two digits, no zone. Dashes stand for what is not measured. Nothing is ever said to it. The
formats ASCII 2 and TrendCom are not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import ClassVar

from simulators.devices.pulse import Pulse
from simulators.devices.reporter import CLOCK_FAULT, CLOCK_OPTION, REPORTER_OPTIONS, UNCHECKED_FAULTS, Reporter
from simulators.devices.simulator import NO_OPTIONS, Option

CRLF = "\r\n"
LINE_S = 1.0
SET_RUNS = 0x800
"""Masimo SET is running: normal."""
EXCEPTIONS: Mapping[str, int] = MappingProxyType(
    {
        "no_sensor": 0x1,
        "defective_sensor": 0x2,
        "low_perfusion": 0x4,
        "searching": 0x8,
        "interference": 0x10,
        "sensor_off": 0x20,
        "out_of_track": 0x400,  # low signal IQ
    }
)
ALARMS: Mapping[str, int] = MappingProxyType(
    {"desaturation": 0x12, "fast_pulse": 0x14, "slow_pulse": 0x18, "low_battery": 0x40}
)
"""0010 stands for `alarm active`."""
FIELDS = ("short", "long", "full")
DASHED: Mapping[str, str] = MappingProxyType(
    {"SPO2": "---%", "BPM": "---", "PI": "--.--%", "SPCO": "--.-%", "SPMET": "--.-%", "DESAT": "--", "PIDELTA": "+--"}
)


def line(time: datetime, values: Mapping[str, str]) -> bytes:
    """One line; `values` in the order of the document."""
    return f"{time:%m/%d/%y %H:%M:%S} {' '.join(f'{key}={text}' for key, text in values.items())}{CRLF}".encode(
        "ascii"
    )


class MasimoAscii(Reporter):
    """The oximeter's side."""

    NAME: ClassVar[str] = "masimo_ascii"
    DESCRIPTION: ClassVar[str] = "Masimo Radical-5, Radical-7, Rad-8, Rad-87 oximeters, ASCII 1, serial"
    FAULTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {**UNCHECKED_FAULTS, **CLOCK_FAULT, "blank_line": "an empty line before a line"}
    )
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **REPORTER_OPTIONS,
            **CLOCK_OPTION,
            "fields": Option("long", "short (Radical-5) | long (with SN, SpCO, SpMet) | full (also PVI)"),
            "serial": Option("0000056661", "SN, ten digits; empty = no SN"),
            "stale_digits": Option("no", "yes: digits are printed also while the sensor is off"),
            "rainbow": Option("no", "yes: SpCO, SpMet, DESAT and PIDELTA are measured"),
            "extra_exceptions": Option("0", "hexadecimal bits that are set in EXC besides, 0 to FFFFFF"),
            "silenced": Option("no", "yes: the alarm tone is silenced"),
        }
    )

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self._fields = self.choice("fields", FIELDS)
        self._is_stale = self.choice("stale_digits", ("yes", "no")) == "yes"
        self._has_rainbow = self.choice("rainbow", ("yes", "no")) == "yes"
        self._is_silenced = self.choice("silenced", ("yes", "no")) == "yes"
        try:
            self._extra = int(self.options["extra_exceptions"], 16)
        except ValueError:
            self._extra = -1
        limit = 0xFFF if self._fields == "short" else 0xFFFFFF
        if not 0 <= self._extra <= limit:
            text = self.options["extra_exceptions"]
            raise ValueError(
                f"{self.NAME}: option extra_exceptions = {text!r}; expected hexadecimal, at most {limit:X}"
            )

    def _power_up(self, now: float) -> None:
        self._repeat("line", LINE_S, now + LINE_S)

    def _turn(self, name: str, now: float) -> None:
        values = self._values(self._patient.at(now))
        if self._strikes("blank_line"):
            self._line.put(CRLF.encode("ascii"), now)
        self._say(line(self._clock(now), values), now, "line", values)

    def _values(self, pulse: Pulse) -> dict[str, str]:
        values = {"SN": self.options["serial"]} if self.options["serial"] and self._fields != "short" else {}
        values |= self._measured(pulse)
        alarm = ALARMS.get(pulse.episode, 0) | (0x20 if self._is_silenced else 0)
        exceptions = SET_RUNS | EXCEPTIONS.get(pulse.episode, 0) | self._extra
        if self._fields == "short":
            return values | {"ALARM": f"{alarm:02X}", "EXC": f"{exceptions:03X}"}
        return values | {"ALARM": f"{alarm:04X}", "EXC": f"{exceptions:06X}"}

    def _measured(self, pulse: Pulse) -> dict[str, str]:
        keys = tuple(DASHED)[:3] if self._fields == "short" else tuple(DASHED)
        values = {key: DASHED[key] for key in keys}
        if self._fields == "full":
            values["PVI"] = "---"
        if not pulse.has_signal and not self._is_stale:
            return values
        values |= {
            "SPO2": f"{pulse.saturation:03d}%",
            "BPM": f"{pulse.rate:03d}",
            "PI": f"{pulse.perfusion:05.2f}%",
        }
        if self._fields == "full":
            values["PVI"] = "014"
        if self._has_rainbow and self._fields != "short":
            values |= {"SPCO": "02.0%", "SPMET": "00.8%", "DESAT": "03", "PIDELTA": "-05"}
        return values
