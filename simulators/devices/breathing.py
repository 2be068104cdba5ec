"""A patient on an Evita 4: the numbers, texts, alarms and curves of the ventilator simulator.

Codes, units and widths: "Data definitions for intensive care devices", Evita 4 columns. A value that is not measured
is left out; of the pairs 06/07, 08/0B, 7A/B7, 82/88 and B8/B9 only one is ever there.
"""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

BREATH_S = 4.0
INSPIRATION_S = 1.3
ALARM_LASTS_S = 15.0
STEPS_LIMIT = 2_000

CURVES: dict[str, tuple[int, int, int]] = {
    "00": (-10, 100, 0x370),  # airway pressure, mbar
    "01": (-200, 200, 0xFA0),  # flow, L/min
    "03": (0, 3000, 0xBB8),  # volume since the beginning of inspiration, mL
    "06": (-20, 100, 0x460),  # CO2, mmHg
    "24": (0, 3000, 0xBB8),  # expired volume, mL
}
"""Real-time data: code → minimum, maximum, largest bin."""
CURVE_INTERVAL_S = 0.016


class Alarm(NamedTuple):
    """One active alarm."""

    codepage: int
    priority: int
    code: str
    phrase: str


ALARMS = (
    Alarm(1, 30, "19", "MIN VOL LOW"),
    Alarm(1, 30, "10", "PAW HIGH"),
    Alarm(1, 30, "98", "APNEA"),
    Alarm(1, 29, "27", "ET CO2 $&"),  # `$&` stands for LOW
    Alarm(1, 31, "42", "FLOW SENSOR?"),
    Alarm(2, 10, "9C", "LEAKAGE"),
    Alarm(2, 8, "66", "APNEA OFF"),
)
STANDBY = Alarm(2, 31, "95", "STANDBY")


