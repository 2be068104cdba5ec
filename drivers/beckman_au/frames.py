"""Frames of an AU: STX, text, ETX (or ETB, when more blocks follow), and a block check character where it is on.

BCC is the exclusive or of all bytes from the text's class through ETX or ETB, one byte of any value (AU2700/AU5400
Online Specifications, 2.3).
"""

import re
from typing import Self

from msgspec import Struct

from drivers.contract import NOISE, Fault
from drivers.framing.checksum import xor8

STX, ETX, ETB = 0x02, 0x03, 0x17
MAX_BODY_BYTES = 4096
"""Ours: a text of 200 tests."""

_MARK = re.compile(rb"\x02+|\x03|\x17")
_BETWEEN = re.compile(rb"[\r\n]*")
_TEXT = re.compile(rb"[\x20-\x7e\x80-\xff]{2,}")


class Text(Struct, frozen=True):
    """One verified text; its class is its first two characters."""

    text: str
    is_last: bool
    """ETX ended it, not ETB."""

    @property
    def kind(self) -> str:
        """`DB`, `D `, `DH`, `DQ`, `DE`, `R `, …"""
        return self.text[:2]

    @classmethod
    def from_bytes(cls, body: bytes, check: int | None) -> Self | Fault:
        """Text with its ETX or ETB, and the check if there is one; a fault says why nothing of it is read."""
        if check is not None and xor8(body) != check:
            return Fault("checksum", rejected=True)
        if _TEXT.fullmatch(body[:-1]) is None:
            return Fault("illegal_character", rejected=True)
        return cls(body[:-1].decode("latin-1"), body[-1] == ETX)

    def to_bytes(self) -> bytes:
        """The frame as it is sent, with its check."""
        body = self.text.encode("latin-1") + bytes([ETX if self.is_last else ETB])
        return bytes([STX]) + body + bytes([xor8(body)])


class Framer:
    """Bytes in any split; texts and faults out. Holds one unfinished frame at most."""

    def __init__(self, *, has_check: bool) -> None:
        self._has_check = has_check
        self.drop()

    def drop(self) -> None:
        """Forget what was half received."""
        self._close()
        self._is_noise = False

    def _close(self) -> None:
        self._body = bytearray()
        self._is_open = self._is_ended = self._is_too_long = False

    def feed(self, data: bytes) -> list[Text | Fault]:
        """What became whole with these bytes."""
        items: list[Text | Fault] = []
        at = 0
        while at < len(data):
            if self._is_ended:
                self._judge(data[at], items)
                at += 1
                continue
            found = _MARK.search(data, at)
            stop = found.start() if found else len(data)
            if self._is_open:
                self._keep(data[at:stop])
            elif stop > at:
                between = _BETWEEN.match(data, at, stop)
                self._hear_noise(items, is_noise=between is None or between.end() < stop)
            if found is None:
                break
            self._mark(found[0][0], items)
            at = found.end()
        return items

    def _keep(self, piece: bytes) -> None:
        if len(self._body) + len(piece) > MAX_BODY_BYTES:
            self._is_too_long = True
            self._body.clear()
        elif not self._is_too_long:
            self._body += piece

    def _hear_noise(self, items: list[Text | Fault], *, is_noise: bool) -> None:
        if is_noise and not self._is_noise:
            self._is_noise = True
            items.append(Fault(NOISE))

    def _mark(self, mark: int, items: list[Text | Fault]) -> None:
        if mark == STX:
            if self._is_open and (self._body or self._is_too_long):
                items.append(Fault("truncated", rejected=True))
            self._close()
            self._is_open, self._is_noise = True, False
        elif not self._is_open:
            self._hear_noise(items, is_noise=True)
        else:
            self._body.append(mark)
            self._is_ended = True
            if not self._has_check:
                self._judge(None, items)

    def _judge(self, check: int | None, items: list[Text | Fault]) -> None:
        too_long = Fault("length", rejected=True)
        items.append(too_long if self._is_too_long else Text.from_bytes(bytes(self._body), check))
        self._close()
