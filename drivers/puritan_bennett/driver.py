"""Puritan Bennett 840 and 980: the box asks SNDF, the ventilator answers with one report of everything it has.

    box ─▶ ┌──────┬────┐      ┌────────────────┬─────┬───────────────────┬─────┬────┐ ─▶ box
           │ SNDF │ CR │      │MISCF,1225,169 ,│ STX │ 169 fields with , │ ETX │ CR │
           └──────┴────┘      └────────────────┴─────┴───────────────────┴─────┴────┘

Puritan Bennett 840, Operator's and Technical Reference Manual, section "RS-232 commands" (SNDF, SNDA). frames.py
finds and verifies the reports, observe.py reads them; waves.py reads the waveform port, which is another port of the
same ventilator and sends unasked. What the fields mean is in profile.toml.
"""

from math import ceil
from typing import ClassVar

from drivers.asking import Manners, Question
from drivers.contract import Fault, Output
from drivers.conversation import Asking
from drivers.profile import Profile, unknown_numeric
from drivers.puritan_bennett.frames import MISCA, MISCF, Framer, Report
from drivers.puritan_bennett.observe import Observer
from drivers.puritan_bennett.options import Options as PuritanBennettOptions
from drivers.puritan_bennett.waves import Breath, Item, Waves

QUESTIONS = {MISCF: b"SNDF\r", MISCA: b"SNDA\r"}
"""All that is ever sent. RSET, which clears the ventilator's command buffer, is not needed and not used."""
PATIENCE_S = 2.0
"""A reply that stands still for so long will not come (OpenICE: about 2 s)."""
SPACING_S = 0.3
LONGEST_S = 15.0
"""At 1200 baud, the slowest line, a report takes 10.4 s."""
_MINUTE_S = 60.0


class PuritanBennettDriver(Asking):
    """One port of one ventilator: reports on request, or the waveforms that come by themselves."""

    name: ClassVar[str] = "puritan_bennett"
    version: ClassVar[int] = 1
    Options: ClassVar[type[PuritanBennettOptions]] = PuritanBennettOptions

    def __init__(self, profile: Profile, options: PuritanBennettOptions) -> None:
        self._is_waves = options.stream == "waveforms"
        plan = [] if self._is_waves else [Question(options.report, QUESTIONS[options.report], options.poll_s)]
        # As many as a calm minute has: a storm of damage cannot raise the rate.
        per_minute = ceil(_MINUTE_S / options.poll_s)
        manners = Manners(PATIENCE_S, SPACING_S, longest_s=LONGEST_S, per_minute=per_minute)
        super().__init__(profile, manners, plan=plan)
        self._framer = Framer()
        self._waves = Waves(profile, options)
        self._observer = Observer(profile, options, self._mds)
        self._last_heard = 0.0

    def _forget(self) -> None:
        self._framer.drop()
        self._waves.restart()
        self._observer.restart()
        self._last_heard = self._now

    def _receive(self, data: bytes) -> None:
        self._settle()
        self._last_heard = self._now
        if self._is_waves:
            self._take_waves(self._waves.feed(data))
            return
        for item in self._framer.feed(data):
            self._take(item)
        if self._framer.is_inside:
            self._asker.extend(self._now)

    def wake(self, now: float) -> Output:
        """The next question, and time-outs."""
        self._now = now
        self._settle()
        return super().wake(now)

    def _leave(self) -> None:
        self._take_waves(self._waves.idle())

    def _settle(self) -> None:
        """What stands still for too long is not waited for any more."""
        if self._now < self._last_heard + PATIENCE_S:
            return
        self._faults += self._framer.drop()
        if self._waves.has_samples:
            self._take_waves(self._waves.idle())

    def _wake_times(self) -> list[float]:
        is_unfinished = self._framer.is_inside or self._waves.has_samples
        return [*([self._last_heard + PATIENCE_S] if is_unfinished else []), *super()._wake_times()]

    def _take(self, item: Report | Fault) -> None:
        doubt = item if isinstance(item, Fault) else self._doubt(item)
        if doubt is not None:
            self._refuse(doubt)
        elif isinstance(item, Report):
            self._asker.answered(self._now)
            if self._is_open:
                self._observe(item)  # it tells the link with the report's own time
            self._verified()

    def _doubt(self, report: Report) -> Fault | None:
        return self._observer.doubt(report) if report.name == MISCF else None

    def _observe(self, report: Report) -> None:
        if report.name == MISCA:
            self._observations += self._observer.observe_short(report)
            return
        seen, faults = self._observer.observe(report, self._now)
        self._observations += seen
        self._faults += faults

    def _take_waves(self, items: list[Item]) -> None:
        if self._waves.lines:
            self._verified(self._waves.lines)
            self._waves.lines = 0
        for item in items:
            match item:
                case Breath():
                    self._observations += self._mds.values([unknown_numeric("S", item.number)])
                case Fault():
                    self._faults.append(item)
                case _:
                    self._observations.append(item)
