"""The simulators by name."""

from __future__ import annotations

from simulators.devices.astm import Astm
from simulators.devices.draeger_medibus import DraegerMedibus
from simulators.devices.registers import Registers
from simulators.devices.simulator import Simulator

SIMULATORS: dict[str, type[Simulator]] = {
    simulator.NAME: simulator for simulator in (Astm, DraegerMedibus, Registers)
}
