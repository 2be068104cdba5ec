"""What a driver costs: its share of one core while its simulated device talks as much as the driver can ask for.

The clock is turned by hand, so ten minutes of a device pass in seconds; what is measured is the CPU time spent inside
the driver and the line-quality gate behind it, not the simulator's.
"""

import time
from typing import Any

from drivers import catalog
from tests.pairs.devices import MONITORS, OXIMETERS, SKETCHES, VENTILATORS
from tests.pairs.pairing import Device, Talk

SECONDS = 600.0
LOAD = {"bbraun_bcc": {"pumps": "24"}}
"""What makes the simulated device talk most."""


class Timed:
    """A driver (or the gate) whose calls are timed."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.cpu_s = 0.0

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        def timed(*given: Any) -> Any:
            before = time.process_time()
            try:
                return call(*given)
            finally:
                self.cpu_s += time.process_time() - before

        return timed


def percent(device: Device) -> float:
    """Share of one core, in per cent of real time."""
    driver, name = device.right[0].split("/")
    talk = Talk(catalog.profile(driver, name), device.make(LOAD.get(driver, {})), device.asks)
    inner, gate = Timed(talk.driver), Timed(talk.gate)
    talk.driver, talk.gate = inner, gate  # type: ignore[assignment]
    talk.until(SECONDS)
    return 100 * (inner.cpu_s + gate.cpu_s) / SECONDS


def measure() -> dict[str, float]:
    """Each driver's dearest profile."""
    found: dict[str, float] = {}
    for device in (*VENTILATORS, *SKETCHES, *OXIMETERS, *MONITORS):
        driver = device.right[0].partition("/")[0]
        found[driver] = max(found.get(driver, 0.0), percent(device))
    return found
