"""What monitors and oximeters have in common: they speak by themselves, in turns, and have a clock of their own.

    a turn is due ──▶ `_turn(name)` ──▶ `_say(bytes, values)` ──▶ the line, and `history` when nothing struck it

A device to which nothing may be said keeps every byte from the box in `illegal`; one that is asked overrides `_hear`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import ClassVar, NamedTuple

from simulators.devices.pulse import EPISODES, STEADY, PulsePatient
from simulators.devices.simulator import COMMON_FAULTS, COMMON_OPTIONS, NO_OPTIONS, Emission, Option, Simulator

HISTORY_KEPT = 20_000
BACKLOG_S = 60.0
"""Turns older than this are skipped when nobody has turned the clock: their bytes would be lost in the UART."""
CLOCK_STEPS_S = (-86_400, -3_600, -7, 7, 3_600, 86_400)

UNCHECKED_FAULTS: Mapping[str, str] = MappingProxyType(
    {name: text for name, text in COMMON_FAULTS.items() if name != "bad_checksum"}
)
"""The common faults of a protocol without checksum."""
CLOCK_FAULT: Mapping[str, str] = MappingProxyType(
    {"clock_step": "the device's clock steps by seconds, an hour or a day, either way"}
)
REPORTER_OPTIONS: Mapping[str, Option] = MappingProxyType(
    {
        **COMMON_OPTIONS,
        "episode_every_s": Option("120", "seconds between two troubles of 20 seconds, each in its turn; 0 = none"),
        "episode": Option("auto", f"auto, or the one that lasts: {STEADY} | {' | '.join(EPISODES)}"),
    }
)
CLOCK_OPTION: Mapping[str, Option] = MappingProxyType(
    {"clock": Option("2026-11-24T14:30:15", "what the device's clock says when it is switched on")}
)


class Sent(NamedTuple):
    """Something that left the device undamaged."""

    at: float
    kind: str
    values: Mapping[str, str]
    """The vendor's code → the text that was sent."""


class Reporter(Simulator):
    """Base of the monitors and oximeters: turns, history, the patient's pulse and the device's clock."""

    FAULTS: ClassVar[Mapping[str, str]] = UNCHECKED_FAULTS
    FRAME_FAULTS: ClassVar[frozenset[str]] = frozenset(UNCHECKED_FAULTS)
    OPTIONS: ClassVar[Mapping[str, Option]] = REPORTER_OPTIONS

    def __init__(
        self, seed: int = 0, faults: frozenset[str] = frozenset(), options: Mapping[str, str] = NO_OPTIONS
    ) -> None:
        super().__init__(seed, faults, options)
        self.sent = 0
        """Frames of values that left the device undamaged."""
        self.history: deque[Sent] = deque(maxlen=HISTORY_KEPT)
        has_pulse = "episode" in self.OPTIONS
        self._episode = self.choice("episode", ("auto", STEADY, *EPISODES)) if has_pulse else STEADY
        self._episode_every_s = self.seconds("episode_every_s")
        self._patient = PulsePatient(seed, 0.0, self._episode_every_s, self._episode)
        self._turns: dict[str, tuple[float, float]] = {}
        """Turn → when it is next due, seconds to the one after it."""
        self._skip_to = 0.0
        self._is_restarting = False
        self._stepped_s = 0.0
        text = self.options.get("clock", "2026-01-01")
        try:
            self._clock_start = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{self.NAME}: option clock = {text!r} is no date and time") from None

    # -- what a protocol fills in ----------------------------------------------------------------------------------

    @abstractmethod
    def _power_up(self, now: float) -> None:
        """Switched on, or restarted: set the turns with `_repeat`, say what is said once."""

    @abstractmethod
    def _turn(self, name: str, now: float) -> None:
        """The turn `name` is due."""

    def _hear(self, data: bytes, now: float) -> None:
        """Bytes from the box: nothing may be said to this device."""
        self.illegal.append(data)

    # -- turns -----------------------------------------------------------------------------------------------------

    def _repeat(self, name: str, period_s: float, first_at: float) -> None:
        self._turns[name] = (first_at, max(period_s, 0.001))

    def _cease(self, name: str) -> None:
        self._turns.pop(name, None)

    def _start(self, now: float) -> None:
        self._patient = PulsePatient(self.seed, now, self._episode_every_s, self._episode)
        self._power_up(now)

    def _advance(self, now: float) -> None:
        self._skip_to = now - BACKLOG_S
        super()._advance(now)

    def _due(self) -> float | None:
        return min((at for at, _ in self._turns.values()), default=None)

    def _tick(self, now: float) -> None:
        name = min(self._turns, key=lambda turn: self._turns[turn][0])
        at, period_s = self._turns[name]
        if at < self._skip_to:
            self._turns[name] = (at + math.ceil((self._skip_to - at) / period_s) * period_s, period_s)
            return
        self._turns[name] = (at + period_s, period_s)
        if self._strikes("clock_step"):
            self._stepped_s += self._dice.choice(CLOCK_STEPS_S)
        self._turn(name, now)

    def _thaw(self, now: float) -> None:
        if self._is_restarting:
            self._is_restarting = False
            self._turns.clear()  # what was set between the fault and its silence
            self._power_up(now)
        else:
            self._turns = {name: (max(at, now), period_s) for name, (at, period_s) in self._turns.items()}

    def _reboot(self, now: float) -> None:
        self._turns.clear()
        self._is_restarting = True

    # -- what is said ----------------------------------------------------------------------------------------------

    def _say(self, data: bytes, at: float, kind: str = "", values: Mapping[str, str] | None = None) -> Emission:
        """Send a frame; with `values` it counts as one that tells something."""
        if not self._is_linked:
            return Emission(0)
        emission = self._emit(data, at)
        if emission.good and values is not None:
            self.sent += 1
            self.history.append(Sent(at, kind, MappingProxyType(dict(values))))
        return emission

    def _clock(self, now: float) -> datetime:
        """What the device's own clock says; it has no zone."""
        return self._clock_start + timedelta(seconds=now - (self._started_at or 0.0) + self._stepped_s)

    def _with_bad_checksum(self, frame: bytes) -> bytes:
        return frame  # has none, unless the protocol says so
