"""Records of a DRI monitor written from the document's layout, not with the driver's own encoder."""

import struct
from collections.abc import Mapping, Sequence

INVALID = -32767
TIME = 1_795_622_400
AT = {
    "ECG": 0,
    "IBP1": 16,
    "IBP2": 30,
    "IBP3": 44,
    "IBP4": 58,
    "NIBP": 72,
    "T1": 86,
    "T2": 94,
    "T3": 102,
    "T4": 110,
    "SPO2": 118,
    "CO2": 132,
    "O2": 146,
    "N2O": 156,
    "AA": 166,
    "FLOW": 178,
    "IBP5": 240,
    "IBP6": 254,
}
Group = tuple[int, int, Sequence[int]]
"""Status, label, numbers."""
USUAL: dict[str, Group] = {
    "ECG": (0x0B, 0, (72, 10, -5, INVALID, 14)),
    "SPO2": (3, 0, (9750, 71, 230, INVALID)),
}


def frame(record: bytes) -> bytes:
    """Checksum, stuffing, flags."""
    wire = b""
    for byte in record + bytes((sum(record) & 0xFF,)):
        wire += {0x7E: b"\x7d\x5e", 0x7D: b"\x7d\x5d"}.get(byte, bytes((byte,)))
    return b"\x7e" + wire + b"\x7e"


def raw_record(main: int, parts: Sequence[tuple[int, bytes]], *, level: int = 8, time: int = TIME) -> bytes:
    """A record without its frame."""
    body = b"".join(data for _kind, data in parts)
    head = struct.pack("<HBBHIBBHH", 40 + len(body), 1, level, 4321, time, 0, 0, 0, main)
    at = 0
    for kind, data in parts:
        head += struct.pack("<HB", at, kind)
        at += len(data)
    if len(parts) < 8:
        head += b"\x00\x00\xff"
    return head.ljust(40, b"\0") + body


def record(main: int, parts: Sequence[tuple[int, bytes]], *, level: int = 8, time: int = TIME) -> bytes:
    """A whole frame."""
    return frame(raw_record(main, parts, level=level, time=time))


def subrecord(groups: Mapping[str, Group] = USUAL, *, time: int = TIME, klass: int = 0) -> bytes:
    """One subrecord of physiological data, 278 bytes."""
    body = bytearray(270)
    for name, (status, label, numbers) in groups.items():
        struct.pack_into(f"<IH{len(numbers)}h", body, AT[name], status, label, *numbers)
    return struct.pack("<I", time) + bytes(body) + struct.pack("<BBH", 0, 0, klass << 8 | 0x21)


def displayed(groups: Mapping[str, Group] = USUAL, *, time: int = TIME, level: int = 8, kind: int = 1) -> bytes:
    """A whole frame of displayed values, or of a trend."""
    return record(0, [(kind, subrecord(groups, time=time))], level=level, time=time)


def wave(kind: int, samples: Sequence[int], status: int = 0) -> tuple[int, bytes]:
    """One waveform subrecord."""
    return kind, struct.pack(f"<hHH{len(samples)}h", len(samples), status, 0, *samples)


def screen(*lines: tuple[str, int], sound: int = 1, silence: int = 0, level: int = 10, time: int = TIME) -> bytes:
    """A whole frame of the alarms that are shown."""
    data = struct.pack("<hhhhh", 0, sound, 0, 0, silence)
    for text, colour in (*lines, *[("", 0)] * (5 - len(lines))):
        data += struct.pack("<80shhh12x", text.encode("latin-1"), 0, colour, 0)
    return record(4, [(1, data)], level=level, time=time)
