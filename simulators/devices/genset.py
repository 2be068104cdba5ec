"""A diesel generator behind a Deep Sea 73xx controller: GenComm 2.38 registers that live.

The mains come and go; when they are away the set runs. Fuel falls only while it runs, run time and starts count up.
Absent sensors answer with the sentinels of GenComm: FFFF and 7FFF unimplemented, 7FFC transducer fault.
Registers are zero-based, 32-bit ones have the high word first.
"""

from __future__ import annotations

import math
from random import Random

NOT_IMPLEMENTED_U16 = 0xFFFF
NOT_IMPLEMENTED_I16 = 0x7FFF
SENSOR_FAULT_I16 = 0x7FFC

OIL_PRESSURE, COOLANT, OIL_TEMPERATURE, FUEL, CHARGER, BATTERY, SPEED, FREQUENCY = range(1024, 1032)
VOLTAGES, CURRENTS, POWERS, MAINS_FREQUENCY, MAINS_VOLTAGES = 1032, 1044, 1052, 1059, 1060
RUN_TIME, STARTS = 1798, 1808
CRANKING_S = 3.0


class Genset:
    """What the controller would measure `t` seconds after it was switched on; at t = 0 the set runs, steady."""

    def __init__(self, seed: int, cycle_s: float, fuel_hours: float) -> None:
        self._seed = seed
        self._cycle_s = max(cycle_s, 2 * CRANKING_S)
        self._fuel_hours = max(fuel_hours, 0.001)

    def is_running(self, t: float) -> bool:
        """The first half of each cycle has no mains."""
        return t % self._cycle_s < self._cycle_s / 2

    def run_seconds(self, t: float) -> float:
        """Seconds run since switched on."""
        cycles, since = divmod(t, self._cycle_s)
        return cycles * self._cycle_s / 2 + min(since, self._cycle_s / 2)

    def registers(self, t: float) -> dict[int, int]:
        """Every register there is, as it stands now."""
        cycle = int(t // self._cycle_s)
        since = t % self._cycle_s
        runs = self.is_running(t)
        # At the very start nothing jitters and nothing cranks.
        ramp = 1.0 if cycle == 0 else min(1.0, since / CRANKING_S)
        jitter = Random(self._seed * 100_003 + int(t)).uniform if t >= 1 else _still  # noqa: S311
        speed = max(0, round(1500 * ramp + jitter(-4, 4))) if runs else 0
        hertz = round(speed / 3)
        volts = [max(0, round((2301 + 4 * phase) * ramp + jitter(-8, 8))) if runs else 0 for phase in range(3)]
        amps = [round(412 + 15 * phase + jitter(-20, 20)) if runs and ramp == 1 else 0 for phase in range(3)]
        mains = [0 if runs else round(2290 + 6 * phase + jitter(-10, 10)) for phase in range(3)]
        run_s = self.run_seconds(t)
        resting_s = max(0.0, since - self._cycle_s / 2)
        coolant = round(52 + 30 * math.exp(-resting_s / 600))
        values = {
            OIL_PRESSURE: NOT_IMPLEMENTED_U16,
            COOLANT: SENSOR_FAULT_I16 if cycle % 5 == 3 else coolant,
            OIL_TEMPERATURE: NOT_IMPLEMENTED_I16,
            FUEL: max(0, 73 - int(run_s * 100 / (self._fuel_hours * 3600))),
            CHARGER: 271 + round(jitter(-1, 1)) if runs and ramp == 1 else 0,
            BATTERY: 125 + round(jitter(-1, 1)) - (20 if runs and ramp < 1 else 0),
            SPEED: speed,
            FREQUENCY: hertz,
            MAINS_FREQUENCY: 0 if runs else 500,
        }
        watts = [volt * amp // 100 for volt, amp in zip(volts, amps, strict=True)]
        for first, three in ((VOLTAGES, volts), (CURRENTS, amps), (POWERS, watts), (MAINS_VOLTAGES, mains)):
            for phase, value in enumerate(three):
                values |= _two_words(first + 2 * phase, value)
        return values | _two_words(RUN_TIME, 1_234_567 + int(run_s)) | _two_words(STARTS, 208 + cycle)

    def bits(self, t: float) -> dict[int, bool]:
        """The simulator's own, not GenComm's: 0 running, 1 mains present; for the codes 1 and 2."""
        return {0: self.is_running(t), 1: not self.is_running(t)}


def _still(low: float, high: float) -> float:
    del low, high
    return 0.0


def _two_words(address: int, value: int) -> dict[int, int]:
    return {address: value >> 16 & 0xFFFF, address + 1: value & 0xFFFF}
