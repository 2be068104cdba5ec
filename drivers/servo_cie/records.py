"""What stands in the answers of a SERVO: identity, versions, channel configuration.

    RCTY   │Servo-i│0│                                              last digit 1: fault inside the ventilator
    RHVE   │005│ (CIE)  │0010│ (SCI)
    RCCO   │sampling;│channel,gain,offset,unit,type,id;│             200,+1000E-004,+0000E+000,06,BT,FFFF

Maquet, "Computer Interface Emulator SERVO-i / SERVO-s" reference manual 65 43 388_12, command descriptions.
"""

import re
from decimal import Decimal

from msgspec import Struct

UNITS = {
    1: "mL",
    2: "mL/s",
    3: "mL/min",
    4: "cm[H2O]",
    5: "mL/cm[H2O]",
    6: "/min",
    7: "%",
    8: "L/min",
    9: "cm[H2O]/(L/s)",
    10: "mm[Hg]",
    11: "kPa",
    12: "mbar",
    13: "mV",
    14: "s",
    15: "L/s",
    16: "cm[H2O]/L",
    17: "L",
    18: "J/L",
    19: "uV",
    20: "1",
    21: "cm[H2O]/uV",
    22: "/min/L",
    23: "min",
}
"""Unit codes of RCCO in UCUM. 06 is in the manual's example, the rest in one public program (src-jds/servoscreen).

None of them is trusted alone: a code gives a name of the code table only where the profile's unit agrees.
"""

_IDENTITY = re.compile(r"([A-Za-z][A-Za-z0-9 -]{0,30})([01])")
_CONFIG = re.compile(r"[0-9]+;([0-9]{3}),([^,;]{1,16}),([^,;]{1,16}),([0-9]{1,3}|-+),[^,;]{0,16},[^,;]{0,32};")
_SCALE = re.compile(r"([+-]?[0-9]{1,8})E([+-]?[0-9]{1,3})")
_CLOCK = re.compile(r"[0-9]{6,20}")
_SERIAL = re.compile(r"[!-~](?:[ -~]{0,38}[!-~])?")
_LARGEST_EXPONENT = 12


class Identity(Struct, frozen=True):
    """The answer to RCTY."""

    name: str
    has_inner_fault: bool


class Config(Struct, frozen=True):
    """One channel as the device configures it; None where it gives dashes."""

    code: str
    gain: Decimal | None
    offset: Decimal | None
    unit: int | None


def parse_identity(text: str) -> Identity | None:
    """`Servo-i0`: name and state of the ventilator's inner link. None where the layout is not kept."""
    found = _IDENTITY.fullmatch(text)
    return Identity(found[1], found[2] == "1") if found else None


def parse_version(text: str, digits: int) -> int | None:
    """The highest protocol version. None where it is not `digits` digits."""
    return int(text) if len(text) == digits and text.isdecimal() else None


def parse_serial(text: str) -> str | None:
    """A serial number. None where it is empty, longer than forty characters, or another answer's word (`*`)."""
    stripped = text.strip()
    return stripped if _SERIAL.fullmatch(stripped) and stripped != "*" else None


def parse_clock(text: str) -> str | None:
    """The device's time as it sends it: digits."""
    return text if _CLOCK.fullmatch(text) else None


def parse_config(text: str) -> Config | None:
    """The answer to RCCO for one channel. None where the layout is not kept."""
    found = _CONFIG.fullmatch(text)
    if not found:
        return None
    code, gain, offset, unit = found.groups()
    scales = [None if set(said) == {"-"} else _scale(said) for said in (gain, offset)]
    if any(scale is None and set(said) != {"-"} for scale, said in zip(scales, (gain, offset), strict=True)):
        return None
    return Config(code, scales[0], scales[1], int(unit) if unit.isdecimal() else None)


def _scale(said: str) -> Decimal | None:
    found = _SCALE.fullmatch(said)
    if not found or abs(int(found[2])) > _LARGEST_EXPONENT:
        return None
    number = Decimal(found[1]).scaleb(int(found[2])).normalize()
    _sign, _digits, exponent = number.as_tuple()
    return number.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else number