class Patient:
    """Values that wander a little each `period_s`, and breaths of four seconds."""

    def __init__(self, seed: int, start: float, period_s: float, alarm_every_s: float, is_standby: bool) -> None:
        self._rng = Random(seed)  # noqa: S311
        self._seed = seed
        self._start = start
        self._period_s = max(period_s, 0.001)
        self._alarm_every_s = alarm_every_s
        self._is_standby = is_standby
        self._step = -1
        self._walk = {
            "compliance": 42.0, "resistance": 10.2, "peak": 22.0, "peep": 5.0, "volume": 480.0, "rate": 15.0,
            "spontaneous": 2.0, "oxygen": 40.0, "co2": 38.0, "temperature": 36.0,
        }  # fmt: skip
        self._target = dict(self._walk)
        self._absent: frozenset[str] = frozenset()

    def measured(self, now: float) -> dict[str, str]:
        """Measured data, codepage 1: code → 4 characters."""
        if self._is_standby:
            return {}
        self._wander(now)
        w = self._walk
        volume_l = w["volume"] / 1000
        minute = volume_l * w["rate"]
        spontaneous = volume_l * 0.6 * w["spontaneous"]
        values = {
            "06": f"{w['compliance']:4.1f}",
            "0B": f"{w['resistance']:4.1f}",
            "71": _whole(w["peep"] - 1),
            "72": f"{w['resistance'] / 6:4.1f}",
            "73": _whole(w["peep"] + (w["peak"] - w["peep"]) * 0.35),
            "74": _whole(w["peak"] - 3),
            "78": _whole(w["peep"]),
            "79": f"{w['resistance'] / 20:4.1f}",
            "7D": _whole(w["peak"]),
            "81": _whole(w["volume"] / 60),
            "89": _whole(w["volume"] / 3.2),
            "B5": _whole(w["spontaneous"]),
            "C1": _whole(w["temperature"]),
            "D6": _whole(w["rate"]),
            "E6": _whole(w["co2"]),
            "F0": _whole(w["oxygen"]),
        }
        values["88" if volume_l < 1 else "82"] = _whole(w["volume"]) if volume_l < 1 else f"{volume_l:4.2f}"
        values["B8" if minute < 1 else "B9"] = f"{minute:4.2f}" if minute < 1 else f"{minute:4.1f}"
        values["7A" if spontaneous < 1 else "B7"] = (
            f"{spontaneous:4.2f}" if spontaneous < 1 else f"{spontaneous:4.1f}"
        )
        return {code: values[code] for code in sorted(values) if code not in self._absent}

    def _wander(self, now: float) -> None:
        step = int((now - self._start) / self._period_s)
        if step - self._step > STEPS_LIMIT:
            self._step = step - STEPS_LIMIT
        while self._step < step:
            self._step += 1
            for name, target in self._target.items():
                value = self._walk[name]
                self._walk[name] = value + (target - value) * 0.2 + self._rng.uniform(-0.02, 0.02) * target
            # P0.1 and intrinsic PEEP are manoeuvres; CO2 is away while its sensor is being calibrated.
            absent = [code for code, chance in (("72", 0.8), ("79", 0.8), ("81", 0.8), ("E6", 0.05))
                      if self._rng.random() < chance]  # fmt: skip
            self._absent = frozenset(absent)

    def low_limits(self) -> dict[str, str]:
        """Low alarm limits, codepage 1."""
        return {"B9": " 4.0", "E6": " 30 "}

    def high_limits(self) -> dict[str, str]:
        """High alarm limits, codepage 1."""
        return {"7D": " 40 ", "B9": "12.0", "D6": " 35 ", "E6": " 50 "}

    def settings(self) -> dict[str, str]:
        """Device settings: code → 5 characters."""
        return {
            "01": "  40 ", "02": "  60 ", "04": "0.480", "05": "  1.3", "09": "  15 ", "0B": "  5.0",
            "12": "  10 ", "13": "  35 ", "16": "  35 ", "29": "  3.0", "2E": " 0.20",
        }  # fmt: skip

    def texts(self) -> dict[str, str]:
        """Text messages: code → text."""
        mode = {"1E": "STANDBY"} if self._is_standby else {"07": "SIMV/ASB"}
        return mode | {"20": "ADULT", "22": "mmHg", "48": "INVASIVE"}

    def alarms(self, codepage: int, now: float) -> list[Alarm]:
        """Alarms that are active now."""
        active = [STANDBY] if self._is_standby else []
        if not self._is_standby and self._alarm_every_s > 0:
            episode, since = divmod(now - self._start, self._alarm_every_s)
            if episode >= 1 and since < ALARM_LASTS_S:
                dice = Random(self._seed * 1_000_003 + int(episode))  # noqa: S311
                active = dice.sample(ALARMS, dice.choice((1, 1, 2)))
        return [alarm for alarm in active if alarm.codepage == codepage]

    def is_inspiring(self, now: float) -> bool:
        """Whether the breath is in its inspiration."""
        return (now - self._start) % BREATH_S < INSPIRATION_S

    def bin_of(self, code: str, now: float) -> int | None:
        """The value of a curve as its 12-bit bin; None when it is not measured now."""
        if code == "06" and "E6" in self._absent:
            return None
        low, high, largest = CURVES[code]
        share = (self._curve(code, (now - self._start) % BREATH_S) - low) / (high - low)
        return max(0, min(largest, round(share * largest)))

    def _curve(self, code: str, t: float) -> float:
        w = self._walk
        rise = t < INSPIRATION_S
        since = t if rise else t - INSPIRATION_S
        span = w["peak"] - w["peep"]
        match code:
            case "00":
                return w["peep"] + span * (1 - math.exp(-since / 0.3) if rise else math.exp(-since / 0.4))
            case "01":
                return w["volume"] / 1000 / INSPIRATION_S * 60 if rise else -60 * math.exp(-since / 0.5)
            case "03":
                return w["volume"] * (since / INSPIRATION_S if rise else math.exp(-since / 0.5))
            case "24":
                return 0.0 if rise else w["volume"] * (1 - math.exp(-since / 0.5))
            case _:
                return 0.0 if rise else w["co2"] * (1 - math.exp(-since / 0.25))


def _whole(value: float) -> str:
    """A whole number in four characters as the device prints it: ` 24 `, `480 `, `1250`."""
    text = f"{round(value):3d} "
    return text if len(text) == 4 else text.strip()
