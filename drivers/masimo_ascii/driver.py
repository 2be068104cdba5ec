"""Masimo Radical-5, Radical-7, Rad-8 and Rad-87 with the serial output ASCII-1: one line a second, unasked.

    ┌──────────┬──────────┬───────────────┬───────────┬─────────┬───────────┬───┬────────────┬────────────┬───────┐
    │ MM/DD/YY │ HH:MM:SS │ SN=dddddddddd │ SPO2=ddd% │ BPM=ddd │ PI=dd.dd% │ … │ ALARM=hhhh │ EXC=hhhhhh │ CR LF │
    └──────────┴──────────┴───────────────┴───────────┴─────────┴───────────┴───┴────────────┴────────────┴───────┘

Masimo, Rad-8 operator's manual, section on the serial interface (ASCII-1), and the pages of the Rad-87 manual on it.
Fields are found by their key, in any order. frames.py verifies a line, observe.py reads it, profile.toml has bits.
"""

from typing import ClassVar

from drivers.contract import Fault
from drivers.conversation import Listening
from drivers.framing.lines import Lines
from drivers.masimo_ascii.frames import MAX_LINE_BYTES, Line
from drivers.masimo_ascii.observe import Observer
from drivers.masimo_ascii.options import Options as MasimoOptions
from drivers.profile import Profile


class MasimoAsciiDriver(Listening):
    """One oximeter. Nothing is ever sent."""

    name: ClassVar[str] = "masimo_ascii"
    version: ClassVar[int] = 1
    Options: ClassVar[type[MasimoOptions]] = MasimoOptions

    def __init__(self, profile: Profile, options: MasimoOptions) -> None:
        super().__init__(profile)
        self._options = options
        self._lines = Lines(MAX_LINE_BYTES)
        self._observer = Observer(profile, self._mds)

    def _forget(self) -> None:
        self._lines.drop()
        self._observer.forget()

    def _receive(self, data: bytes) -> None:
        for raw in self._lines.feed(data):
            line = Line.from_bytes(raw, self._options)
            if isinstance(line, Fault):
                self._fault(line)
            else:
                self._verified()
                self._observations += self._observer.observe(line)
