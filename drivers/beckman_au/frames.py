"""Frames of an AU: STX, text, ETX (or ETB, when more blocks follow), and a block check character where it is on.

BCC is the exclusive or of all bytes from the text's class through ETX or ETB, one byte of any value (AU2700/AU5400
Online Specifications, 2.3).
"""

import re
from typing import Self

from msgspec import Struct

from drivers.contract import Fault
from drivers.framing.checksum import xor8
from drivers.framing.stx import ETB, ETX, STX

ENDS = bytes((ETX, ETB))
MAX_BODY_BYTES = 4096
"""Ours: a text of 200 tests."""

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
