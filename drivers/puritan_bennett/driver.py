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

from drivers.asking import Asker, Manners, Question
from drivers.contract import Fault, Output
from drivers.observation import AnyObservation
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
_MINUTE_S = 60.0


class PuritanBennettDriver:
    """One port of one ventilator: reports on request, or the waveforms that come by themselves."""

    name: ClassVar[str] = "puritan_bennett"
    version: ClassVar[int] = 1
    Options: ClassVar[type[PuritanBennettOptions]] = PuritanBennettOptions

    def __init__(self, profile: Profile, options: PuritanBennettOptions) -> None:
        self._is_waves = options.stream == "waveforms"
        self._plan = [Question(options.report, QUESTIONS[options.report], options.poll_s)]
        # As many as a calm minute has: a storm of damage cannot raise the rate.
        per_minute = ceil(_MINUTE_S / options.poll_s)
        self._asker = Asker(Manners(patience_s=PATIENCE_S, spacing_s=SPACING_S, per_minute=per_minute))
        self._framer = Framer()
        self._waves = Waves(profile, options)
        self._observer = Observer(profile, options)
        self._mds = self._observer.mds
        self._stale_after_s = profile.protocol.stale_after_s
        self._last_heard = self._last_frame = 0.0
        self._has_left = False
        self._observations: list[AnyObservation] = []
        self._faults: list[Fault] = []
        self._frames = 0

    def start(self, now: float) -> Output:
        """Forget what was half received; ask for the first report."""
        self._framer.drop()
        self._waves.restart()
        self._observer.restart()
        self._last_heard = self._last_frame = now
        self._has_left = False
        if not self._is_waves:
            self._asker.begin((), self._plan, now)
        return self._finish(now)

    def receive(self, data: bytes, now: float) -> Output:
        """Whole reports or lines are read; the rest waits for more."""
        self._settle(now)
        self._last_heard = now
        if self._is_waves:
            self._take_waves(self._waves.feed(data), now)
            return self._finish(now)
        for item in self._framer.feed(data):
            self._take(item, now)
        if self._framer.is_inside:
            self._asker.extend(now)
        return self._finish(now)

    def wake(self, now: float) -> Output:
        """The next question, and time-outs."""
        self._settle(now)
        return self._finish(now)

    def stop(self, now: float) -> Output:
        """The protocol has no goodbye: the questions just end."""
        self._asker.halt()
        self._has_left = True
        self._take_waves(self._waves.idle(), now)
        self._observations += self._mds.link("disconnected", "stopped")
        return self._finish(now)

    def _settle(self, now: float) -> None:
        """What stands still for too long is not waited for any more."""
        if now < self._last_heard + PATIENCE_S:
            return
        self._faults += self._framer.drop()
        if self._waves.has_samples:
            self._take_waves(self._waves.idle(), now)

    def _finish(self, now: float) -> Output:
        stale_at = self._last_frame + self._stale_after_s
        if now >= stale_at and not self._has_left:
            self._observations += self._mds.link("stale", "silence")
        self._asker.tick(now)
        send, faults = self._asker.take()
        output = Output(
            send=send,
            observations=tuple(self._observations),
            faults=(*self._faults, *faults),
            wake_at=self._wake_at(stale_at),
            frames=self._frames,
        )
        self._observations, self._faults, self._frames = [], [], 0
        return output

    def _wake_at(self, stale_at: float) -> float | None:
        due = [at for at in (self._asker.wake_at(),) if at is not None]
        if self._mds.connection != "stale" and not self._has_left:
            due.append(stale_at)
        if self._framer.is_inside or self._waves.has_samples:
            due.append(self._last_heard + PATIENCE_S)
        return min(due, default=None)

    def _take(self, item: Report | Fault, now: float) -> None:
        doubt = item if isinstance(item, Fault) else self._doubt(item)
        if doubt is not None:
            self._faults.append(doubt)
            if doubt.rejected:
                self._asker.refused(now)
            return
        if isinstance(item, Report):
            self._verified(1, now)
            self._asker.answered(now)
            self._observe(item, now)

    def _doubt(self, report: Report) -> Fault | None:
        return self._observer.doubt(report) if report.name == MISCF else None

    def _observe(self, report: Report, now: float) -> None:
        if self._has_left:
            return
        if report.name == MISCA:
            self._observations += self._observer.observe_short(report)
            return
        seen, faults = self._observer.observe(report, now)
        self._observations += seen
        self._faults += faults

    def _verified(self, frames: int, now: float) -> None:
        self._frames += frames
        self._last_frame = now

    def _take_waves(self, items: list[Item], now: float) -> None:
        if self._waves.lines:
            self._verified(self._waves.lines, now)
            self._waves.lines = 0
            if not self._has_left:
                self._observations += self._mds.link("connected")
        for item in items:
            match item:
                case Breath():
                    self._observations += self._mds.values([unknown_numeric("S", item.number)])
                case Fault():
                    self._faults.append(item)
                case _:
                    self._observations.append(item)
