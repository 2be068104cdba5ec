"""The basic class of physiological data: where each group stands, its fields, its labels and status bits.

Datex-Ohmeda Record Interface specification (8005313), section on the basic class: 270 bytes of groups, each with a
head of status (4) and label (2) before its numbers.
"""

import struct

from msgspec import Struct

SUBRECORD_BYTES = 278
BODY_BYTES = 270
HEAD = struct.Struct("<IH")
EXISTS, ACTIVE = 0x01, 0x02
LAST_SPECIAL = -32001
"""This and anything below is no value."""
SPECIALS = {
    -32767: "invalid",
    -32766: "not_updated",
    -32765: "discontinuity",
    -32764: "under_range",
    -32763: "over_range",
    -32762: "not_calibrated",
}
_TAIL = struct.Struct("<BBH")


class Group(Struct, frozen=True):
    """One group: its name, its place in the class body, and its numbers."""

    name: str
    at: int
    fields: tuple[str, ...]
    labels: dict[int, str] = {}
    """Labels that are a part of the code: the site of a pressure, of a temperature, the agent."""
    prefix: str = ""
    """What stands before such a label in the code."""


class Read(Struct, frozen=True):
    """One group as it came."""

    group: Group
    status: int
    label: int
    numbers: tuple[int, ...]

    @property
    def site(self) -> str:
        """The label's word, if it is one that is known."""
        return self.group.labels.get(self.label, "")


_PRESSURE = ("sys", "dia", "mean", "hr")
_VESSELS = ("ART", "CVP", "PA", "RAP", "RVP", "LAP", "ICP", "ABP", "P1", "P2", "P3", "P4", "P5", "P6")
_MORE_VESSELS = ("SP", "FEM", "UAC", "UVC", "ICP2", "P7", "P8", "FEMV")
PRESSURE_LABELS = dict(enumerate((*_VESSELS, *_MORE_VESSELS), 1))
_PLACES = ("ESO", "NASO", "TYMP", "RECT", "BLAD", "AXIL", "SKIN", "AIRW", "ROOM")
TEMPERATURE_LABELS = {**dict(enumerate(_PLACES, 1)), 15: "CORE", 16: "SURF"}
AGENT_LABELS = {2: "HAL", 3: "ENF", 4: "ISO", 5: "DES", 6: "SEV"}

GROUPS = (
    Group("ECG", 0, ("hr", "st1", "st2", "st3", "imp_rr")),
    *(Group(f"IBP{n + 1}", 16 + 14 * n, _PRESSURE, PRESSURE_LABELS) for n in range(4)),
    Group("IBP5", 240, _PRESSURE, PRESSURE_LABELS),
    Group("IBP6", 254, _PRESSURE, PRESSURE_LABELS),
    Group("NIBP", 72, _PRESSURE),
    *(Group(f"T{n + 1}", 86 + 8 * n, ("temp",), TEMPERATURE_LABELS, "T_") for n in range(4)),
    Group("SPO2", 118, ("spo2", "pr", "ir_amp", "svo2")),
    Group("CO2", 132, ("et", "fi", "rr", "amb_press")),
    Group("O2", 146, ("et", "fi")),
    Group("N2O", 156, ("et", "fi")),
    Group("AA", 166, ("et", "fi", "mac"), AGENT_LABELS, "AA_"),
    Group("FLOW", 178, ("rr", "ppeak", "peep", "pplat", "tv_insp", "tv_exp", "compl", "mv_exp")),
)
"""Cardiac output, NMT, ECG extra and SvO2 are not here: the scales of their numbers are not known."""
_NUMBERS = {group.name: struct.Struct(f"<{len(group.fields)}h") for group in GROUPS}


class Doubt(Struct, frozen=True):
    """A status bit under which some numbers of its group are absent, or questionable."""

    bit: int
    reason: str
    fields: tuple[str, ...]
    is_absent: bool = False


_GAS = ("et", "fi", "rr")
DOUBTS = {
    "ECG": (Doubt(7, "noise", ("hr",)), Doubt(8, "artefact", ("hr",)), Doubt(9, "learning", ("hr",))),
    "CO2": (
        Doubt(3, "calibrating", _GAS, is_absent=True),
        Doubt(4, "zeroing", _GAS, is_absent=True),
        Doubt(5, "occlusion", _GAS),
        Doubt(6, "leak", _GAS),
    ),
}
LABEL_DOUBTS = {
    "NIBP": (
        Doubt(7, "calibrating", _PRESSURE, is_absent=True),
        Doubt(5, "measuring", _PRESSURE, is_absent=True),
        Doubt(6, "stasis", _PRESSURE, is_absent=True),
        Doubt(8, "older_than_60_s", _PRESSURE, is_absent=True),
    )
}
KNOWN_STATUS = {"ECG": 0x3BFF, "CO2": 0x7F}
"""Status bits with a meaning; of the others only `exists` and `active`. Bit 10 of ECG (pacer) is published raw."""
KNOWN_LABEL = {"NIBP": 0x1F8}
HR_CODES = {**dict.fromkeys((2, 3, 4, 5, 7, 8), "hr_ibp"), 0: "hr", 1: "hr", 6: "hr_pleth", 9: "hr"}
"""Which quantity a heart rate is, by its source."""


def hr_source(status: int) -> int:
    """Bits 3 to 6 of the ECG status."""
    return status >> 3 & 0x0F


class Physiological(Struct, frozen=True):
    """One subrecord of the basic class."""

    time: int
    groups: tuple[Read, ...]


def class_of(data: bytes) -> int:
    """Which class a subrecord is: bits 8 to 11 of its last word, never its place in the record."""
    return int(_TAIL.unpack_from(data, SUBRECORD_BYTES - _TAIL.size)[2]) >> 8 & 0x0F


def read(data: bytes) -> Physiological:
    """The groups of a subrecord of 278 bytes that is of the basic class."""
    body = data[4 : 4 + BODY_BYTES]
    groups = []
    for group in GROUPS:
        status, label = HEAD.unpack_from(body, group.at)
        numbers = _NUMBERS[group.name].unpack_from(body, group.at + HEAD.size)
        groups.append(Read(group, status, label, numbers))
    return Physiological(int.from_bytes(data[:4], "little"), tuple(groups))
