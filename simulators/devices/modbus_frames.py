"""Modbus on the wire, from the server's side: TCP, RTU and ASCII framing around the same PDU.

TCP     transaction 2 · protocol 0000 · length 2 · unit · PDU            (Modbus Messaging on TCP/IP 1.0b, 3.1.3)
RTU     unit · PDU · CRC low · CRC high, 3.5 characters of silence       (Modbus over Serial Line 1.02, 2.5.1)
ASCII   : · hex of unit, PDU and LRC · CR LF                             (same, 2.5.2)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

PDU_LIMIT_BYTES = 253
WRITE_CODES = frozenset({5, 6, 15, 16, 21, 22, 23})
_CRC_TABLE: list[int] = []
for _byte in range(256):
    for _ in range(8):
        _byte = _byte >> 1 ^ (0xA001 if _byte & 1 else 0)  # noqa: PLW2901
    _CRC_TABLE.append(_byte)


class Request(NamedTuple):
    """A request as it came: transaction is 0 on a serial line."""

    unit: int
    pdu: bytes
    transaction: int = 0


def crc16(data: bytes) -> bytes:
    """CRC-16 of RTU, low byte first."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "little")


def lrc(data: bytes) -> int:
    """Two's complement of the sum, of ASCII framing."""
    return -sum(data) & 0xFF


class Framing(ABC):
    """Takes requests out of a byte stream and wraps answers; `illegal` collects what is no request."""

    GAP_S: ClassVar[float | None] = None
    """Silence that ends a frame; None where the frame says its own end."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def is_inside_frame(self) -> bool:
        """Whether bytes of an unfinished request wait."""
        return bool(self._buffer)

    def clear(self) -> bytes:
        """Forget an unfinished request; returns its bytes."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    @abstractmethod
    def take(self, data: bytes, illegal: list[bytes]) -> list[Request]:
        """Complete requests in the stream so far."""

    @abstractmethod
    def wrap(self, request: Request, pdu: bytes) -> bytes:
        """An answer to `request`."""

    @abstractmethod
    def spoil(self, frame: bytes) -> bytes:
        """The same frame so that the receiver can tell it is wrong."""

    def flip(self, frame: bytes, bit: int) -> bytes:
        """The frame with one bit flipped."""
        damaged = bytearray(frame)
        damaged[bit // 8 % len(frame)] ^= 1 << bit % 8
        return bytes(damaged)


class Tcp(Framing):
    """MBAP header; there is no checksum, so damage is put where a receiver can see it: in the header."""

    def take(self, data: bytes, illegal: list[bytes]) -> list[Request]:
        """Complete requests in the stream so far."""
        self._buffer += data
        requests = []
        while len(self._buffer) >= 7:
            length = int.from_bytes(self._buffer[4:6], "big")
            if self._buffer[2:4] != b"\0\0" or not 2 <= length <= PDU_LIMIT_BYTES + 1:
                illegal.append(self.clear())
                break
            if len(self._buffer) < 6 + length:
                break
            frame = bytes(self._buffer[: 6 + length])
            del self._buffer[: 6 + length]
            requests.append(Request(frame[6], frame[7:], int.from_bytes(frame[:2], "big")))
        return requests

    def wrap(self, request: Request, pdu: bytes) -> bytes:
        """An answer to `request`."""
        head = request.transaction.to_bytes(2, "big") + b"\0\0" + (len(pdu) + 1).to_bytes(2, "big")
        return head + bytes([request.unit]) + pdu

    def spoil(self, frame: bytes) -> bytes:
        """Another transaction's number."""
        return (int.from_bytes(frame[:2], "big") + 1 & 0xFFFF).to_bytes(2, "big") + frame[2:]

    def flip(self, frame: bytes, bit: int) -> bytes:
        """One bit of the transaction or protocol number flipped."""
        return super().flip(frame[:4], bit) + frame[4:]


class Rtu(Framing):
    """Binary frames with a CRC, ended by silence; here found by their length, which each function code implies."""

    GAP_S: ClassVar[float | None] = 0.1

    def take(self, data: bytes, illegal: list[bytes]) -> list[Request]:
        """Complete requests in the stream so far; what does not verify is dropped whole, as a device does."""
        self._buffer += data
        requests = []
        while (length := self._length()) and len(self._buffer) >= length:
            frame = bytes(self._buffer[:length])
            if crc16(frame[:-2]) != frame[-2:]:
                illegal.append(self.clear())
                break
            del self._buffer[:length]
            requests.append(Request(frame[0], frame[1:-2]))
        if len(self._buffer) > PDU_LIMIT_BYTES + 3:
            illegal.append(self.clear())
        return requests

    def _length(self) -> int | None:
        """Bytes of the request that begins the buffer, CRC included; None when more are needed to know."""
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        code = buffer[1]
        if 1 <= code <= 6:
            return 8
        if code in (15, 16):
            return 9 + buffer[6] if len(buffer) > 6 else None
        if code == 22:
            return 10
        if code == 23:
            return 13 + buffer[10] if len(buffer) > 10 else None
        # A code without a known length ends where its CRC fits.
        whole = bytes(buffer)
        return next(
            (end for end in range(4, len(whole) + 1) if crc16(whole[: end - 2]) == whole[end - 2 : end]), None
        )

    def wrap(self, request: Request, pdu: bytes) -> bytes:
        """An answer to `request`."""
        body = bytes([request.unit]) + pdu
        return body + crc16(body)

    def spoil(self, frame: bytes) -> bytes:
        """A CRC that does not fit."""
        return frame[:-2] + bytes([frame[-2] ^ 0x5A, frame[-1]])


class Ascii(Framing):
    """Hex frames with an LRC."""

    def take(self, data: bytes, illegal: list[bytes]) -> list[Request]:
        """Complete requests in the stream so far."""
        self._buffer += data
        requests = []
        while (end := self._buffer.find(b"\r\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            try:
                body = bytes.fromhex(line[1:].decode("ascii")) if line[:1] == b":" else b""
            except ValueError:
                body = b""
            if len(body) < 3 or lrc(body[:-1]) != body[-1]:
                illegal.append(line)
            else:
                requests.append(Request(body[0], body[1:-1]))
        if len(self._buffer) > 2 * PDU_LIMIT_BYTES + 7:
            illegal.append(self.clear())
        return requests

    def wrap(self, request: Request, pdu: bytes) -> bytes:
        """An answer to `request`."""
        body = bytes([request.unit]) + pdu
        return b":" + (body + bytes([lrc(body)])).hex().upper().encode("ascii") + b"\r\n"

    def spoil(self, frame: bytes) -> bytes:
        """An LRC that does not fit."""
        return frame[:-4] + b"%02X" % (int(frame[-4:-2], 16) + 1 & 0xFF) + frame[-2:]


FRAMINGS: dict[str, type[Framing]] = {"tcp": Tcp, "rtu": Rtu, "ascii": Ascii}
