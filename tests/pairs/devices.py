"""The simulated devices of the pairs, with the profiles that are right for each; it is read by the first."""

from typing import Any

from tests.pairs.pairing import Device

MODELS = ("evita", "evita_2", "evita_2_dura", "evita_4", "evita_xl", "savina")
ALL_OF_MEDIBUS = {"poll_s": 1.0, "alarms_s": 2.0, "settings_s": 5.0, "limits_s": 5.0, "curves": ("00", "01", "03")}
ALL_OF_SERVO = {"poll_s": 2.0, "alarms_s": 1.0, "settings_s": 5.0}
CIE = ALL_OF_SERVO | {"curves": ("100", "113"), "interval_us": 20_000}
SCI = ALL_OF_SERVO | {"curves": ("000", "001"), "interval_us": 10_000}


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
DEVICES = (
    *VENTILATORS,
    *SKETCHES,
    Device("astm", ("astm/sysmex_xp",)),
    Device("astm", ("astm/erba_xl",), {"profile": "erba_xl"}),
    Device("registers", ()),
)
