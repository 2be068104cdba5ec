"""Slow frames of MEDIBUS, and the demultiplexer that finds them between and inside each other.

    ┌─────┬──────┬───────────────────────────┬───────────┬────┐
    │ ESC │ code │ argument, 0 … 251 bytes   │ checksum  │ CR │   command
    │ 1BH │      │ printable ASCII           │ 2 hex     │0DH │
    └─────┴──────┴───────────────────────────┴───────────┴────┘
    ┌─────┬──────┬───────────────────────────┬───────────┬────┐
    │ SOH │ echo │ data, frame ≤ 3845 bytes  │ checksum  │ CR │   response
    │ 01H │      │                           │ 2 hex     │0DH │
    └─────┴──────┴───────────────────────────┴───────────┴────┘
    checksum = low 8 bits of the sum of all bytes before it, upper-case hexadecimal

Dräger, MEDIBUS protocol definition rev 4.03 (90 28 258, 7th ed. 2003), "Message format": a command may be embedded at
any byte of a response, real-time bytes (bit 7 set) may stand anywhere; neither counts in the outer checksum.
"""

import re
from typing import Literal

from msgspec import Struct

from drivers.contract import NOISE, Fault
from drivers.framing.checksum import sum8

ESC, SOH, CR, ETX, NAK = 0x1B, 0x01, 0x0D, 0x03, 0x15
DC1, DC3, CAN = 0x11, 0x13, 0x18
MAX_RESPONSE_BYTES = 3845
MAX_COMMAND_BYTES = 256
"""ESC, code, 251 bytes of argument, checksum, CR."""
MAX_DEPTH = 4
"""The document nests a command in a response and no deeper; twice that is damage."""

_CHECKSUMS = {b"%02X" % n: n for n in range(256)} | {b"%02x" % n: n for n in range(256)}
_LIMITS = {ESC: MAX_COMMAND_BYTES - 1, SOH: MAX_RESPONSE_BYTES - 1}
_OUTSIDE = re.compile(rb"[\x01\x1b\x11\x13\x18]")
_INSIDE = re.compile(rb"[\x00-\x02\x04-\x1f\x7f]")
_PLAIN = re.compile(rb"(\x01+|\x1b+)([\x03\x20-\x7e]*)\r")
"""A whole frame with nothing inside it: most are."""
_RUN = re.compile(rb"\x01+|\x1b+")
_SLOW_BYTES = bytes(range(0x80))
_FAST_BYTES = bytes(range(0x80, 0x100))


def is_code(code: int) -> bool:
    """Whether a byte can be a command code: printable ASCII."""
    return 0x20 < code < 0x7F


def _frame(start: int, code: int, content: bytes) -> bytes:
    body = bytes((start, code)) + content
    return body + b"%02X\r" % sum8(body)


class Command(Struct, frozen=True):
    """A request, by either side."""

    code: int
    argument: bytes = b""

    @classmethod
    def from_bytes(cls, data: bytes) -> "Command | Fault":
        """A whole frame with its CR, without anything embedded; a fault says why it is none."""
        checked = _verify(data[:-1], ESC) if data[-1:] == b"\r" else _fault("framing", ESC)
        return checked if isinstance(checked, Fault) else cls(*checked)

    def to_bytes(self) -> bytes:
        """The frame as it is sent."""
        return _frame(ESC, self.code, self.argument)


class Response(Struct, frozen=True):
    """The answer to a command: its code again, and data or nothing."""

    echo: int
    data: bytes = b""

    @classmethod
    def from_bytes(cls, data: bytes) -> "Response | Fault":
        """A whole frame with its CR, without anything embedded; a fault says why it is none."""
        checked = _verify(data[:-1], SOH) if data[-1:] == b"\r" else _fault("framing", SOH)
        return checked if isinstance(checked, Fault) else cls(*checked)

    def to_bytes(self) -> bytes:
        """The frame as it is sent."""
        return _frame(SOH, self.echo, self.data)


REFUSAL = Response(NAK).to_bytes()
"""What a command with a bad checksum is answered with: 01 15 31 36 0D."""


class Signal(Struct, frozen=True):
    """A single control byte: DC1 and DC3 are used the other way round from XON/XOFF, CAN takes a frame back."""

    kind: Literal["suspend", "resume", "abort"]


class FastBytes(Struct, frozen=True):
    """Real-time bytes, in order."""

    data: bytes


class DamagedCommand(Struct, frozen=True):
    """A whole command frame whose checksum is wrong: it is to be answered with NAK."""

    fault: Fault


