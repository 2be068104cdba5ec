"""A patient on a pulse oximeter: saturation, pulse rate, perfusion, the curve, and what goes wrong with a sensor.

Everything is a function of the seed and the time, so that a clock turned by a day costs what a second costs.
"""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

STEADY = "steady"
EPISODES = (
    "sensor_off", "searching", "low_perfusion", "interference", "out_of_track", "desaturation", "fast_pulse",
    "slow_pulse", "no_sensor", "defective_sensor", "low_battery",
)  # fmt: skip
"""What happens for a while, each in its turn; in `out_of_track` the last digits stay on the display."""
NO_SIGNAL = frozenset({"sensor_off", "searching", "no_sensor", "defective_sensor"})
EPISODE_LASTS_S = 20.0


class Pulse(NamedTuple):
    """What the oximeter has at one moment."""

    episode: str
    since_s: float
    """Seconds since the episode began; 0 when all is steady."""
    saturation: int
    """SpO2, %; also where there is no signal, as what would be measured."""
    rate: int
    """Pulse rate, /min; above 255 while the pulse is fast."""
    perfusion: float
    """Perfusion index, %."""

    @property
    def has_signal(self) -> bool:
        """Whether the values are measured."""
        return self.episode not in NO_SIGNAL


class PulsePatient:
    """Values that wander and, every `episode_every_s`, twenty seconds of something else; `episode` fixes one."""

    def __init__(self, seed: int, start: float, episode_every_s: float, episode: str) -> None:
        self._seed = seed
        self._start = start
        self._every_s = episode_every_s
        self._fixed = episode
        dice = Random(seed)  # noqa: S311
        self._phase = dice.uniform(0, 2 * math.pi)
        self._order = dice.sample(EPISODES, len(EPISODES))

    def at(self, now: float) -> Pulse:
        """What is measured at `now`."""
        t = max(0.0, now - self._start)
        dice = Random(self._seed * 1_000_003 + int(t))  # noqa: S311
        episode, since_s = self._episode(t)
        saturation = round(97 + 1.4 * math.sin(t / 37 + self._phase))
        rate = round(72 + 5 * math.sin(t / 53 + self._phase) + dice.uniform(-1, 1))
        perfusion = 3.6 + math.sin(t / 71 + self._phase)
        match episode:
            case "desaturation":
                saturation -= 14
            case "fast_pulse":
                rate += 190
            case "slow_pulse":
                rate -= 35
            case "low_perfusion":
                perfusion /= 20
        return Pulse(episode, since_s, saturation, rate, round(perfusion, 2))

    def _episode(self, t: float) -> tuple[str, float]:
        if self._fixed != "auto":
            return self._fixed, 0.0 if self._fixed == STEADY else t
        if self._every_s <= 0:
            return STEADY, 0.0
        number, since_s = divmod(t, self._every_s)
        if number < 1 or since_s >= EPISODE_LASTS_S:
            return STEADY, 0.0
        return self._order[(int(number) - 1) % len(self._order)], since_s

    def curve(self, now: float) -> float:
        """The plethysmogram, 0 to 1; flat at 0 where there is no signal."""
        t = max(0.0, now - self._start)
        if self._episode(t)[0] in NO_SIGNAL:
            return 0.0
        beat = t * 1.2 % 1.0
        return beat / 0.25 if beat < 0.25 else math.exp(-(beat - 0.25) * 4)
