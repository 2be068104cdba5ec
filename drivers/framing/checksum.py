"""Checksums that several protocols share."""

from functools import reduce
from operator import xor
from zlib import adler32

_SPAN = 256
"""Adler-32's lower half is 1 + the sum of the bytes while that stays below 65,521: true of any 256 bytes."""


def sum8(data: bytes) -> int:
    """The sum of all bytes modulo 256."""
    if len(data) <= _SPAN:
        return (adler32(data) - 1) & 0xFF
    return sum((adler32(data[at : at + _SPAN]) & 0xFFFF) - 1 for at in range(0, len(data), _SPAN)) & 0xFF


def xor8(data: bytes | bytearray) -> int:
    """The exclusive or of all bytes."""
    return reduce(xor, data, 0)


def holds(check: str, frame: bytes) -> bool:
    """Whether the two upper-case hexadecimal digits before a frame's last byte are the check of all before them."""
    sums = {"sum8": sum8, "xor8": xor8}
    return frame[-3:-1] == b"%02X" % sums[check](frame[:-3])
