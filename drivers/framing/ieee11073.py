"""FLOAT-Type and SFLOAT-Type of IEEE 11073-20601: exponent and mantissa, both two's complement, value = m * 10^e.

    FLOAT   │ exponent 8 │ mantissa 24 │        SFLOAT   │ exponent 4 │ mantissa 12 │

The digits are meant: 2.0 (F014H) is not 2 (0002H), so a Decimal keeps them. Special words are compared whole, before
anything is taken apart. A caller joins the bytes: big endian at a bedside monitor, little endian on the air.
Numbers and specials after HL7, Personal Health Device implementation guide, page FLOATS.
"""

from decimal import Decimal
from enum import StrEnum


class Special(StrEnum):
    """A word that is no number; its value is the reason of the absence."""

    NOT_A_NUMBER = "not_a_number"
    NOT_AT_THIS_RESOLUTION = "not_at_this_resolution"
    POSITIVE_INFINITY = "positive_infinity"
    NEGATIVE_INFINITY = "negative_infinity"
    RESERVED = "reserved"


_SFLOAT = {
    0x07FF: Special.NOT_A_NUMBER,
    0x0800: Special.NOT_AT_THIS_RESOLUTION,
    0x07FE: Special.POSITIVE_INFINITY,
    0x0802: Special.NEGATIVE_INFINITY,
    0x0801: Special.RESERVED,
}
_FLOAT = {
    0x007FFFFF: Special.NOT_A_NUMBER,
    0x00800000: Special.NOT_AT_THIS_RESOLUTION,
    0x007FFFFE: Special.POSITIVE_INFINITY,
    0x00800002: Special.NEGATIVE_INFINITY,
    0x00800001: Special.RESERVED,
}


def sfloat(word: int) -> Decimal | Special:
    """The value of a 16-bit SFLOAT, with its digits."""
    return _SFLOAT.get(word) or _number(_signed(word >> 12, 4), _signed(word & 0xFFF, 12))


def float32(word: int) -> Decimal | Special:
    """The value of a 32-bit FLOAT, with its digits."""
    return _FLOAT.get(word) or _number(_signed(word >> 24, 8), _signed(word & 0xFFFFFF, 24))


def _signed(bits: int, width: int) -> int:
    return bits - (1 << width) if bits >> (width - 1) else bits


def _number(exponent: int, mantissa: int) -> Decimal:
    return Decimal(mantissa).scaleb(exponent)
