r"""MEDIBUS on the wire, from the device's side: frames, embedding, real-time bytes (protocol definition 4.03).

    command   1B  code  [argument, printable]  ck_hi ck_lo  0D
    response  01  echo  [data]                 ck_hi ck_lo  0D

The checksum is the low byte of the sum of every byte from ESC or SOH up to the checksum, as two upper-case hex
digits. A command may stand inside a response at any byte position, real-time bytes (bit 7 set) anywhere; neither
counts for the checksum around it. DC1 suspends and DC3 resumes: the reverse of XON/XOFF. CAN aborts.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

ESC = 0x1B
SOH = 0x01
CR = 0x0D
SUSPEND = 0x11  # DC1
RESUME = 0x13  # DC3
ABORT = 0x18  # CAN
NAK = 0x15
COMMAND_ARGUMENT_LIMIT = 251
RESPONSE_LIMIT_BYTES = 3845
NESTING_LIMIT = 4
BAD_CHECKSUM_REPLY = bytes.fromhex("01 15 31 36 0D")

SYNC = 0xD0
END_OF_SEQUENCE = (0xC0, 0xC0)
ENABLE_1_TO_4 = 0xC1
CYCLE = 0xC6


def checksum(data: bytes) -> bytes:
    """Two upper-case hex digits: the sum of `data`, low byte."""
    return b"%02X" % (sum(data) & 0xFF)


def command(code: int, argument: bytes = b"") -> bytes:
    """A command frame."""
    body = bytes([ESC, code]) + argument
    return body + checksum(body) + b"\r"


def response(echo: int, data: bytes = b"") -> bytes:
    """A response frame."""
    body = bytes([SOH, echo]) + data
    return body + checksum(body) + b"\r"


def embed(outer: bytes, inner: bytes, position: int) -> bytes:
    """`inner` put into `outer` before its byte number `position` (1 … length - 1)."""
    if not 0 < position < len(outer):
        raise ValueError("an embedded command stands inside the outer frame")
    return outer[:position] + inner + outer[position:]


def sample(values: tuple[int | None, ...], mark: int | None = None) -> bytes:
    """A sync byte, a breath mark (0 inspiration, 1 expiration) and the 12-bit values of up to four streams."""
    mask = sum(1 << index for index, value in enumerate(values) if value is not None)
    out = bytearray([SYNC | mask])
    if mark is not None:
        out += bytes([CYCLE, 0xC0 | mark])
    for value in values:
        if value is not None:
            out += bytes([0x80 | value & 0x3F, 0x80 | value >> 6 & 0x3F])
    return bytes(out)


class Heard(NamedTuple):
    """One thing that came from the box."""

    kind: Literal["command", "response", "bad_checksum", "enable", "suspend", "resume", "abort", "illegal"]
    code: int = 0
    data: bytes = b""
    """Argument, data, or the raw bytes of what is illegal."""


class Ear:
    """Takes the box's byte stream apart: fast bytes, flow control, and a stack of slow frames."""

    def __init__(self) -> None:
        self._frames: list[bytearray] = []
        self._fast = bytearray()
        self._is_lost = False

    def lose_place(self) -> None:
        """The device missed bytes: what comes before the next frame is nobody's fault."""
        self._frames.clear()
        self._fast.clear()
        self._is_lost = True

    def hear(self, data: bytes) -> list[Heard]:
        """Every complete thing in `data`, in order."""
        heard: list[Heard] = []
        for byte in data:
            if byte & 0x80:
                self._hear_fast(byte, heard)
            elif byte == SUSPEND:
                heard.append(Heard("suspend"))
            elif byte == RESUME:
                heard.append(Heard("resume"))
            elif byte == ABORT:
                self._frames.clear()
                heard.append(Heard("abort"))
            else:
                self._hear_slow(byte, heard)
        return heard

    def _hear_slow(self, byte: int, heard: list[Heard]) -> None:
        if byte in (ESC, SOH):
            self._is_lost = False
            if len(self._frames) == NESTING_LIMIT:
                heard.append(Heard("illegal", data=bytes(self._frames.pop(0))))
            self._frames.append(bytearray([byte]))
            return
        if not self._frames:
            if byte == CR:
                was_lost, self._is_lost = self._is_lost, False
                if was_lost:
                    return
            if not self._is_lost:
                heard.append(Heard("illegal", data=bytes([byte])))
            return
        frame = self._frames[-1]
        frame.append(byte)
        limit = COMMAND_ARGUMENT_LIMIT + 5 if frame[0] == ESC else RESPONSE_LIMIT_BYTES
        if byte == CR:
            heard.append(_judge(bytes(self._frames.pop())))
        elif len(frame) >= limit:
            heard.append(Heard("illegal", data=bytes(self._frames.pop())))

    def _hear_fast(self, byte: int, heard: list[Heard]) -> None:
        """The only legal fast bytes of a box: SYNC, pairs of sync commands, END_OF_SEQUENCE."""
        fast = self._fast
        fast.append(byte)
        if fast[0] != SYNC or len(fast) > 16:
            if not self._is_lost:
                heard.append(Heard("illegal", data=bytes(fast)))
            fast.clear()
            return
        if len(fast) < 3 or len(fast) % 2 == 0:
            return
        kind, argument = fast[-2], fast[-1]
        if (kind, argument) == END_OF_SEQUENCE:
            masks = {fast[i]: fast[i + 1] & 0x0F for i in range(1, len(fast) - 2, 2)}
            heard.append(Heard("enable", masks.get(ENABLE_1_TO_4, 0), bytes(fast)))
            fast.clear()
        elif kind not in (0xC1, 0xC2, 0xC3, 0xCF) or argument & 0xF0 != 0xC0:
            heard.append(Heard("illegal", data=bytes(fast)))
            fast.clear()


def _judge(frame: bytes) -> Heard:
    if len(frame) < 5:
        return Heard("illegal", data=frame)
    if checksum(frame[:-3]) != frame[-3:-1]:
        return Heard("bad_checksum", frame[1], frame)
    data = frame[2:-3]
    if any(not 0x20 <= byte < 0x7F for byte in data):
        return Heard("illegal", frame[1], frame)
    return Heard("command" if frame[0] == ESC else "response", frame[1], data)
