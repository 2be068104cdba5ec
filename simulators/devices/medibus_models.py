"""What each MEDIBUS device measures, sets and answers, as tables.

Codes, units and widths: "Data definitions for intensive care devices", one column for each device. Where two codes
stand for one quantity (06/07, 08/0B, 7A/B7, 82/88, B8/B9) a device sends one of them at a time, or has only one.
The anaesthesia machine has no column: it sends only codes on whose unit two published code maps agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from simulators.devices.breathing import ALARMS, STANDBY, Alarm

INFINITY = float("inf")
GERMAN_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAI", "JUN", "JUL", "AUG", "SEP", "OKT", "NOV", "DEZ")
ENGLISH_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
CLOCK_STYLES = ("german", "english", "no_seconds", "no_zeros", "space")


class Row(NamedTuple):
    """A measured value: its code, which quantity, how it is printed, and between which values it is sent."""

    code: str
    quantity: str
    form: str
    least: float = -INFINITY
    below: float = INFINITY


class Model(NamedTuple):
    """One device type."""

    identity: bytes
    answers: frozenset[int]
    """Requests for data it knows; all others get their echo."""
    measured: tuple[Row, ...]
    measured_2: tuple[Row, ...]
    low_limits: Mapping[str, str]
    high_limits: Mapping[str, str]
    settings: Mapping[str, str]
    texts: Mapping[str, str]
    mode: Mapping[str, str]
    """The text of the ventilation mode; in standby 1E takes its place."""
    alarms: tuple[Alarm, ...]
    standby_alarm: Alarm | None
    curves: tuple[str, ...]


BASIC_ANSWERS = frozenset({0x24, 0x25, 0x26, 0x27, 0x29, 0x2A, 0x52, 0x53})

EVITA_4_ROWS = (
    Row("06", "compliance", "XX.X", below=100),
    Row("07", "compliance", "_XXX", least=100),
    Row("08", "resistance", "XXX_", least=100),
    Row("0B", "resistance", "XX.X", below=100),
    Row("71", "minimum_pressure", "XXX_"),
    Row("72", "p01", "XX.X"),
    Row("73", "mean_pressure", "XXX_"),
    Row("74", "plateau_pressure", "XXX_"),
    Row("78", "peep", "XXX_"),
    Row("79", "intrinsic_peep", "XX.X"),
    Row("7A", "spontaneous_volume", "X.XX", below=1),
    Row("7D", "peak", "XXX_"),
    Row("81", "trapped_volume", "XXX_"),
    Row("82", "tidal_volume_l", "X.XX", least=1),
    Row("88", "volume", "XXX_", below=1000),
    Row("89", "dead_space", "XXX_"),
    Row("B5", "spontaneous", "XXX_"),
    Row("B7", "spontaneous_volume", "XX.X", least=1),
    Row("B8", "minute_volume", "X.XX", below=1),
    Row("B9", "minute_volume", "XX.X", least=1),
    Row("C1", "temperature", "XXX_"),
    Row("D6", "rate", "XXX_"),
    Row("E6", "co2", "XXX_"),
    Row("F0", "oxygen", "XXX_"),
)
SOFTWARE_4_ROWS = (
    Row("8A", "dead_space_percent", "XXX_"),
    Row("8B", "assisted_volume", "XXX_"),
    Row("8D", "inspiratory_force", "XXX_"),
    Row("C9", "shallow_breathing", "XXX_"),
    Row("E1", "pulse", "XXX_"),
    Row("EB", "saturation", "XXX_"),
)
EVITA_ROWS = (
    Row("07", "compliance", "_XXX"),
    Row("08", "resistance", "XXX_"),
    Row("71", "minimum_pressure", "XXX_"),
    Row("72", "p01", "XX.X"),
    Row("73", "mean_pressure", "XXX_"),
    Row("74", "plateau_pressure", "XXX_"),
    Row("78", "peep", "XXX_"),
    Row("79", "intrinsic_peep", "XX.X"),
    Row("7D", "peak", "XXX_"),
    Row("81", "trapped_volume", "XXX_"),
    Row("82", "tidal_volume_l", "X.XX"),
    Row("B5", "spontaneous", "XXX_"),
    Row("B7", "spontaneous_volume", "XX.X"),
    Row("B9", "minute_volume", "XX.X"),
    Row("C1", "temperature", "XXX_"),
    Row("D6", "rate", "XXX_"),
    Row("F0", "oxygen", "XXX_"),
)
EVITA_2_ROWS = (
    *EVITA_ROWS,
    Row("09", "co2_production", "XXX_"),
    Row("89", "dead_space", "XXX_"),
    Row("8A", "dead_space_percent", "XXX_"),
    Row("E6", "co2", "XXX_"),
)
SAVINA_ROWS = (
    Row("07", "compliance", "_XXX"),
    Row("08", "resistance", "XXX_"),
    Row("69", "plateau_s", "XX.X"),
    Row("6F", "inspiration_s", "XX.X"),
    Row("73", "mean_pressure", "XXX_"),
    Row("74", "plateau_pressure", "XXX_"),
    Row("76", "peak_flow_ml_s", "XXXX"),
    Row("78", "peep", "XXX_"),
    Row("7A", "spontaneous_volume", "X.XX", below=1),
    Row("7D", "peak", "XXX_"),
    Row("88", "volume", "XXX_"),
    Row("B5", "spontaneous", "XXX_"),
    Row("B7", "spontaneous_volume", "XX.X", least=1),
    Row("B8", "minute_volume", "X.XX", below=1),
    Row("B9", "minute_volume", "XX.X", least=1),
    Row("C1", "temperature", "XXX_"),
    Row("C6", "battery_percent", "XXX_"),
    Row("C7", "oxygen_accuracy", "XXX_"),
    Row("D6", "rate", "XXX_"),
    Row("E7", "ratio_inspiration", "XX.X"),
    Row("E8", "ratio_expiration", "XX.X"),
    Row("F0", "oxygen", "XXX_"),
)
FABIUS_ROWS = (
    Row("58", "sevoflurane_in_kpa", "XX.X"),
    Row("59", "sevoflurane_out_kpa", "XX.X"),
    Row("6B", "ambient_pressure", "XXX_"),
    Row("83", "volume", "XXX_"),
    Row("AC", "mac_in", "XX.X"),
    Row("AD", "mac_out", "XX.X"),
    Row("B2", "leakage", "XXX_"),
    Row("D5", "rate", "XXX_"),
    Row("D7", "rate", "XXX_"),
    Row("DA", "co2_in_percent", "XX.X"),
    Row("DD", "n2o_flow", "XXX_"),
    Row("DE", "air_flow", "XXX_"),
    Row("E2", "oxygen_flow", "XXX_"),
    Row("EF", "oxygen_out", "XXX_"),
    Row("FB", "n2o_in", "XXX_"),
    Row("FC", "n2o_out", "XXX_"),
)
FABIUS_ROWS_2 = (Row("21", "volume", "XXX_"), Row("22", "volume", "XXX_"), Row("23", "plateau_pressure", "XXX_"))

EVITA_ALARMS = (
    Alarm(1, 30, "19", "MIN VOL LOW"),
    Alarm(1, 30, "10", "PAW HIGH"),
    Alarm(1, 30, "98", "APNEA"),
    Alarm(1, 30, "37", '%O2 "#'),  # `"#` stands for HIGH
    Alarm(1, 31, "42", "FLOW SENSOR?"),
)
SAVINA_ALARMS = (
    Alarm(1, 30, "19", "MIN VOL LOW"),
    Alarm(1, 30, "10", "PAW HIGH"),
    Alarm(1, 30, "98", "APNEA"),
    Alarm(1, 30, "33", "TIDVOL LO"),  # the same code is VOL INCONST on an Evita
    Alarm(1, 31, "12", "AIR SUPPLY ?"),
    Alarm(2, 30, "6A", "TUBE OBSTRUC"),
    Alarm(2, 10, "9C", "LEAKAGE"),
)
FABIUS_ALARMS = (Alarm(1, 30, "10", "PAW HIGH"), Alarm(1, 30, "98", "APNEA"), Alarm(1, 30, "19", "MIN VOL LOW"))

EVITA_4_SETTINGS = {
    "01": "  40 ", "02": "  60 ", "04": "0.480", "05": "  1.3", "09": "  15 ", "0B": "  5.0",
    "12": "  10 ", "13": "  35 ", "16": "  35 ", "29": "  3.0", "2E": " 0.20",
}  # fmt: skip
EVITA_2_SETTINGS = {
    "01": "  40 ", "02": "  60 ", "04": "0.480", "05": "  1.3", "09": "  15 ", "0A": "  15 ", "0B": "  5.0",
    "12": "  10 ", "13": "  35 ", "16": "  35 ",
}  # fmt: skip
EVITA_SETTINGS = EVITA_2_SETTINGS | {"15": "  2.0", "17": "   5 "}
SAVINA_SETTINGS = {
    "01": "  40 ", "04": "0.480", "05": "  1.3", "07": "  1.0", "08": "  2.1", "09": "  15 ", "0B": "  5.0",
    "11": "  20 ", "12": "  10 ", "13": "  35 ", "29": "  3.0", "45": "  15 ", "4E": "   5 ", "4F": "  60 ",
}  # fmt: skip
EVITA_4 = Model(
    identity=b"8240'Evita 4'04.00:04.00",
    answers=BASIC_ANSWERS | {0x2E},
    measured=EVITA_4_ROWS,
    measured_2=(),
    low_limits={"B9": " 4.0", "E6": " 30 "},
    high_limits={"7D": " 40 ", "B9": "12.0", "D6": " 35 ", "E6": " 50 "},
    settings=EVITA_4_SETTINGS,
    texts={"20": "ADULT", "22": "mmHg", "48": "INVASIVE"},
    mode={"07": "SIMV/ASB"},
    alarms=ALARMS,
    standby_alarm=STANDBY,
    curves=("00", "01", "03", "06", "24"),
)
EVITA_2 = EVITA_4._replace(
    identity=b"8200'Evita 2'04.00:04.00",
    answers=BASIC_ANSWERS,
    measured=EVITA_2_ROWS,
    settings=EVITA_2_SETTINGS,
    texts={"20": "ADULT", "22": "mmHg"},
    alarms=EVITA_ALARMS,
    standby_alarm=None,
    curves=("00", "01", "03"),
)

MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "evita_4": EVITA_4,
        "evita": EVITA_2._replace(
            identity=b"8210'Evita'04.00:04.00",
            measured=EVITA_ROWS,
            low_limits={"B9": " 4.0"},
            high_limits={"7D": " 40 ", "B9": "12.0", "D6": " 35 "},
            settings=EVITA_SETTINGS,
            texts={"20": "ADULT"},
        ),
        "evita_2": EVITA_2,
        "evita_2_dura": EVITA_4._replace(identity=b"8230'Evita 2 dura'04.00:04.00"),
        "evita_xl": EVITA_4._replace(
            identity=b"8260'EvitaXL'04.00:04.00",
            measured=EVITA_4_ROWS + SOFTWARE_4_ROWS,
            low_limits={**EVITA_4.low_limits, "E1": " 50 ", "EB": " 90 "},
            high_limits={**EVITA_4.high_limits, "E1": "120 ", "EB": "100 "},
            curves=("00", "01", "03", "06", "20", "21", "24"),
        ),
        "savina": Model(
            identity=b"8250'Savina'03.00:04.00",
            answers=BASIC_ANSWERS | {0x28, 0x2E},
            measured=SAVINA_ROWS,
            measured_2=(),
            low_limits={"B9": " 4.0"},
            high_limits={"7D": " 40 ", "88": "700 ", "B9": "12.0", "D6": " 35 "},
            settings=SAVINA_SETTINGS,
            texts={"20": "ADULT", "48": "INVASIVE"},
            mode={"07": "SIMV/ASB"},
            alarms=SAVINA_ALARMS,
            standby_alarm=STANDBY,
            curves=("00", "01", "03"),
        ),
        # The identification number is made up: those of the anaesthesia machines were not seen.
        "fabius": Model(
            identity=b"8999'Fabius GS'03.00:04.00",
            answers=frozenset({0x24, 0x27, 0x28, 0x2B, 0x52, 0x53}),
            measured=FABIUS_ROWS,
            measured_2=FABIUS_ROWS_2,
            low_limits={},
            high_limits={},
            settings={},
            texts={},
            mode={},
            alarms=FABIUS_ALARMS,
            standby_alarm=None,
            curves=("00", "01", "21"),
        ),
    }
)


def printed(rows: tuple[Row, ...], values: Mapping[str, float], absent: frozenset[str]) -> dict[str, str]:
    """The records of measured data: code → 4 characters, in the order of the codes."""
    texts = {
        row.code: _text(values[row.quantity], row.form)
        for row in rows
        if row.code not in absent and row.least <= values[row.quantity] < row.below
    }
    return dict(sorted(texts.items()))


def _text(value: float, form: str) -> str:
    """A number as the document draws it: `XX.X`, `X.XX`, `_XXX`, `XXXX`, or `XXX_` (` 24 `, `480 `, `1250`)."""
    match form:
        case "XX.X":
            return f"{value:4.1f}"
        case "X.XX":
            return f"{value:4.2f}"
        case "_XXX" | "XXXX":
            return f"{round(value):4d}"
        case _:
            text = f"{round(value):3d} "
            return text if len(text) == 4 else text.strip()


def clock_text(at: datetime, style: str) -> str:
    """The answer to 28H, in the document's form (`german`) or in one of those that devices were seen to send."""
    months = ENGLISH_MONTHS if style == "english" else GERMAN_MONTHS
    time = at.strftime("%H:%M" if style == "no_seconds" else "%H:%M:%S")
    date = f"{at:%d}-{months[at.month - 1]}-{at:%y}"
    if style == "no_zeros":  # the width stays: a blank stands for each leading zero
        time = ":".join(f"{int(part):2d}" for part in time.split(":"))
        date = f"{at.day:2d}" + date[2:]
    return time + (" " if style == "space" else "") + date
