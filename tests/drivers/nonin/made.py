"""Frames put together from the document's layout, not by the driver."""

from collections.abc import Sequence
from typing import Any

SPOT = bytes.fromhex("00 02 00 0D 00 0E 20 26 11 24 14 30 15 00 02 00 00 48 00 61 7F 03")
"""The document's: 97 %, 72, SmartPoint, 2026-11-24 14:30:15."""


def floats(hr: int = 72, spo2: int = 97, shown: int = 97, stat2: int = 0, srev: int = 3) -> list[int]:
    """FLOAT of the 25 frames; `shown` is the display value."""
    f = [0] * 26
    for at, value in ((1, hr), (14, hr), (20, hr), (22, hr)):
        f[at], f[at + 1] = value >> 7, value & 0x7F
    f[3] = f[10] = f[11] = f[16] = spo2
    f[9] = f[17] = shown
    f[4], f[8] = srev, stat2
    return f[1:]


def packet(is_df2: bool = True, status: int = 0x80, pleth: Sequence[int] = (), **numbers: Any) -> bytes:
    """25 frames."""
    sent = b""
    for n, value in enumerate(floats(**numbers)):
        wave = pleth[n] if pleth else 100 + n
        now = status | (n == 0)
        head = bytes((1, now, wave, value)) if is_df2 else bytes((now, wave >> 8, wave & 0xFF, value))
        sent += head + bytes((sum(head) & 0xFF,))
    return sent


def followed(data: bytes) -> bytes:
    """A packet, or several, with the first frame of the next one, which alone makes the last of them certain."""
    return data + data[:5]


def frames(data: bytes) -> list[bytes]:
    """Five bytes each."""
    return [data[at : at + 5] for at in range(0, len(data), 5)]


def doubled(data: bytes, place: int) -> bytes:
    """The packet with the frame of this number (from 1) sent twice."""
    every = frames(data)
    return b"".join([*every[:place], *every[place - 1 :]])


def without(data: bytes, place: int) -> bytes:
    """The packet without the frame of this number."""
    every = frames(data)
    return b"".join([*every[: place - 1], *every[place:]])


def spot(
    time: str = "20261124143015", status: tuple[int, int] = (2, 0), pr: int = 72, spo2: int = 97, more: bytes = b""
) -> bytes:
    """One measurement of DF13."""
    data = bytes.fromhex(time) + b"\x00" + bytes(status) + bytes((pr >> 8, pr & 0xFF, 0, spo2)) + more
    return b"\x00\x02\x00\x0d" + len(data).to_bytes(2, "big") + data + bytes((sum(data) & 0xFF, 3))
