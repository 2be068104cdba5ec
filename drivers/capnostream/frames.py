"""Frames of a Capnostream, and the framer that finds them in the stream.

    ┌────┬────────┬──────┬─────────────┬───────┐
    │ 85 │ length │ code │ payload     │ check │   length counts code and payload;
    │    │        │      │ length - 1  │       │   check is the exclusive or of length, code and payload
    └────┴────────┴──────┴─────────────┴───────┘

85H stands only at the beginning of a frame. Inside, 85H is sent as 80H 05H and 80H as 80H 00H: the receiver adds the
two. OpenICE (mdpnp), devices/oridion, MergeBytesInputStream and Capnostream.receive.
"""

import re
from functools import reduce
from operator import xor

from msgspec import Struct

from drivers.contract import NOISE, Fault

HEADER = 0x85
MAX_FRAME_BYTES = 1 + 2 * (1 + 255 + 1)
"""Every byte but the first one may be sent as two."""
_BEGIN = re.compile(rb"\x85+")
_STUFFED = re.compile(rb"(?:[^\x80\x85]|\x80[\x00\x05])*")
_SMALLEST = 3


class Frame(Struct, frozen=True):
    """One frame: what it is, and what it says."""

    code: int
    payload: bytes = b""

    @classmethod
    def from_bytes(cls, body: bytes) -> "Frame | Fault":
        """The frame of an unstuffed body: length, code, payload, check."""
        if len(body) < _SMALLEST or len(body) != body[0] + 2:
            return Fault("length", rejected=True)
        if reduce(xor, body):
            return Fault("checksum", rejected=True)
        return cls(body[1], body[2:-1])

    def to_bytes(self) -> bytes:
        """The frame as it is sent."""
        body = bytes((len(self.payload) + 1, self.code)) + self.payload
        return bytes((HEADER,)) + stuffed(body + bytes((reduce(xor, body),)))


def stuffed(body: bytes) -> bytes:
    """The bytes with 80H and 85H as two each."""
    return body.replace(b"\x80", b"\x80\x00").replace(b"\x85", b"\x80\x05")


def unstuffed(body: bytes) -> bytes:
    """The other way; the pairs must be right."""
    return body.replace(b"\x80\x05", b"\x85").replace(b"\x80\x00", b"\x80")


class Framer:
    """Takes the stream apart at 85H. Its buffer holds one frame at most."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._in_noise = False

    @property
    def is_inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._buffer)

    def drop(self) -> list[Fault]:
        """Forget what was half received."""
        faults = [Fault("truncated", rejected=True)] if self._buffer else []
        self._buffer.clear()
        self._in_noise = False
        return faults

    def feed(self, data: bytes) -> list[Frame | Fault]:
        """What the bytes hold, in order."""
        self._buffer += data
        items: list[Frame | Fault] = []
        at = 0
        while begin := _BEGIN.search(self._buffer, at):
            start = begin.end()
            if start - 1 > at:  # of several headers the last one is the frame's
                self._noise(items)
            stop = self._buffer.find(HEADER, start)
            used = self._read(self._buffer[start : stop if stop >= 0 else start + MAX_FRAME_BYTES], stop >= 0, items)
            if used is None:
                at = start - 1
                break
            at = start + used
        else:
            if at < len(self._buffer):
                self._noise(items)
            at = len(self._buffer)
        del self._buffer[:at]
        return items

    def _read(self, raw: bytearray, is_cut: bool, items: list[Frame | Fault]) -> int | None:
        """How many bytes belong to the frame; None: more are needed. `is_cut`: another frame begins behind."""
        fits = _STUFFED.match(raw)
        end = fits.end() if fits else 0
        body = unstuffed(bytes(raw[:end]))
        if body and len(body) >= body[0] + 2:
            size = len(stuffed(body[: body[0] + 2]))
            item = Frame.from_bytes(body[: body[0] + 2])
            items.append(item)
            self._in_noise = isinstance(item, Fault)
            return size if isinstance(item, Frame) else len(raw)
        is_half = not is_cut and raw.endswith(b"\x80")
        is_broken = end < len(raw) - is_half
        if not is_cut and not is_broken:
            return None
        items.append(Fault("framing" if is_broken else "truncated", rejected=True))
        self._in_noise = True
        return len(raw)

    def _noise(self, items: list[Frame | Fault]) -> None:
        """Bytes of no frame, said once for each stretch."""
        if not self._in_noise:
            self._in_noise = True
            items.append(Fault(NOISE))
