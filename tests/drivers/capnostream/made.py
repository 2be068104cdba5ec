"""Frames of a Capnostream written from the document's layout, not with the driver's own encoder."""

from collections.abc import Sequence

LIMITS = (60, 15, 30, 5, 8, 100, 85, 140, 50)


def frame(code: int, payload: bytes | Sequence[int] = b"") -> bytes:
    """A whole frame with check and stuffing."""
    body = [len(payload) + 1, code, *payload]
    check = 0
    for byte in body:
        check ^= byte
    wire = b"\x85"
    for byte in (*body, check):
        wire += {0x80: b"\x80\x00", 0x85: b"\x80\x05"}.get(byte, bytes([byte]))
    return wire


def numerics(  # noqa: PLR0913 - one for each byte that the tests change
    *,
    time: int = 1000,
    et: int = 38,
    fi: int = 0,
    rr: int = 14,
    spo2: int = 97,
    pr: int = 72,
    slow: int = 0x80,
    co2: int = 0,
    spo2_alarms: int = 0,
    unit: int = 1,
    limits: Sequence[int] = LIMITS,
    more: bytes = b"",
) -> bytes:
    """A numerics message."""
    values = [et, fi, rr, spo2, pr, slow, 0, 0, 0, co2, spo2_alarms, 0, *limits, unit, 0]
    return frame(1, time.to_bytes(4, "big") + bytes(values) + more)


IDENTITY = frame(4, b"V45.67 02/24/2008 B355987654  ")


def wave(status: int = 0) -> bytes:
    """A CO2 wave message."""
    return frame(0, [1, 37, 128, status])
