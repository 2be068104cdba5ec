"""Nellcor NPB-290, NPB-295, N-395, N-560, N-595, N-600x with their data port set to ASCII: a line each two seconds.

    ┌───────────┬──────────┬───────┬─────┬────┬─────────────────────────┬───────┐
    │ dd-MMM-yy │ HH:mm:ss │ %SPO2 │ BPM │ PA │ codes of two letters, … │ CR LF │
    └───────────┴──────────┴───────┴─────┴────┴─────────────────────────┴───────┘

Nellcor, NPB-290 operator's manual, section on the data port; N-560 operator's manual, page 59. `*` marks a value in
alarm, dashes stand for none. frames.py has the lines, observe.py reads them, profile.toml has the codes. Nothing is
ever sent: two Ctrl-C open a menu that can set the clock.
"""

from typing import ClassVar

from drivers.contract import Fault
from drivers.conversation import Listening
from drivers.framing.lines import Lines
from drivers.nellcor_ascii.frames import MAX_LINE_BYTES, Line, Mode, Title, Values, parse_line
from drivers.nellcor_ascii.observe import Observer
from drivers.nellcor_ascii.options import Options as NellcorOptions
from drivers.profile import Profile


class NellcorAsciiDriver(Listening):
    """One oximeter. Nothing is ever sent."""

    name: ClassVar[str] = "nellcor_ascii"
    version: ClassVar[int] = 1
    Options: ClassVar[type[NellcorOptions]] = NellcorOptions

    def __init__(self, profile: Profile, options: NellcorOptions) -> None:
        super().__init__(profile)
        self._lines = Lines(MAX_LINE_BYTES)
        self._observer = Observer(profile, options, self._mds)

    def _forget(self) -> None:
        self._lines.drop()
        self._observer.forget()

    def _receive(self, data: bytes) -> None:
        for raw in self._lines.feed(data):
            line = parse_line(raw)
            if isinstance(line, Fault):
                self._fault(line)
            else:
                self._verified()
                self._observe(line)

    def _observe(self, line: Line) -> None:
        match line:
            case Values():
                self._observations += self._observer.observe_values(line)
            case Title():
                seen, faults = self._observer.observe_title(line)
                self._observations += seen
                self._faults += faults
            case Mode():
                self._observations += self._observer.observe_mode(line)
