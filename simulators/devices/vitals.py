"""A small patient for the monitors: vital signs that wander, a cuff that is blown up now and then, alarms, curves."""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

STEPS_LIMIT = 2_000
ALARM_LASTS_S = 15.0
BREATH_S = 4.0
SENSOR_OFF = "sensor_off"
"""The alarm during which the oximeter has no values."""
ALARMS = {"spo2_high": 2, "hr_high": 1, "rr_low": 3, SENSOR_OFF: 4}
"""What may alarm and how urgent it is: 1 high, 2 medium, 3 low, 4 a message."""

TARGETS = {
    "hr": 72.0, "pvc": 1.0, "st_1": 0.1, "st_2": -0.2, "st_3": 0.3, "rr": 15.0, "spo2": 97.0, "pi": 3.6,
    "temp_1": 36.8, "temp_2": 36.1, "art_sys": 122.0, "art_mean": 92.0, "art_dia": 78.0, "pa_sys": 25.0,
    "pa_mean": 16.0, "pa_dia": 11.0, "cvp": 6.0, "icp": 9.0, "etco2": 38.0, "o2_in": 40.0, "o2_out": 35.0,
    "aa_in": 1.8, "aa_out": 1.5, "mac": 0.8, "ppeak": 22.0, "peep": 5.0, "pplat": 18.0, "vte": 480.0,
    "compliance": 42.0, "cardiac_output": 5.2, "bis": 45.0, "glucose": 5.4,
}  # fmt: skip
MAY_BE_ABSENT = ("pi", "temp_2", "st_1", "etco2", "cvp", "icp", "aa_out", "bis", "pvc")
OXIMETER = ("spo2", "pr", "pi")


class Cuff(NamedTuple):
    """One measurement of the cuff."""

    number: int
    at: float
    sys: float
    dia: float
    mean: float
    pulse: float


class Vitals:
    """The same seed, start and looks give the same patient."""

    def __init__(
        self,
        seed: int,
        start: float,
        period_s: float = 1.0,
        alarm_every_s: float = 60.0,
        cuff_every_s: float = 300.0,
        absent_rate: float = 0.05,
    ) -> None:
        self._rng = Random(seed)  # noqa: S311
        self._seed = seed
        self._start = start
        self._period_s = max(period_s, 0.001)
        self._alarm_every_s = alarm_every_s
        self._cuff_every_s = cuff_every_s
        self._absent_rate = absent_rate
        self._step = -1
        self._walk = dict(TARGETS)
        self._absent: frozenset[str] = frozenset()

    def values(self, now: float) -> dict[str, float]:
        """Quantity → value at `now`, pressures in mmHg; what is not measured now is left out."""
        self._wander(now)
        w = self._walk
        values = w | {"pr": w["hr"] + 0.3, "co2_rr": w["rr"], "co2_in": 0.4, "mv": w["vte"] * w["rr"] / 1000}
        away = set(self._absent)
        if SENSOR_OFF in self.alarms(now):
            away.update(OXIMETER)
        return {name: value for name, value in values.items() if name not in away}

    def _wander(self, now: float) -> None:
        step = int((now - self._start) / self._period_s)
        self._step = max(self._step, step - STEPS_LIMIT)
        while self._step < step:
            self._step += 1
            for name, target in TARGETS.items():
                value = self._walk[name]
                self._walk[name] = value + (target - value) * 0.2 + self._rng.uniform(-0.01, 0.01) * target
            self._absent = frozenset(name for name in MAY_BE_ABSENT if self._rng.random() < self._absent_rate)

    def cuff(self, now: float) -> Cuff | None:
        """The last measurement of the cuff; None before the first, which comes after a tenth of the interval."""
        if self._cuff_every_s <= 0:
            return None
        number = math.floor((now - self._start) / self._cuff_every_s - 0.1)
        if number < 0:
            return None
        dice = Random(self._seed * 999_983 + number)  # noqa: S311
        sys, dia = dice.randint(105, 135), dice.randint(60, 85)
        at = round(self._start + (number + 0.1) * self._cuff_every_s, 3)
        return Cuff(number, at, sys, dia, round(dia + (sys - dia) / 3), dice.randint(62, 88))

    def alarms(self, now: float) -> dict[str, int]:
        """Active alarms: name → urgency, 1 high to 4 message."""
        if self._alarm_every_s <= 0:
            return {}
        episode, since = divmod(now - self._start, self._alarm_every_s)
        if episode < 1 or since >= ALARM_LASTS_S:
            return {}
        names = sorted(ALARMS)
        chosen = {names[int(episode) % len(names)], Random(self._seed * 1_000_003 + int(episode)).choice(names)}  # noqa: S311
        return {name: ALARMS[name] for name in sorted(chosen)}

    def alarms_since(self, now: float) -> float:
        """When the alarms that are active began; `now` when there are none."""
        if not self.alarms(now):
            return now
        return now - (now - self._start) % self._alarm_every_s

    def curve(self, quantity: str, now: float) -> float:
        """A point of a curve: `ecg` in mV, `pleth` in %, `art` in mmHg, `resp` 0 to 1, `co2` in mmHg."""
        w = self._walk
        beat = ((now - self._start) * w["hr"] / 60) % 1.0
        breath = ((now - self._start) % BREATH_S) / BREATH_S
        match quantity:
            case "ecg":
                spike = math.exp(-(((beat - 0.2) / 0.015) ** 2))
                return 1.2 * spike + 0.2 * math.exp(-(((beat - 0.45) / 0.05) ** 2))
            case "pleth":
                return 50 + 40 * math.sin(2 * math.pi * beat)
            case "art":
                return w["art_dia"] + (w["art_sys"] - w["art_dia"]) * max(0.0, math.sin(math.pi * beat)) ** 2
            case "resp":
                return 0.5 - 0.5 * math.cos(2 * math.pi * breath)
            case _:  # co2
                return w["etco2"] * (1 - math.exp(-(breath - 0.4) * 15)) if breath > 0.4 else 0.0
