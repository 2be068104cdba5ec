"""The simulators by name."""

from __future__ import annotations

from simulators.devices.astm import Astm
from simulators.devices.bbraun_bcc import BbraunBcc
from simulators.devices.draeger_medibus import DraegerMedibus
from simulators.devices.fresenius_agilia import FreseniusAgilia
from simulators.devices.hamilton_g5 import HamiltonG5
from simulators.devices.ohmeda_com import OhmedaCom
from simulators.devices.puritan_bennett import PuritanBennett, PuritanBennettWaveforms
from simulators.devices.registers import Registers
from simulators.devices.respironics_v60 import RespironicsV60
from simulators.devices.servo_cie import ServoCie
from simulators.devices.servo_sci import ServoSci
from simulators.devices.simulator import Simulator

SIMULATORS: dict[str, type[Simulator]] = {
    simulator.NAME: simulator
    for simulator in (
        Astm,
        BbraunBcc,
        DraegerMedibus,
        FreseniusAgilia,
        HamiltonG5,
        OhmedaCom,
        PuritanBennett,
        PuritanBennettWaveforms,
        Registers,
        RespironicsV60,
        ServoCie,
        ServoSci,
    )
}
