"""Packets of a BIS monitor, and the framer that finds them in the stream. Numbers are little endian.

    ┌───────┬──────────┬────────┬───────────┬─────────┬─────┐
    │ BA AB │ sequence │ length │ directive │ payload │ sum │   sum: of all bytes after BA AB, modulo 65536
    │       │ 2        │ 2      │ 2         │ length  │ 2   │   directive: 1 data, 2 acknowledged, 3 refused
    └───────┴──────────┴────────┴───────────┴─────────┴─────┘
    payload of data: │ routing 4 │ message 4 │ sequence 2 │ length 2 │ data │

VSCaptureBISV (xeonfusion), Class1.cs, section ReadDataPacket, and Class2.cs.
"""

import struct

from msgspec import Struct

from drivers.contract import NOISE, Fault

START = b"\xba\xab"
DATA, ACK, NAK = 1, 2, 3
MAX_PAYLOAD = 512
"""Processed data with both spectra have 376 bytes; a longer length is a damaged one."""
_HEAD = struct.Struct("<2sHHH")
_MESSAGE = struct.Struct("<IIHH")
_SUM = struct.Struct("<H")
MAX_FRAME_BYTES = _HEAD.size + MAX_PAYLOAD + _SUM.size


class Message(Struct, frozen=True):
    """What a data packet carries."""

    routing: int
    number: int
    data: bytes

    @classmethod
    def from_bytes(cls, payload: bytes) -> "Message | Fault":
        """The message of a payload; its length must close."""
        if len(payload) < _MESSAGE.size:
            return Fault("length", rejected=True)
        routing, number, _sequence, length = _MESSAGE.unpack_from(payload)
        data = payload[_MESSAGE.size :]
        return cls(routing, number, data) if len(data) == length else Fault("length", f"{number:02X}", rejected=True)

    def to_bytes(self) -> bytes:
        """The payload as it is sent, with the sequence number 0."""
        return _MESSAGE.pack(self.routing, self.number, 0, len(self.data)) + self.data


class Packet(Struct, frozen=True):
    """One packet."""

    directive: int
    payload: bytes = b""
    sequence: int = 0

    @classmethod
    def from_bytes(cls, data: bytes) -> "Packet | Fault":
        """A whole packet whose sum agrees."""
        if len(data) < _HEAD.size + _SUM.size or not data.startswith(START):
            return Fault("framing", rejected=True)
        _start, sequence, length, directive = _HEAD.unpack_from(data)
        if len(data) != _HEAD.size + length + _SUM.size:
            return Fault("length", rejected=True)
        if _SUM.unpack(data[-_SUM.size :])[0] != sum(data[len(START) : -_SUM.size]) & 0xFFFF:
            return Fault("checksum", rejected=True)
        return cls(directive, data[_HEAD.size : -_SUM.size], sequence)

    def to_bytes(self) -> bytes:
        """The packet as it is sent."""
        packet = _HEAD.pack(START, self.sequence, len(self.payload), self.directive) + self.payload
        return packet + _SUM.pack(sum(packet[len(START) :]) & 0xFFFF)


class Framer:
    """Takes the stream apart. Its buffer holds one packet at most.

    A packet that does not fit is gone back to, for the next one may begin inside of what it claimed.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._in_noise = False

    @property
    def is_inside(self) -> bool:
        """Whether a packet has begun and not ended."""
        return bool(self._buffer)

    def drop(self) -> list[Fault]:
        """Forget what was half received."""
        faults = [Fault("truncated", rejected=True)] if len(self._buffer) >= len(START) else []
        self._buffer.clear()
        self._in_noise = False
        return faults

    def feed(self, data: bytes) -> list[Packet | Fault]:
        """What the bytes hold, in order."""
        self._buffer += data
        items: list[Packet | Fault] = []
        at = 0
        while True:
            at = self._hunt(at, items)
            after = self._read(at, items)
            if after == at:
                break
            at = after
        del self._buffer[:at]
        return items

    def _hunt(self, at: int, items: list[Packet | Fault]) -> int:
        """Where the next packet begins, or could; what stands before it is noise, said once for each stretch."""
        begin = self._buffer.find(START, at)
        if begin < 0:
            begin = len(self._buffer) - self._buffer.endswith(START[:1])
            begin = max(begin, at)
        if begin > at and not self._in_noise:
            self._in_noise = True
            items.append(Fault(NOISE))
        return begin

    def _read(self, at: int, items: list[Packet | Fault]) -> int:
        """Where the packet at `at` ends; `at` itself: more bytes are needed."""
        if len(self._buffer) < at + _HEAD.size:
            return at
        _start, _sequence, length, directive = _HEAD.unpack_from(self._buffer, at)
        if length > MAX_PAYLOAD or directive not in (DATA, ACK, NAK):
            return self._refuse(Fault("framing", rejected=True), at, items)
        end: int = at + _HEAD.size + length + _SUM.size
        if len(self._buffer) < end:
            return at
        item = Packet.from_bytes(bytes(self._buffer[at:end]))
        if isinstance(item, Fault):
            return self._refuse(item, at, items)
        items.append(item)
        self._in_noise = False
        return end

    def _refuse(self, fault: Fault, at: int, items: list[Packet | Fault]) -> int:
        items.append(fault)
        self._in_noise = True
        return at + len(START)
