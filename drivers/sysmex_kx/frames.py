"""Frames of a KX-21 or KX-21N: STX, text of exactly one length, ETX. There is no checksum.

    KX-21    │ D 1 U │ YYMMDD   │ info 1 │ sample id 12 │ PDA 6 │ RDW select 1 │ 18 × (4 digits, flag) │  119
    KX-21N   │ D 1 U │ YYYYMMDD │ info 1 │ sample id 15 │ PDA 6 │ reserve 1    │ 19 × (4 digits, flag) │  129

A frame is read only if it has its length, `D1`, digits in the date, and in every value four digits (or `*` and three,
or four blanks) and a digit as flag.
"""

import re
from typing import Self

from msgspec import Struct

from drivers.contract import Fault

MAX_BODY_BYTES = 512
"""Ours: a sample has 119 or 129 characters, a control about 100."""

_CELL = rb"(?:[0-9]{4}|\*[0-9]{3}| {4})[0-9]"
_LAYOUTS = {
    "kx_21": re.compile(rb"D1U([0-9]{6})([ -~])([ -~]{12})[ -~]{6}([ -~])((?:%s){18})" % _CELL),
    "kx_21n": re.compile(rb"D1U([0-9]{8})([ -~])([ -~]{15})[ -~]{6}([ -~])((?:%s){19})" % _CELL),
}
_OTHER = re.compile(rb"D[0-9]([A-TV-Z])[ -~]+")
_LENGTHS = (119, 129)
"""A text of a sample's length with another letter is a damaged sample, not a control."""
_CELL_WIDTH = 5


class Cell(Struct, frozen=True):
    """One value as sent: four characters, and the flag."""

    text: str
    flag: str


class Sample(Struct, frozen=True):
    """One sample."""

    date: str
    specimen: str
    rdw_select: str
    cells: tuple[Cell, ...]
    body: str
    """All of it: what tells a sample from the next one, for there is no time of day."""

    @classmethod
    def from_bytes(cls, body: bytes, layout: str) -> Self | Fault:
        """What stood between STX and ETX; a fault says why nothing of it is read."""
        other = _OTHER.fullmatch(body)
        if other and len(body) not in _LENGTHS:
            return Fault("control_not_read", other[1].decode("ascii"))
        found = _LAYOUTS[layout].fullmatch(body)
        if found is None:
            return Fault("layout", rejected=True)
        date, _info, specimen, select, values = (part.decode("ascii") for part in found.groups())
        cells = (values[at : at + _CELL_WIDTH] for at in range(0, len(values), _CELL_WIDTH))
        return cls(
            date=date,
            specimen=specimen.strip(),
            rdw_select=select,
            cells=tuple(Cell(cell[:-1], cell[-1]) for cell in cells),
            body=body.decode("ascii"),
        )

    def to_bytes(self) -> bytes:
        """The frame as it is sent."""
        return b"\x02" + self.body.encode("ascii") + b"\x03"
