"""A Getinge Servo-u, Servo-n or Servo-air on its serial port: the Servo Communication Interface, 0001 to 0010.

The CIE of the SERVO-i with these differences: no basic mode, versions of four digits, RADAB, RADAS, RADAA and RADAL
answered in binary (`7F ck` at the end), a fourth class L for alarm limits, up to six curves, an answer to ESC, and a
channel map of its own.

    box                          device
    RPTY0F 04           ──▶
                        ◀──     SCI0 69 04
    SDADB100101…, RADAB ──▶
                        ◀──     00 96 09 60 … 7F ck       7EFF = no value; an alarm is priority and value
    ESC                 ──▶
                        ◀──     ER20 ck 04, or E0 14 7F 8B when a stream was running

Gains of the settings and meanings of the codes 600 to 625 and 800 to 854 are this simulator's own: a box takes them
from the answer to RCCO.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from simulators.devices import servo_frames as wire
from simulators.devices.servo_cie import BINARY_LARGEST, ServoCie
from simulators.devices.simulator import Option

ESCAPED = 20

CURVES = "000 flow .25 4000 2 | 001 paw .1 200 4 | 002 volume .2 0 1"
BREATH = """
100 rr .1 0 6 | 101 vte .2 0 1 | 102 vti .2 0 1 | 103 mvi .01 0 8 | 104 mve .01 0 8 | 105 ppeak .1 200 4
106 pmean .1 200 4 | 107 ppause .1 200 4 | 108 peep .1 200 4 | 109 o2 .1 0 7 | 114 etco2 .1 0 7
115 etco2_mmhg .1 0 10 3:1.0 | 119 cstat .1 0 5 | 121 ri .1 0 9 | 122 ie .01 0 20 | 123 ti .01 0 14
126 leak .1 0 7 | 128 duty .0001 0 20 | 129 peeptot .1 200 4 | 136 cpap .1 200 4 | 137 p01 .1 200 4
"""
SETTINGS = """
400 set_rate .1 0 6 | 405 set_mv .01 0 8 | 406 set_pc .1 200 4 | 408 set_peep .1 200 4 | 409 category 1 0 20
410 mode 1 0 20 | 414 set_o2 .1 0 7 | 419 set_ie .01 0 20 | 420 set_vt .2 0 1
"""
NAMED_LIMITS = {600: "mve_high_limit .01 0 8", 601: "mve_low_limit .01 0 8", 602: "o2_high_limit .1 0 7",
                603: "o2_low_limit .1 0 7"}  # fmt: skip
LIMITS = " | ".join(f"{code} {NAMED_LIMITS.get(code, 'none 1 0 0')}" for code in range(600, 626))
ALARM_CODES = {
    "804": "paw_high", "806": "apnoea", "811": "mve_low", "813": "rr_high", "815": "peep_low", "817": "o2_low",
    "830": "leakage",
}  # fmt: skip
OF_PRIORITY = {"995": 1, "996": 2, "997": 3}
ANY = "999"
ALARMS = " | ".join(f"{code} none 1 0 20" for code in (*range(800, 855), *OF_PRIORITY, ANY))


class ServoSci(ServoCie):
    """The ventilator's side of SCI."""

    NAME: ClassVar[str] = "servo_sci"
    DESCRIPTION: ClassVar[str] = "Getinge Servo-u, Servo-n or Servo-air ventilator, SCI 0001 to 0010, serial"
    OPTIONS: ClassVar[Mapping[str, Option]] = MappingProxyType(
        {
            **ServoCie.OPTIONS,
            "model": Option("servo_u", "servo_u | servo_n | servo_air"),
            "version": Option("10", "highest protocol version it speaks, 1 to 10"),
        }
    )
    MODELS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"servo_u": "SERVO-U", "servo_n": "SERVO-N", "servo_air": "SERVO-AIR"}
    )
    PRODUCTS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"servo_u": "SERVO-u", "servo_n": "SERVO-n", "servo_air": "SERVO-air"}
    )
    """What RCFGDT answers."""
    HIGHEST_VERSION: ClassVar[int] = 10
    VERSION_DIGITS: ClassVar[int] = 4
    HAS_BASIC_MODE: ClassVar[bool] = False
    READS_BINARY: ClassVar[bool] = True
    TABLE_LIMITS: ClassVar[Mapping[str, int]] = MappingProxyType({"C": 6, "B": 100, "S": 100, "A": 100, "L": 100})
    CHANNELS: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"C": CURVES, "B": BREATH, "S": SETTINGS, "A": ALARMS, "L": LIMITS}
    )
    ALARM_NAMES: ClassVar[Mapping[str, str]] = MappingProxyType(ALARM_CODES)
    EXCLUSIVE: ClassVar[Mapping[str, str]] = MappingProxyType({})
    GRAMMAR: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            **ServoCie.GRAMMAR, "RPTY": "", "RCFG": "DT", "SPVE": r"\d{4}", "RDAD": "[BSACL]?",
            "SDAD": r"[BSACL](?:\d{3})*", "RADA": "[BSAL]",
        }
    )  # fmt: skip

    def _escape(self, now: float) -> None:
        was_streaming = self.is_streaming
        super()._escape(now)
        self._refuse(ESCAPED, now, is_binary=was_streaming)

    def _plain_answer(self, name: str, now: float) -> str | None:
        match name:
            case "RPTY":
                return "SCI" + self._internal
            case "RCFG":
                return self.PRODUCTS[self.options["model"]]
            case _:
                return super()._plain_answer(name, now)

    def _is_refused_in_standby(self, table: str) -> bool:
        return True

    def _values(self, table: str, now: float) -> tuple[bytes, wire.Reading]:
        raws = self._raws(table, now, BINARY_LARGEST)
        data = b"".join(self._value(table, raws[code]) for code in self.tables[table])
        return wire.binary_frame(data), self._reading(table, raws, now)

    def _raws(self, table: str, now: float, largest: int) -> dict[str, int | None]:
        """As for CIE; an alarm is its priority (1 low, 2 medium, 3 high) in the high byte and 1 in the low one."""
        if table != "A":
            return super()._raws(table, now, largest)
        active = {} if self.is_standby else self.patient.alarms(now)
        raws: dict[str, int | None] = {}
        for code in self.tables["A"]:
            if code == ANY:
                priority = max(active.values(), default=0)
            elif code in OF_PRIORITY:
                priority = OF_PRIORITY[code] if OF_PRIORITY[code] in active.values() else 0
            else:
                priority = active.get(self.ALARM_NAMES.get(code, ""), 0)
            raws[code] = priority << 8 | bool(priority)
        return raws

    def _value(self, table: str, raw: int | None) -> bytes:
        return (wire.MISSING if raw is None else raw).to_bytes(2, "big")

    def _reading(self, table: str, raws: Mapping[str, int | None], now: float) -> wire.Reading:
        if table != "A":
            return super()._reading(table, raws, now)
        return wire.Reading(now, table, {code: f"{(raw or 0) >> 8},{(raw or 0) & 1}" for code, raw in raws.items()})
