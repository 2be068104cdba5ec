"""Frames of both formats. Neither has a checksum: bit 7 alone says where a frame begins.

    five bytes  ┌─────────────────────────────────┬─────────┬───────────────────────────────┬────────┬──────┐
                │ 1 beep drop finger-out strength │ 0 pleth │ 0 PR7 searching probe-err bar │ 0 PR6… │ SpO2 │
                └─────────────────────────────────┴─────────┴───────────────────────────────┴────────┴──────┘
    V7.0        ┌────────┬─────────────────────┬──────────────────────┐
                │ 0 type │ 1 bits 7 of what    │ 1 seven bits, seven  │   type 01: real-time data, nine bytes
                │        │ follows: n → n + 2  │ bytes                │
                └────────┴─────────────────────┴──────────────────────┘

Contec, CMS-P communication protocol V5.0; Contec, communication protocol of pulse oximeter V7.0, sections 3.1 to 3.3.
A frame is read when `LOCK` others stand directly before it; a number when three frames in a row have it (driver.py).
"""

import re

from msgspec import Struct

from drivers.contract import NOISE, Fault

RATE_PER_S = 60
LOCK = 2
BEEP, DROPPING, FINGER_OUT = 0x40, 0x20, 0x10
"""Of the first byte."""
SEARCHING, PROBE_ERROR = 0x20, 0x10
"""Of the third."""
_V5 = re.compile(rb"[\x80-\xff][\x00-\x7f]{4}")
_V5_TAIL = re.compile(rb"[\x80-\xff][\x00-\x7f]{0,3}\Z")
_V7 = re.compile(rb"\x01[\x80-\xff]{8}")
_V7_TAIL = re.compile(rb"\x01[\x80-\xff]{0,7}\Z")
_SEVEN = 7


class Frame5(Struct, frozen=True):
    """One sixtieth of a second."""

    data: bytes
    lost: int = 0
    """How many frames would fill the bytes between the frame before and this one."""

    @classmethod
    def from_bytes(cls, data: bytes, lost: int = 0) -> "Frame5 | Fault":
        """Five bytes; only the first has bit 7."""
        return cls(data, lost) if _V5.fullmatch(data) else Fault("framing", rejected=True)

    def to_bytes(self) -> bytes:
        """The frame as it is sent."""
        return self.data

    @property
    def pleth(self) -> int:
        """A sample of the curve, seven bits."""
        return self.data[1]

    @property
    def strength(self) -> int:
        """Signal strength, four bits."""
        return self.data[0] & 0x0F

    @property
    def pulse(self) -> int:
        """Pulse rate: bit 7 stands in the third byte."""
        return (self.data[2] & 0x40) << 1 | self.data[3]

    @property
    def spo2(self) -> int:
        """Saturation."""
        return self.data[4]

    @property
    def state(self) -> tuple[int, int]:
        """The conditions of first and third byte, without the beep."""
        return self.data[0] & (DROPPING | FINGER_OUT), self.data[2] & (SEARCHING | PROBE_ERROR)


class Packet7(Struct, frozen=True):
    """One real-time packet of V7.0, its seven bytes put together; what they mean is not documented here."""

    payload: bytes

    @classmethod
    def from_bytes(cls, data: bytes, _lost: int = 0) -> "Packet7 | Fault":
        """Nine bytes: 01, the carrier of the bits 7, and seven bytes."""
        if not _V7.fullmatch(data):
            return Fault("framing", rejected=True)
        carrier = data[1]
        return cls(bytes(byte & 0x7F | (carrier >> n & 1) << 7 for n, byte in enumerate(data[2:])))

    def to_bytes(self) -> bytes:
        """The packet as it is sent."""
        carrier = sum((byte >> 7) << n for n, byte in enumerate(self.payload))
        return bytes((0x01, carrier | 0x80, *(byte | 0x80 for byte in self.payload)))


Item = Frame5 | Packet7 | Fault


class Frames:
    """Takes the stream apart. What stands between two frames is one refusal, or noise where there was no lock."""

    def __init__(self, is_v7: bool) -> None:
        self._whole, self._tail = (_V7, _V7_TAIL) if is_v7 else (_V5, _V5_TAIL)
        self._parse = Packet7.from_bytes if is_v7 else Frame5.from_bytes
        self._size = _SEVEN + 2 if is_v7 else 5
        self.drop()

    def drop(self) -> None:
        """Forget what was half received."""
        self._rest = b""
        self._before = self._skipped = 0

    def feed(self, data: bytes) -> list[Item]:
        """What the bytes hold, in order."""
        data = self._rest + data
        items: list[Item] = []
        end = 0
        for found in self._whole.finditer(data):
            self._skip(found.start() - end, items)
            end = found.end()
            if self._before >= LOCK:
                items.append(self._parse(found[0], -(-self._skipped // self._size)))
                self._skipped = 0
            else:
                self._skipped += self._size
            self._before += 1
        tail = self._tail.search(data, end)
        self._rest = tail[0] if tail else b""
        self._skip(len(data) - len(self._rest) - end, items)
        return items

    def _skip(self, size: int, items: list[Item]) -> None:
        if size <= 0:
            return
        if self._before >= LOCK:
            items.append(Fault("framing", rejected=True))
        elif not items or not isinstance(items[-1], Fault):
            items.append(Fault(NOISE))
        self._before = 0
        self._skipped += size