Item = Command | Response | Signal | FastBytes | DamagedCommand | Fault
_SIGNALS = {DC1: Signal("suspend"), DC3: Signal("resume"), CAN: Signal("abort")}
_NAMES = {ESC: "command", SOH: "response"}


def _fault(reason: str, start: int) -> Fault:
    return Fault(reason, _NAMES.get(start, "frame"), rejected=True)


def _verify(body: bytes, start: int) -> tuple[int, bytes] | Fault:
    """Code and content of a frame without its CR."""
    if len(body) < 4 or body[0] != start or len(body) > _LIMITS[start]:
        return _fault("length", start)
    if _CHECKSUMS.get(body[-2:]) != sum8(body[:-2]):
        return _fault("checksum", start)
    return body[1], body[2:-2]


def _read(body: bytes) -> Item:
    """A frame that ended, without its CR."""
    start = body[0]
    checked = _verify(body, start)
    if not isinstance(checked, Fault):
        return Command(*checked) if start == ESC else Response(*checked)
    return DamagedCommand(checked) if start == ESC and checked.reason == "checksum" else checked


class Demultiplexer:
    """Takes the stream apart: a stack of slow frames (ESC or SOH pushes, CR pops), and the real-time bytes."""

    def __init__(self) -> None:
        self._stack: list[bytearray] = []
        self._in_noise = False
        self.has_heard = False
        """Whether the last bytes held any but real-time ones: only those keep the link alive."""

    @property
    def is_inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._stack)

    def drop(self) -> list[Fault]:
        """Forget what was half received; one fault for each frame that had begun."""
        faults = [_fault("truncated", frame[0]) for frame in self._stack]
        self._stack.clear()
        self._in_noise = False
        return faults

    def feed(self, data: bytes) -> list[Item]:
        """What the bytes hold, in order."""
        items: list[Item] = []
        at, size = 0, len(data)
        self.has_heard = False
        while at < size:
            found = (_INSIDE if self._stack else _OUTSIDE).search(data, at)
            end = found.start() if found else size
            if end > at:
                self._segment(data[at:end], items)
            at = end if not found else self._begin(data, end, items)
        return items

    def _begin(self, data: bytes, at: int, items: list[Item]) -> int:
        """A control byte: what it begins, ends or means. Returns where to read on."""
        self.has_heard = True
        if not self._stack:
            plain = _PLAIN.match(data, at)
            if plain:
                self._in_noise = False
                items.append(_read(plain[1][:1] + plain[2]))
                return plain.end()
        run = _RUN.match(data, at)
        self._control(data[at], items)
        return run.end() if run else at + 1

    def _segment(self, piece: bytes, items: list[Item]) -> None:
        """Bytes without the controls that mean something here."""
        slow = piece
        if not piece.isascii():
            items.append(FastBytes(piece.translate(None, _SLOW_BYTES)))
            slow = piece.translate(None, _FAST_BYTES)
        if not slow:
            return
        self.has_heard = True
        if not self._stack:
            self._noise(items)
            return
        top = self._stack[-1]
        if len(top) + len(slow) > _LIMITS[top[0]]:
            self._break("length", items)
        else:
            top += slow

    def _noise(self, items: list[Item]) -> None:
        """Bytes outside any frame: one fault for each stretch of them."""
        if not self._in_noise:
            self._in_noise = True
            items.append(Fault(NOISE))

    def _break(self, reason: str, items: list[Item]) -> None:
        """The innermost frame is lost, and with it those it stood in: where they go on is unknown."""
        items.extend(_fault(reason, frame[0]) for frame in self._stack)
        self._stack.clear()
        self._in_noise = True

    def _control(self, byte: int, items: list[Item]) -> None:
        if byte in (ESC, SOH):
            self._push(byte, items)
        elif byte in _SIGNALS:
            if byte == CAN:
                self._stack.clear()
                self._in_noise = False
            items.append(_SIGNALS[byte])
        elif byte == CR:
            items.append(_read(bytes(self._stack.pop())))
        elif byte == NAK and self._stack[-1] == b"\x01":
            self._stack[-1].append(NAK)
        else:
            self._break("framing", items)

    def _push(self, start: int, items: list[Item]) -> None:
        self._in_noise = False
        if self._stack and self._stack[-1][0] == start:
            # A response in a response, or a command in a command: the CR of the outer one was lost.
            if len(self._stack[-1]) > 1:
                items.append(_fault("framing", start))
            self._stack[-1] = bytearray((start,))
            return
        if len(self._stack) == MAX_DEPTH:
            self._break("framing", items)
            self._in_noise = False
        self._stack.append(bytearray((start,)))
