"""Records of a DRI monitor, the frames that carry them, and the framer that finds them. Numbers are little endian.

    ┌────┬─────────────────────────────┬──────────┬────┐
    │ 7E │ record: header 40, data     │ checksum │ 7E │   checksum: sum of the record's bytes, modulo 256
    └────┴─────────────────────────────┴──────────┴────┘
    header │ length 2 │ number 1 │ level 1 │ plug 2 │ time 4 │ subnet 1 │ reserved 3 │ main type 2 │ 8 × 3 │
           each of the eight: offset 2 (from the end of the header), type 1; type FF ends the list

Inside, 7E is sent as 7D 5E and 7D as 7D 5D, the checksum too. Each frame has flags of its own; empty frames are
nothing. Datex-Ohmeda Record Interface specification (8005313), sections on the frame and the record header.
"""

import re
import struct

from msgspec import Struct

from drivers.contract import NOISE, Fault
from drivers.framing.checksum import sum8

FLAG = 0x7E
HEADER_BYTES = 40
MAX_RECORD_BYTES = 4096
"""A public program reserves 1490 bytes for the longest record; a longer one than this is damage."""
MAX_STUFFED = 2 * (MAX_RECORD_BYTES + 1)
MAX_FRAME_BYTES = MAX_STUFFED + 2
END_OF_LIST = 0xFF
_HEADER = struct.Struct("<hBBHIBBHh")
_SUBRECORD = struct.Struct("<hB")
_SUBRECORDS = 8
_BAD_PAIR = re.compile(rb"\x7d(?![\x5d\x5e])")


class Part(Struct, frozen=True):
    """One subrecord: its type, and its bytes up to the next one or the end."""

    kind: int
    data: bytes


class Record(Struct, frozen=True):
    """One record: what it is, and its subrecords."""

    main: int
    parts: tuple[Part, ...]
    level: int = 0
    plug: int = 0
    time: int = 0

    @classmethod
    def from_bytes(cls, data: bytes) -> "Record | Fault":
        """The record of these bytes; its length must close, and each subrecord must lie inside."""
        if len(data) < HEADER_BYTES:
            return Fault("length", rejected=True)
        length, _number, level, plug, time, _subnet, _res, _res2, main = _HEADER.unpack_from(data)
        if length != len(data):
            return Fault("length", rejected=True)
        parts = _parts(data[:HEADER_BYTES], data[HEADER_BYTES:])
        if parts is None:
            return Fault("subrecord", str(main), rejected=True)
        return cls(main, parts, level, plug, time)

    def to_bytes(self) -> bytes:
        """The record as it is sent, its subrecords one behind the other."""
        body = b"".join(part.data for part in self.parts)
        length = HEADER_BYTES + len(body)
        head = _HEADER.pack(length, 0, self.level, self.plug, self.time, 0, 0, 0, self.main)
        at = 0
        for part in self.parts:
            head += _SUBRECORD.pack(at, part.kind)
            at += len(part.data)
        if len(self.parts) < _SUBRECORDS:
            head += _SUBRECORD.pack(0, END_OF_LIST)
        return head.ljust(HEADER_BYTES, b"\0") + body


def _parts(header: bytes, body: bytes) -> tuple[Part, ...] | None:
    found: list[tuple[int, int]] = []
    for number in range(_SUBRECORDS):
        offset, kind = _SUBRECORD.unpack_from(header, _HEADER.size + number * _SUBRECORD.size)
        if kind == END_OF_LIST:
            break
        if not (found[-1][0] if found else -1) < offset < len(body):
            return None
        found.append((offset, kind))
    ends = [offset for offset, _kind in found[1:]] + [len(body)]
    # Without a subrecord there is one end too many.
    return tuple(Part(kind, body[offset:end]) for (offset, kind), end in zip(found, ends, strict=False))


def framed(record: bytes) -> bytes:
    """A record with checksum, stuffing and flags."""
    body = record + bytes((sum8(record),))
    return b"\x7e" + body.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e") + b"\x7e"


def unframed(stuffed: bytes) -> "Record | Fault":
    """The record between two flags."""
    if _BAD_PAIR.search(stuffed):
        return Fault("framing", rejected=True)
    body = stuffed.replace(b"\x7d\x5e", b"\x7e").replace(b"\x7d\x5d", b"\x7d")
    if len(body) <= HEADER_BYTES or len(body) > MAX_RECORD_BYTES + 1:
        return Fault("length", rejected=True)
    if sum8(body[:-1]) != body[-1]:
        return Fault("checksum", rejected=True)
    return Record.from_bytes(body[:-1])


class Framer:
    """Takes the stream apart at 7E. Its buffer holds one frame at most.

    What stands between two flags is tried, whichever of the two ended a frame before: a lost flag costs one frame.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_open = self._in_noise = False

    @property
    def is_inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._buffer)

    def drop(self) -> list[Fault]:
        """Forget what was half received."""
        faults = [Fault("truncated", rejected=True)] if self._buffer else []
        self._buffer.clear()
        self._is_open = self._in_noise = False
        return faults

    def feed(self, data: bytes) -> list[Record | Fault]:
        """What the bytes hold, in order."""
        items: list[Record | Fault] = []
        at = 0
        while (flag := data.find(FLAG, at)) >= 0:
            self._keep(data[at:flag], items)
            self._close(items)
            at = flag + 1
        self._keep(data[at:], items)
        return items

    def _keep(self, piece: bytes, items: list[Record | Fault]) -> None:
        """More bytes of what is between two flags; outside a frame, or beyond the longest one, they are noise."""
        if not piece:
            return
        if not self._is_open:
            self._noise(items)
            return
        self._buffer += piece
        if len(self._buffer) > MAX_STUFFED:
            items.append(Fault("too_long", rejected=True))
            self._buffer.clear()
            self._is_open, self._in_noise = False, True

    def _close(self, items: list[Record | Fault]) -> None:
        """A flag: the frame before it ends, another one may begin."""
        if self._buffer:
            item = unframed(bytes(self._buffer))
            items.append(item)
            self._in_noise = isinstance(item, Fault)
            self._buffer.clear()
        self._is_open = True

    def _noise(self, items: list[Record | Fault]) -> None:
        """Bytes of no frame, said once for each stretch."""
        if not self._in_noise:
            self._in_noise = True
            items.append(Fault(NOISE))
