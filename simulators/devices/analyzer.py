"""What analyzers that are not ASTM have in common: timers, a clock, a ledger, and measurements in their turn.

an alarm is due ──▶ `_alarm(name)` ──▶ `_tell(bytes, message, results)` ──▶ the line, and `history` when it is whole
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import ClassVar

from simulators.devices.lab_results import HISTORY_KEPT, Result, Told, chosen
from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Emission, Option, Simulator

BACKLOG_S = 60.0
"""What should have been done longer ago than this is skipped when nobody has turned the clock."""

UNCHECKED_FAULTS: Mapping[str, str] = MappingProxyType(
    {name: text for name, text in COMMON_FAULTS.items() if name != "bad_checksum"}
)
"""The common faults of a protocol without checksum."""
ANALYZER_OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        **COMMON_OPTIONS,
        "every_s": Option("10", "a measurement each so many seconds"),
        "count": Option("", "stop after so many; empty: go on"),
        "started": Option("20260101080000", "what the analyzer's clock shows when it is switched on"),
    }
)


class Analyzer(Simulator):
    """Base of the laboratory devices: alarms, the device's clock, `sent` and `history`."""

    FAULTS: ClassVar[Mapping[str, str]] = UNCHECKED_FAULTS
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(UNCHECKED_FAULTS)
    OPTIONS: ClassVar[Mapping[str, Option]] = ANALYZER_OPTIONS
    HABITS: ClassVar[tuple[str, ...]] = ()
    """What the option `habits` may choose from."""

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent: list[Result] = []
        """Results that left the device undamaged and whole (where it waits for a word: and were confirmed)."""
        self.history: deque[Told] = deque(maxlen=HISTORY_KEPT)
        """The same message by message."""
        self._habits = chosen(self.options.get("habits", ""), self.HABITS, self.NAME)
        self._every_s = max(self.seconds("every_s"), 0.001)
        self._left = int(self.seconds("count")) if self.options["count"] else None
        try:
            self._clock_start = datetime.strptime(self.options["started"], "%Y%m%d%H%M%S")  # noqa: DTZ007
        except ValueError:
            raise ValueError(f"{self.NAME}: option started = {self.options['started']!r} is no time") from None
        self._alarms: dict[str, tuple[float, float]] = {}
        """Name → when it is due, seconds to the one after it (0: none)."""
        self._skip_to = 0.0
        self._is_restarting = False

    # -- what a protocol fills in ----------------------------------------------------------------------------------

    @abstractmethod
    def _power_up(self, now: float) -> None:
        """Switched on, or restarted: forget the talk under way."""

    @abstractmethod
    def _measure(self, now: float) -> None:
        """A measurement has ended."""

    def _alarm(self, name: str, now: float) -> None:
        """A timer of the protocol is due."""

    def _hear(self, data: bytes, now: float) -> None:
        """Bytes from the box: nothing may be said to this device."""
        self.illegal.append(data)

    @property
    def is_finished(self) -> bool:
        """Everything that will ever be measured was measured."""
        return self._left == 0

    # -- alarms ----------------------------------------------------------------------------------------------------

    def _set(self, name: str, at: float, period_s: float = 0.0) -> None:
        self._alarms[name] = (at, period_s)

    def _unset(self, *names: str) -> None:
        for name in names:
            self._alarms.pop(name, None)

    def _start(self, now: float) -> None:
        self._set("measure", now + min(self._every_s, 1.0), self._every_s)
        self._power_up(now)

    def _advance(self, now: float) -> None:
        self._skip_to = now - BACKLOG_S
        super()._advance(now)

    def _due(self) -> float | None:
        return min((at for at, _ in self._alarms.values()), default=None)

    def _tick(self, now: float) -> None:
        name = min(self._alarms, key=lambda alarm: self._alarms[alarm][0])
        at, period_s = self._alarms[name]
        if period_s and at < self._skip_to:
            self._alarms[name] = (at + math.ceil((self._skip_to - at) / period_s) * period_s, period_s)
            return
        if period_s:
            self._alarms[name] = (at + period_s, period_s)
        else:
            del self._alarms[name]
        if name != "measure":
            self._alarm(name, now)
            return
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._left = 0
                self._unset("measure")
        self._measure(now)

    def _thaw(self, now: float) -> None:
        self._alarms = {name: (max(at, now), period_s) for name, (at, period_s) in self._alarms.items()}
        if self._is_restarting:
            self._is_restarting = False
            self._alarms = {name: alarm for name, alarm in self._alarms.items() if name == "measure"}
            self._power_up(now)

    def _reboot(self, now: float) -> None:
        self._is_restarting = True

    # -- what is said ----------------------------------------------------------------------------------------------

    def _tell(self, data: bytes, at: float, message: str, results: Iterable[Result]) -> Emission:
        """Send a message nobody confirms; it counts when it leaves undamaged."""
        if not self._is_linked:
            return Emission(0)
        emission = self._emit(data, at)
        if emission.good:
            self._count(at, message, results)
        return emission

    def _count(self, at: float, message: str, results: Iterable[Result]) -> None:
        told = Told(at, message, tuple(results))
        self.sent.extend(told.results)
        self.history.append(told)

    def _clock(self, now: float) -> datetime:
        """What the device's own clock says; it has no zone."""
        return self._clock_start + timedelta(seconds=now - (self._started_at or 0.0))

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return frame  # has none, unless the protocol says so
