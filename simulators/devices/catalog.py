"""The simulators by name."""

from __future__ import annotations

from simulators.devices.astm import Astm
from simulators.devices.bbraun_bcc import BbraunBcc
from simulators.devices.beckman_au import BeckmanAu
from simulators.devices.biomerieux_bci import BiomerieuxBci
from simulators.devices.bis_vista import BisVista
from simulators.devices.capnostream import Capnostream
from simulators.devices.contec_cms50 import ContecCms50
from simulators.devices.draeger_medibus import DraegerMedibus
from simulators.devices.fresenius_agilia import FreseniusAgilia
from simulators.devices.ge_dash import GeDash
from simulators.devices.ge_dri import GeDri
from simulators.devices.hamilton_g5 import HamiltonG5
from simulators.devices.hl7_lab import Hl7Lab
from simulators.devices.hl7_monitor import Hl7Monitor
from simulators.devices.horiba_abx import HoribaAbx
from simulators.devices.masimo_ascii import MasimoAscii
from simulators.devices.mindray_bc_serial import MindrayBcSerial
from simulators.devices.mindray_pds import MindrayPds
from simulators.devices.nellcor_ascii import NellcorAscii
from simulators.devices.nonin import Nonin
from simulators.devices.ohmeda_com import OhmedaCom
from simulators.devices.philips_intellivue import PhilipsIntellivue
from simulators.devices.puritan_bennett import PuritanBennett, PuritanBennettWaveforms
from simulators.devices.registers import Registers
from simulators.devices.respironics_v60 import RespironicsV60
from simulators.devices.servo_cie import ServoCie
from simulators.devices.servo_sci import ServoSci
from simulators.devices.simulator import Simulator
from simulators.devices.sysmex_kx import SysmexKx

SIMULATORS: dict[str, type[Simulator]] = {
    simulator.NAME: simulator
    for simulator in (
        Astm,
        BbraunBcc,
        BeckmanAu,
        BiomerieuxBci,
        BisVista,
        Capnostream,
        ContecCms50,
        DraegerMedibus,
        FreseniusAgilia,
        GeDash,
        GeDri,
        HamiltonG5,
        Hl7Lab,
        Hl7Monitor,
        HoribaAbx,
        MasimoAscii,
        MindrayBcSerial,
        MindrayPds,
        NellcorAscii,
        Nonin,
        OhmedaCom,
        PhilipsIntellivue,
        PuritanBennett,
        PuritanBennettWaveforms,
        Registers,
        RespironicsV60,
        ServoCie,
        ServoSci,
        SysmexKx,
    )
}
