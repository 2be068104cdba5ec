"""The simulated devices of the pairs, with the profiles that are right for each; it is read by the first."""

from typing import Any

from tests.pairs.pairing import Device

MODELS = ("evita", "evita_2", "evita_2_dura", "evita_4", "evita_xl", "savina")
ALL_OF_MEDIBUS = {"poll_s": 1.0, "alarms_s": 2.0, "settings_s": 5.0, "limits_s": 5.0, "curves": ("00", "01", "03")}
ALL_OF_SERVO = {"poll_s": 2.0, "alarms_s": 1.0, "settings_s": 5.0}
CIE = ALL_OF_SERVO | {"curves": ("100", "113"), "interval_us": 20_000}
SCI = ALL_OF_SERVO | {"curves": ("000", "001"), "interval_us": 10_000}


RS232, LAN = ({"transport": transport, "linked": "always"} for transport in ("rs232", "lan"))
FRENCH = {"language": "fr"}


def _device(driver: str, profile: str, options: dict[str, str], asks: dict[str, Any]) -> Device:
    return Device(driver, (f"{driver}/{profile}",), options, asks)


VENTILATORS = (
    *(_device("draeger_medibus", model, {"model": model}, ALL_OF_MEDIBUS) for model in MODELS),
    _device("draeger_medibus", "generic", {"model": "fabius"}, {"poll_s": 1.0, "alarms_s": 2.0}),
    *(_device("puritan_bennett", f"pb_{model}", {"model": model}, {"poll_s": 2.0}) for model in ("840", "980")),
    *(_device("servo_cie", model, {"model": model}, CIE) for model in ("servo_i", "servo_s")),
    *(_device("servo_sci", model, {"model": model}, SCI) for model in ("servo_u", "servo_n", "servo_air")),
    Device("bbraun_bcc", ("bbraun_bcc/space", "bbraun_bcc/compact_plus"), {"stuffing": "yes", "pumps": "6"}),
)
SKETCHES = (
    Device("respironics_v60", ("respironics_v60/v60",)),
    Device("hamilton_g5", ("hamilton_g5/g5",)),
    Device("ohmeda_com", ("ohmeda_com/aestiva",)),
    Device("fresenius_agilia", ("fresenius_agilia/base_a",)),
)
OXIMETERS = (
    Device("masimo_ascii", ("masimo_ascii/ascii_1",)),
    Device("masimo_ascii", ("masimo_ascii/radical_5",), {"fields": "short", "serial": ""}),
    *(_device("nonin", kind, {"format": kind}, {}) for kind in ("ascii", "df2", "df7", "df8")),
    _device("nonin", "df13", {"format": "df13", "spot_every_s": "1"}, {}),
    Device("nellcor_ascii", ("nellcor_ascii/npb_290",)),
    Device("nellcor_ascii", ("nellcor_ascii/n_595",), {"model": "n595"}),
    Device("contec_cms50", ("contec_cms50/cms50_v5",)),
)
MONITORS = (
    Device("capnostream", ("capnostream/capnostream_20",)),
    Device("bis_vista", ("bis_vista/bis_vista",)),
    Device("mindray_pds", ("mindray_pds/monitor",), {"language": "fr"}),
    Device("ge_dri", ("ge_dri/carescape", "ge_dri/b_series", "ge_dri/s5"), {"model": "carescape", "language": "fr"}),
    Device("hl7_monitor", ("hl7_monitor/generic", "hl7_monitor/mdc")),
    _device("philips_intellivue", "intellivue", RS232 | FRENCH, {}),
    _device("philips_intellivue", "intellivue_lan", LAN | FRENCH, {}),
    Device("ge_dash", ("ge_dash/dash_requested",)),
)
"""Texts of alarms in French where a monitor has them."""
WITH_CURVES = (
    _device("philips_intellivue", "intellivue", RS232, {"curves": ("4BB4", "0102", "4A14")}),
    _device("philips_intellivue", "intellivue_lan", LAN, {"curves": ("4BB4", "0102", "4A14")}),
    _device("ge_dri", "carescape", {"model": "carescape"}, {"curves": ("ECG1", "INVP1", "CO2")}),
    _device("nonin", "df2", {"format": "df2"}, {"curves": ("PLETH",)}),
)
PUSHING = Device("mindray_pds", ("mindray_pds/push",), {"role": "client"}, {"bed": "192.168.8.188"})
"""It is believed only where the configuration names its bed, so it has a day of its own, and no confusions."""
_NONIN = {"SPO2": "SPO2", "SpO2": "SPO2", "HR": "HR", "SpO2-D": "SPO2-D", "HR-D": "HR-D", "PR": "HR"}
SAME_WORDS: dict[str, dict[str, str]] = {
    "respironics_v60": {f"VRPT.{field}": str(field) for field in (77, 85, 87)},
    "hamilton_g5": {},
    "ohmeda_com": {"VTD.4": "volume", "VTD.12": "rate", "VTD.18": "peak", "VTD.24": "mean_pressure"},
    "fresenius_agilia": {"d": "d", "r": "r"},
    "masimo_ascii": {"SPO2": "SPO2", "BPM": "BPM", "PI": "PI"},
    "nonin": _NONIN,
    "nellcor_ascii": {"%SPO2": "%SPO2", "BPM": "BPM", "PA": "PA"},
    "contec_cms50": {"SpO2": "SPO2", "PR": "PR"},
    "capnostream": {name: name for name in ("EtCO2", "FiCO2", "RR", "SpO2", "PR")},
    "bis_vista": {f"{channel}.{name}": f"{name}.{channel}" for channel in (1, 2) for name in ("BIS", "SEF95", "EMG")},
    "ge_dri": {
        "ECG.hr": "ecg.hr",
        "ECG.st1": "ecg.st1",
        "ART.sys": "p1.sys",
        "ART.dia": "p1.dia",
        "ART.mean": "p1.mean",
    },
    "hl7_monitor": {},
    "philips_intellivue": {code: code for code in ("4182", "4BB8", "4822", "500A", "4A15", "4A05", "4A06", "4A07")},
    "ge_dash": {code: code for code in ("3A.0", "22.0", "2D.0", "2D.1", "18.0", "18.1", "18.2")},
    "mindray_pds": {str(code): str(code) for code in (101, 151, 160, 161, 170, 171, 172)},
}
"""Where the two hands mean the same: the driver's vendor code to the simulator's."""
DEVICES = (
    *VENTILATORS,
    *SKETCHES,
    *OXIMETERS,
    *MONITORS,
    Device("astm", ("astm/sysmex_xp",)),
    Device("astm", ("astm/erba_xl",), {"profile": "erba_xl"}),
    Device("ge_dri", ("ge_dri/s5", "ge_dri/b_series", "ge_dri/carescape"), {"model": "s5"}),
    Device("registers", ()),
)
