"""A patient on a ventilator: the quantities, alarms and curves of the MEDIBUS simulators.

A value that is not measured is absent. How the quantities are coded and printed stands in `medibus_models.py`.
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
    "20": (0, 200, 0x7D0),  # inspiratory flow, L/min
    "21": (0, 200, 0x7D0),  # expiratory flow, L/min
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

    def __init__(
        self,
        seed: int,
        start: float,
        period_s: float,
        alarm_every_s: float,
        is_standby: bool,
        alarms: tuple[tuple[Alarm, ...], Alarm | None] | None = None,
    ) -> None:
        self._alarms, self._standby_alarm = alarms or (ALARMS, STANDBY)
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

    def quantities(self, now: float) -> dict[str, float]:
        """What is measured now: quantity → value; empty in standby."""
        if self._is_standby:
            return {}
        self._wander(now)
        w = self._walk
        volume_l = w["volume"] / 1000
        return (
            w
            | {
                "minimum_pressure": w["peep"] - 1,
                "p01": w["resistance"] / 6,
                "mean_pressure": w["peep"] + (w["peak"] - w["peep"]) * 0.35,
                "plateau_pressure": w["peak"] - 3,
                "intrinsic_peep": w["resistance"] / 20,
                "trapped_volume": w["volume"] / 60,
                "tidal_volume_l": volume_l,
                "dead_space": w["volume"] / 3.2,
                "dead_space_percent": 31 + w["spontaneous"],
                "minute_volume": volume_l * w["rate"],
                "spontaneous_volume": volume_l * 0.6 * w["spontaneous"],
                "assisted_volume": w["volume"] * 0.9,
                "inspiratory_force": -w["peak"],
                "shallow_breathing": w["rate"] / volume_l,
                "co2_production": w["co2"] * 5,
                "pulse": w["rate"] * 5,
                "saturation": 98 - w["spontaneous"] / 2,
                "peak_flow_ml_s": w["volume"] / INSPIRATION_S * 1.5,
                "inspiration_s": INSPIRATION_S,
                "plateau_s": INSPIRATION_S / 4,
                "ratio_inspiration": 1.0,
                "ratio_expiration": (BREATH_S - INSPIRATION_S) / INSPIRATION_S,
                "battery_percent": 100.0,
                "oxygen_accuracy": 95 + w["spontaneous"],
            }
            | self._gases()
        )

    def _gases(self) -> dict[str, float]:
        """What an anaesthesia machine measures besides."""
        w = self._walk
        return {
            "sevoflurane_in_kpa": w["oxygen"] / 20,
            "sevoflurane_out_kpa": w["oxygen"] / 25,
            "mac_in": w["oxygen"] / 40,
            "mac_out": w["oxygen"] / 50,
            "ambient_pressure": 977 + w["temperature"],
            "leakage": w["resistance"] * 5,
            "co2_in_percent": w["co2"] / 380,
            "n2o_flow": w["volume"],
            "air_flow": w["volume"] * 2,
            "oxygen_flow": w["volume"] * 1.5,
            "oxygen_out": w["oxygen"] - 4,
            "n2o_in": w["oxygen"] + 10,
            "n2o_out": w["oxygen"] + 8,
        }

    @property
    def absent(self) -> frozenset[str]:
        """Codes without a value now."""
        return self._absent

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

    def alarms(self, codepage: int, now: float) -> list[Alarm]:
        """Alarms that are active now."""
        active = [self._standby_alarm] if self._is_standby and self._standby_alarm else []
        if not self._is_standby and self._alarm_every_s > 0:
            episode, since = divmod(now - self._start, self._alarm_every_s)
            if episode >= 1 and since < ALARM_LASTS_S:
                dice = Random(self._seed * 1_000_003 + int(episode))  # noqa: S311
                active = dice.sample(self._alarms, dice.choice((1, 1, 2)))
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
            case "20":
                return w["volume"] / 1000 / INSPIRATION_S * 60 if rise else 0.0
            case "21":
                return 0.0 if rise else 60 * math.exp(-since / 0.5)
            case "03":
                return w["volume"] * (since / INSPIRATION_S if rise else math.exp(-since / 0.5))
            case "24":
                return 0.0 if rise else w["volume"] * (1 - math.exp(-since / 0.5))
            case _:
                return 0.0 if rise else w["co2"] * (1 - math.exp(-since / 0.25))
