r"""The messages of Mindray's Patient Data Share (HL7 2.3.1 in MLLP), as a monitor writes them and as it may be asked.

    0B  MSH|^~\&|||||||ORU^R01|204|P|2.3.1|  0D  OBX||NM|101^HR|2101|60||||||F  0D ...  1C 0D

A name may be written in GBK, Latin-1 or UTF-8; identifiers and numbers are ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

START, END = b"\x0b", b"\x1c\r"
MESSAGE_LIMIT_BYTES = 4096
IDS_LIMIT = 4
"""Most parameters that one QRF may name."""
ECHO = "106"
QUERY = "1203"
PARAMETERS, PHYSIOLOGICAL, TECHNICAL, CONFIGURATION = "1", "3", "4", "5"
NO_TIME = "0" * 14


class Parameter(NamedTuple):
    """One line of the table of parameters."""

    code: str
    module: str
    """Empty where the module's number is not known."""
    name: str
    other_name: str
    """How another firmware calls it."""
    quantity: str
    digits: int
    is_aperiodic: bool


def _parameters(table: str) -> dict[str, Parameter]:
    known: dict[str, Parameter] = {}
    for line in table.replace("|", "\n").strip().splitlines():
        code, module, name, other, quantity, digits, *marks = line.split()
        known[code] = Parameter(code, module.strip("-"), name, other, quantity, int(digits), bool(marks))
    return known


PARAMETER_TABLE: Mapping[str, Parameter] = _parameters(
    """
    101 2101 HR HR hr 0 | 102 2101 PVCs PVCs pvc 0 | 105 2101 I ST-I st_1 2 | 106 2101 II ST-II st_2 2
    107 2101 III ST-III st_3 2 | 151 2102 RR RR rr 0 | 160 2103 SpO2 SpO2 spo2 0 | 161 2103 PR PR pr 0
    162 2103 PI PI pi 1 | 170 2105 Sys NIBP-Sys cuff_sys 0 a | 171 2105 Dia NIBP-Dia cuff_dia 0 a
    172 2105 Mean NIBP-Mean cuff_mean 0 a | 173 2105 PR NIBP-PR cuff_pulse 0 a | 174 2115 Mean IBP1-Mean art_mean 0
    175 2115 Sys IBP1-Sys art_sys 0 | 176 2115 Dia IBP1-Dia art_dia 0 | 200 2104 T1 T1 temp_1 1
    201 2104 T2 T2 temp_2 1 | 210 2108 C.O. CO cardiac_output 1 | 220 - EtCO2 CO2-Et etco2 0
    221 - InsCO2 CO2-Ins co2_in 0 | 222 - AwRR CO2-RR co2_rr 0 | 500 2116 Sys ART-Sys art_sys 0
    501 2116 Mean ART-Mean art_mean 0 | 502 2116 Dia ART-Dia art_dia 0 | 503 2117 Sys PA-Sys pa_sys 0
    504 2117 Mean PA-Mean pa_mean 0 | 505 2117 Dia PA-Dia pa_dia 0 | 605 - Mean CVP-Mean cvp 0
    """
)
TEMPERATURES = ("200", "201")
MODULES = {"2101": "ECG", "2102": "RESP", "2103": "SpO2", "2104": "TEMP", "2105": "NIBP", "2108": "CO",
           "2115": "IBP", "2116": "ART", "2117": "PA"}  # fmt: skip
LIMITS = {"101": (120, 50), "151": (30, 8), "160": (100, 90), "170": (160, 90)}
"""Parameter → upper and lower alarm limit."""


def message(kind: str, segments: Iterable[str] = (), codec: str = "utf-8", header: str = "") -> bytes:
    """A whole message; `header` replaces the usual MSH segment."""
    lines = [header or rf"MSH|^~\&|||||||ORU^R01|{kind}|P|2.3.1|", *segments]
    return START + "".join(line + "\r" for line in lines).encode(codec, "replace") + END


def observation(value_type: str, code: str, module: str, value: str, tail: str = "") -> str:
    """An OBX segment; `tail` begins behind OBX-11."""
    return f"OBX||{value_type}|{code}|{module}|{value}||||||F{tail}"


def without_last_cr(whole: bytes) -> bytes:
    """The same message, its last segment not ended."""
    return whole.removesuffix(b"\r" + END) + END


class Condition(NamedTuple):
    """One QRF: what the monitor shall send from now on."""

    send_type: str
    is_all: bool
    codes: tuple[str, ...]
    bed: str = "0&0"
    """IP and IPSeq as written; `0&0` is the monitor that is connected."""


class Query(NamedTuple):
    """A whole QRY^R02."""

    conditions: tuple[Condition, ...]


_MSH = re.compile(r"MSH\|\^~\\&\|{7}(\w+\^\w+)\|(\d+)\|P\|2\.3\.1\|?")
_QRD = re.compile(r"QRD\|\d{14}\|R\|I\|Q\d+\|{5}RES\|*")
_QRF = re.compile(r"QRF\|MON\|{4}(\d+&\d+)\^([1345])\^1\^([01])\^((?:\d+(?:&\d+)*)?)\|*")


def kind_of(body: bytes) -> str:
    """`106` or `1203` with its right type; empty for everything else."""
    head = _MSH.fullmatch(body.split(b"\r")[0].decode("latin-1"))
    if head is None:
        return ""
    kinds = {("ORU^R01", ECHO): ECHO, ("QRY^R02", QUERY): QUERY}
    return kinds.get((head[1], head[2]), "")


def is_echo(body: bytes) -> bool:
    """Whether a message is an echo and nothing else."""
    return kind_of(body) == ECHO and body.count(b"\r") == 1 and body.endswith(b"\r")


def query_of(body: bytes) -> Query | None:
    """A query as the guide words it; None when it is malformed, names too many parameters, or none."""
    lines = body.decode("latin-1").split("\r")
    if lines.pop() or len(lines) < 3 or not _QRD.fullmatch(lines[1]):
        return None
    conditions: list[Condition] = []
    for line in lines[2:]:
        parts = _QRF.fullmatch(line)
        if parts is None:
            return None
        codes = tuple(parts[4].split("&")) if parts[4] else ()
        is_all = parts[3] == "1"
        if len(codes) > IDS_LIMIT or is_all == bool(codes):
            return None
        conditions.append(Condition(parts[2], is_all, codes, parts[1]))
    return Query(tuple(conditions))
