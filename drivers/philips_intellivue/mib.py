"""The RS-232 framing of the monitor's MIB port: flags, stuffing and frame check around one PDU.

    ┌────┬───────┬────────┬─────────┬─────────────┬────┐
    │ C0 │ 11 01 │ length │ payload │ frame check │ C1 │
    │    │       │ 2, BE  │ length  │ 2, LE       │    │
    └────┴───────┴────────┴─────────┴─────────────┴────┘

C0, C1 and 7D are sent as 7D and the byte with bit 5 turned over: in the header, the payload and the frame check
alike. 7D C1 tells the receiver to forget the frame. The frame check is CRC-16/X-25 over header and payload as they
are before stuffing. VSCaptureMP (xeonfusion), Class3.cs; mdpnp, RS232Adapter and FCS; brarm/intellivue, RS232.py.
Nothing here knows what a payload holds: on a network the same PDUs come without it.
"""

import re
import struct
from binascii import crc_hqx

from msgspec import Struct

from drivers.contract import NOISE, Fault

BEGIN, END, ESCAPE = b"\xc0", b"\xc1", b"\x7d"
_TURN = 0x20
_HEAD = struct.Struct(">HH")
_CHECK = struct.Struct("<H")
PROTOCOL = 0x1101
MAX_PAYLOAD = 4096
"""More than the largest unit that public programs negotiate; a longer length is a damaged one."""
MAX_FRAME_BYTES = 2 + 2 * (_HEAD.size + MAX_PAYLOAD + _CHECK.size)
"""Every byte stuffed."""
_FLAG = re.compile(b"[\xc0\xc1]")
_BEGINS = re.compile(b"\xc0+")
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def frame_check(data: bytes) -> int:
    """CRC-16/X-25: the reflected form of the CRC that the standard library has."""
    crc = crc_hqx(data.translate(_MIRRORED), 0xFFFF)
    return (_MIRRORED[crc & 0xFF] << 8 | _MIRRORED[crc >> 8]) ^ 0xFFFF


def _stuffed(data: bytes) -> bytes:
    for byte in (ESCAPE, BEGIN, END):  # the escape itself first
        data = data.replace(byte, ESCAPE + bytes([byte[0] ^ _TURN]))
    return data


def _unstuffed(body: bytes) -> bytes | None:
    head, *parts = body.split(ESCAPE)
    if not all(parts):
        return None
    return head + b"".join(bytes([part[0] ^ _TURN]) + part[1:] for part in parts)


class Frame(Struct, frozen=True):
    """One frame."""

    payload: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> "Frame | Fault":
        """A whole frame, from flag to flag, whose length and frame check agree."""
        if len(data) < len(BEGIN + END) or data[:1] != BEGIN or data[-1:] != END:
            return Fault("framing", rejected=True)
        if data[-2:-1] == ESCAPE:
            return Fault("aborted", rejected=True)
        plain = _unstuffed(data[1:-1])
        if plain is None or len(plain) < _HEAD.size + _CHECK.size:
            return Fault("framing", rejected=True)
        protocol, length = _HEAD.unpack_from(plain)
        if protocol != PROTOCOL:
            return Fault("framing", rejected=True)
        if len(plain) != _HEAD.size + length + _CHECK.size:
            return Fault("length", rejected=True)
        if _CHECK.unpack(plain[-_CHECK.size :])[0] != frame_check(plain[: -_CHECK.size]):
            return Fault("checksum", rejected=True)
        return cls(plain[_HEAD.size : -_CHECK.size])

    def to_bytes(self) -> bytes:
        """The frame as it is sent."""
        plain = _HEAD.pack(PROTOCOL, len(self.payload)) + self.payload
        return BEGIN + _stuffed(plain + _CHECK.pack(frame_check(plain))) + END


class Framer:
    """Takes the stream apart. Its buffer holds one frame at most; a flag that opens a frame always opens one."""

    def __init__(self) -> None:
        self._held = b""
        self._scanned = 0
        self._in_noise = False

    @property
    def is_inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._held)

    def drop(self) -> list[Fault]:
        """Forget what was half received."""
        faults = [Fault("truncated", rejected=True)] if self._held else []
        self._held, self._scanned, self._in_noise = b"", 0, False
        return faults

    def feed(self, data: bytes) -> list[Frame | Fault]:
        """What the bytes hold, in order."""
        held = self._held + data
        items: list[Frame | Fault] = []
        at, scan = 0, self._scanned
        while at < len(held):
            if held[at] != BEGIN[0]:
                at = self._skip(held, at, items)
                continue
            flag = _FLAG.search(held, max(scan, at + 1))
            end = flag.start() if flag else len(held)
            if end - at >= MAX_FRAME_BYTES:
                self._refuse(Fault("length", "too long", rejected=True), items)
                at = end
            elif flag is None:
                break
            else:
                at = self._close(held, at, end, items)
        self._held = held[at:]
        self._scanned = len(self._held)
        return items

    def _skip(self, held: bytes, at: int, items: list[Frame | Fault]) -> int:
        """Noise, said once for each stretch."""
        if not self._in_noise:
            self._in_noise = True
            items.append(Fault(NOISE))
        begin = held.find(BEGIN, at)
        return begin if begin >= 0 else len(held)

    def _close(self, held: bytes, at: int, end: int, items: list[Frame | Fault]) -> int:
        """What the flag at `end` ends: a frame, or one that was never finished. Returns where to go on."""
        if held[end : end + 1] == END:
            item = Frame.from_bytes(held[at : end + 1])
            if isinstance(item, Fault):
                self._refuse(item, items)
            else:
                self._in_noise = False
                items.append(item)
            return end + 1
        if end > at + 1:
            self._refuse(Fault("truncated", rejected=True), items)
        run = _BEGINS.match(held, end)
        return run.end() - 1 if run else end

    def _refuse(self, fault: Fault, items: list[Frame | Fault]) -> None:
        items.append(fault)
        self._in_noise = True
