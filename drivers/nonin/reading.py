"""One reading, whatever format it came in: numbers as sent, flags that are set, bits nobody has named."""

from msgspec import Struct

OUT_OF_TRACK, ARTEFACT, SENSOR_ALARM, LOW_BATTERY, SMARTPOINT = "OOT", "ARTF", "SNSA", "LOWBAT", "SPA"
LOW_PERFUSION, MARGINAL_PERFUSION = "LPRF", "MPRF"
EVENT, FAST, NO_MEASUREMENT, MEMORY = "*", "F", "NOMEAS", "MEMORY"


class Reading(Struct, frozen=True, kw_only=True):
    """What is observed together."""

    values: tuple[tuple[str, str], ...]
    """Code, and the digits: as printed in text, as a decimal number in binary formats."""
    flags: frozenset[str] = frozenset()
    others: tuple[tuple[str, str], ...] = ()
    """Raw words: bits or letters without a name."""
    words: tuple[tuple[str, str], ...] = ()
    """Enumerations by code, in the device's word."""
    time: str = ""
    """The device's own time as sent."""


def rate(msb: int, lsb: int) -> int:
    """A rate of nine bits: two in the first byte, seven in the second. (MSB << 8 | LSB is wrong from 128 on.)"""
    return (msb & 0x03) << 7 | lsb & 0x7F
