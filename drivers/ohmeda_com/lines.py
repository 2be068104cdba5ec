"""Lines of Ohmeda Com 1.0, and the scanner that finds them.

    measured   │ : V T D │ VT 4 │ MV 4 │ rate 3 │ O2 3 │ max 3 │ plateau 3 │ mean 3 │ min 3 │ status 1 │ CR
    column       0 … 3     4      8      12       15     18      21          24       27      30
    settings   │ : V T Q │ VT 4 │ rate 3 │ I:E 4 │ ? 2 │ PEEP 2 │ ? 3 │ Pinsp 2 │ ? 20 │ mode 1 │ status 12 │ CR
    column       0 … 3     4      8        11      15    17       19    22        24     44       45

patnatha/DownVent, `aestiva.py`, which names "Ohmeda COM 1.0 Serial Protocol v1.5, 14 August 2001". How the checksum
is made is not known, so the machine is told to leave it out, and a line is read only where its length is exact and
each of its characters can be printed.
"""

import re

from msgspec import Struct

from drivers.contract import NOISE, Fault

VTD, VTQ = ":VTD", ":VTQ"
LENGTHS = {VTD: 31, VTQ: 57}
"""Without CR, from the colon to the last column that the source knows."""
MAX_LINE = 120
"""Longer than any line here: what is longer is noise."""
_PLAIN = re.compile(rb"[ -~]+")


class Line(Struct, frozen=True):
    """A line of data, without its CR."""

    text: str

    @classmethod
    def from_bytes(cls, data: bytes) -> "Line | Fault":
        """A line that begins with `:VTD` or `:VTQ`, without its CR; a fault says why it is none."""
        name = data[:4].decode("latin-1")
        if not _PLAIN.fullmatch(data):
            return Fault("framing", name[1:], rejected=True)
        if len(data) != LENGTHS[name]:
            return Fault("length", name[1:], rejected=True)
        return cls(data.decode("ascii"))

    def to_bytes(self) -> bytes:
        """The line as it is sent."""
        return self.text.encode("ascii") + b"\r"

    @property
    def name(self) -> str:
        """`VTD` or `VTQ`."""
        return self.text[1:4]

    def column(self, first: int, width: int) -> str:
        """What stands in some columns; the colon is column 0."""
        return self.text[first : first + width]


class Other(Struct, frozen=True):
    """A line that can be printed and is no data: the answer to a command, whose form the source does not give."""


Item = Line | Other | Fault


class Scanner:
    """Bytes in any split; lines and faults out. Holds one unfinished line at most."""

    def __init__(self) -> None:
        self._held = b""
        self._is_too_long = False

    def drop(self) -> None:
        """Forget what was half received."""
        self._held, self._is_too_long = b"", False

    def feed(self, data: bytes) -> list[Item]:
        """What became whole with these bytes; noise is told once."""
        *whole, rest = (self._held + data).split(b"\r")
        items: list[Item] = []
        is_noisy = False
        for raw in whole:
            line = raw.removeprefix(b"\n")
            if self._is_too_long or len(line) > MAX_LINE:
                is_noisy = True
            elif line:
                is_noisy = not self._read(line, items) or is_noisy
            self._is_too_long = False
        if len(rest) > MAX_LINE + 1:
            rest, self._is_too_long = b"", True
        self._held = rest
        return [*items, Fault(NOISE)] if is_noisy else items

    def _read(self, line: bytes, items: list[Item]) -> bool:
        if line[:4].decode("latin-1") in LENGTHS:
            items.append(Line.from_bytes(line))
        elif _PLAIN.fullmatch(line):
            items.append(Other())
        else:
            return False
        return True
