"""Datagrams of a Dash written from the layout, not with the driver's own structs."""

import struct
from collections.abc import Sequence

ADDRESS = bytes((126, 1, 2, 3))
SENTINEL = -32768
LABEL = b"REA|LIT-4"
Three = tuple[int, int, int]
NOTHING: Three = (SENTINEL, SENTINEL, SENTINEL)


def header(
    sub: int,
    size: int,
    *,
    function: int = 201,
    sequence: int = 0,
    to: bytes = ADDRESS,
    source: bytes = ADDRESS,
    label: bytes = b"",
) -> bytes:
    """60 octets."""
    head = to + b"\0\0" + source + b"\0\0" + struct.pack(">HHHHHH", function, sub, 1, sequence, 0, 0)
    return head + label.ljust(32, b"\0") + struct.pack(">HH", 0, size)


def entry(code: int, values: Three, limits: Sequence[int] = (0,) * 6, *, status: int = 0xC000) -> bytes:
    """70 octets: what the public builder puts into each place, the counter and the last zero too."""
    made = struct.pack(">BBHhhh", 1, code, status, *values)
    made += bytes((0x0C, code)) + b"\x80" * 12
    made += bytes((3, code, 0x10, 0x80, 0, 1)) + struct.pack(">hhhhhh", *limits) + b"\0\0"
    made += bytes((0x15, code, 0, 0, 0x40, 0x21, 0x40, 0, 0, 0))
    made += bytes((2, code, 0x20, 0x85, 0, 0, 0, 9, 0, 0))
    return made + bytes((1, code, 0, 0, 0x51, 0))


def parameters(
    entries: Sequence[bytes],
    sequence: int = 0x51,
    *,
    state: int = 0,
    level: int = 0,
    admission: int = 1,
    address: bytes = ADDRESS,
    label: bytes = b"",
) -> bytes:
    """A whole datagram of parameters."""
    body = bytes((state, level, level, admission, len(entries), 0)) + b"".join(entries)
    inner = header(20, len(body), sequence=sequence, to=address, source=address, label=label) + body
    return header(20, len(inner), to=address, source=address, label=label) + inner


def alarm(
    code: int,
    text: bytes = b"SPO2 BAS",
    counter: int = 1,
    *,
    address: bytes = ADDRESS,
    label: bytes = LABEL,
) -> bytes:
    """A whole alarm broadcast, 84 octets."""
    tail = bytes((0, 6, 6, code, 0, 0)) + text[:14].ljust(14, b"\0") + struct.pack(">I", counter)
    return header(4, len(tail), to=address[:1] + b"\xff\xff\xff", source=address, label=label) + tail


def announcement(
    label: bytes = LABEL, name: bytes = b"DOE,JANE", address: bytes = ADDRESS, counter: int = 0x5A40CDC0
) -> bytes:
    """A whole announcement, 88 octets."""
    services = bytes.fromhex("000307d0 00110020 000907d0 00130bb8 001c0bb9 000d07d0 000c07d0")
    made = bytes((1, 4, 0, 0)) + address + struct.pack(">I", counter) + label.ljust(16, b"\0")
    return (made + name[:15].ljust(15, b"\0") + b"\x07" + services).ljust(88, b"\0")


HEART = entry(0x3A, (61, 3, 0), (50, 100, 0, 6, 0, 0), status=0xC008)
BREATH = entry(0x22, (11, SENTINEL, SENTINEL), (5, 30, 0, 0, 0, 0))
OXYGEN = entry(0x2D, (99, 60, SENTINEL), (90, 105, 50, 100, 0, 0), status=0xC0A0)
CUFF = entry(0x18, (93, 120, 80), (70, 110, 90, 160, 50, 90))
LEADS = [entry(code, NOTHING, (-20, 20) * 3) for code in (0x56, 0x57, 0x58)]
USUAL = [HEART, BREATH, OXYGEN, CUFF, *LEADS]
"""Seven entries: 616 octets."""
