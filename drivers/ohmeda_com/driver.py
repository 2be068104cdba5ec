"""GE Datex-Ohmeda Aestiva and Aespire: two commands, then the machine sends lines by itself.

    box ─▶ ┌─────┬──────┬────┐      ┌──────────────────────┬────┐ ─▶ box      VTDw  no checksum
           │ ESC │ VTDw │ CR │      │ answer               │ CR │             "VTX " send by yourself
           └─────┴──────┴────┘      └──────────────────────┴────┘
                                    ┌───────┬──────────────┬────┐
                                    │ :VTD  │ 27 columns   │ CR │ ─▶ box      measured
                                    │ :VTQ  │ 53 columns   │ CR │             settings
                                    └───────┴──────────────┴────┘

patnatha/DownVent, `aestiva.py`, sections "send_msg" and the loop that reads; the vendor's "Ohmeda COM 1.0 Serial
Protocol v1.5" was not read, so the tier is *sketch*. lines.py finds the lines; the columns are in profile.toml.
"""

import re
from decimal import Decimal
from typing import ClassVar

from drivers.asking import Manners, Question
from drivers.contract import Fault
from drivers.conversation import Asking
from drivers.observation import Enumeration, Numeric
from drivers.ohmeda_com.lines import Item, Line, Other, Scanner
from drivers.ohmeda_com.options import Options as OhmedaOptions
from drivers.profile import Metric, Profile

SETUP = (Question("VTDw", b"\x1bVTDw\r"), Question("VTX ", b"\x1bVTX \r"))
MANNERS = Manners(patience_s=2.0, spacing_s=0.1, repeats=1, per_minute=20)
STATUS_COLUMN, NEW_BREATH = 30, "@"
"""40H in the last column of `:VTD`."""
BREATH_MEMORY_S = 60.0
"""No new breath for so long: no word any more of whether it ventilates."""
_NUMBER = re.compile(r"[0-9]+")
"""Every column a digit, as in the source's `0030`: a blank is one bit from a 0, and nothing else would show it."""


class OhmedaComDriver(Asking):
    """One anaesthesia machine that sends by itself. No goodbye is known: it goes on sending."""

    name: ClassVar[str] = "ohmeda_com"
    version: ClassVar[int] = 1
    Options: ClassVar[type[OhmedaOptions]] = OhmedaOptions

    def __init__(self, profile: Profile, _options: OhmedaOptions) -> None:
        super().__init__(profile, MANNERS, SETUP)
        self._rows: dict[str, list[tuple[int, int, Metric]]] = {"VTD": [], "VTQ": []}
        for metric in profile.metric:
            name, _dot, first = metric.code.partition(".")
            self._rows[name].append((int(first), int(metric.extra["width"]), metric))
        self._scanner = Scanner()
        self._again_at = 0.0
        self._last_breath: float | None = None

    def _forget(self) -> None:
        self._scanner.drop()
        self._again_at = self._now + self._stale_after_s
        self._last_breath = None

    def _receive(self, data: bytes) -> None:
        for item in self._scanner.feed(data):
            self._take(item)

    def _ask(self) -> None:
        if self._is_open:
            self._watch_time()
        super()._ask()

    def _watch_time(self) -> None:
        if self._now >= self._again_at:  # switched off and on, perhaps: it has forgotten both commands
            self._again_at = self._now + self._stale_after_s
            if not self._asker.asked and self._asker.wake_at() is None:
                self._asker.restart(self._now)
        if self._last_breath is not None and self._now >= self._last_breath + BREATH_MEMORY_S:
            self._last_breath = None
            self._observations += self._mds.operate("unknown")

    def _wake_times(self) -> list[float]:
        breath = [] if self._last_breath is None else [self._last_breath + BREATH_MEMORY_S]
        return [self._again_at, *breath, *super()._wake_times()]

    def _take(self, item: Item) -> None:
        if isinstance(item, Fault):
            self._faults.append(item)
        elif isinstance(item, Other):
            if self._asker.asked:
                self._asker.answered(self._now)
            else:
                self._faults.append(Fault("unknown_line"))
        else:
            self._read(item)

    def _read(self, line: Line) -> None:
        self._verified()
        if not self._is_open:
            return
        self._again_at = self._now + self._stale_after_s
        if line.name == "VTD" and line.column(STATUS_COLUMN, 1) == NEW_BREATH:
            self._last_breath = self._now
            self._observations += self._mds.operate("in_use")
        columns = ((metric, line.column(first, width)) for first, width, metric in self._rows[line.name])
        self._observations += self._mds.values([observe(metric, text) for metric, text in columns])


def observe(metric: Metric, text: str) -> Numeric | Enumeration:
    """One field: a word, a number in its unit, or what no source explains, as sent."""
    if metric.kind == "enumeration":
        return metric.enumeration(text, text)
    if not metric.unit:
        return metric.numeric(None, text, reason="unit_unknown")
    if not _NUMBER.fullmatch(text):
        return metric.numeric(None, text, reason="missing")
    return metric.numeric(Decimal(text) * Decimal(metric.extra.get("scale", "1")), text)
