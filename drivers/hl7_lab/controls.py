"""Controls of Mindray's chemistry analyzers, which have no OBX: all of a control stands in its OBR.

    OBR │ 1 │ test 2 │ name 3 │ maker^model 4 │ │ time 6 │ … │ control 13 │ lot 14 │ expiry 15 │ │ H 17 │
        │ mean 18 │ SD 19 │ value 20 │ unit 21 │

BS-200 Host Interface Manual, version 1.2, pages 26 and 27. It has no status, so the control is believed where time,
level, mean, standard deviation and unit have their form, each in its place.
"""

import re

from drivers.framing.hl7 import Delimiters, Segment
from drivers.hl7_lab.reports import Group, Order
from drivers.hl7_lab.results import CONTROL

_TIME = re.compile(r"[0-9]{8,14}")
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?")
_LEVELS = ("H", "M", "L")
_DETAILS = (14, 15, 17, 18, 19)
"""Lot, expiry, level, mean and standard deviation, which go with the value as they were sent."""


def control_of(group: Group, order: Order, marks: Delimiters) -> Order:
    """What stands around a control, whose value goes into the group as an OBX; nothing new where there is none."""
    obr = group.segments.get("OBR")
    if obr is None or not obr[2]:
        return order
    status = CONTROL if _has_its_form(obr) else ""
    group.rows.append(Segment(("OBX", "1", "NM", obr[2], obr[3], obr[20], obr[21], "", "", "", "", status)))
    return Order(
        specimen=marks.unescape(obr[13]).strip(),
        completed=obr[6].strip(),
        is_qc=True,
        comments=tuple(f"OBR-{number} {marks.unescape(obr[number])}" for number in _DETAILS if obr[number]),
    )


def _has_its_form(obr: Segment) -> bool:
    return (
        _TIME.fullmatch(obr[6]) is not None
        and obr[17] in _LEVELS
        and _NUMBER.fullmatch(obr[18]) is not None
        and _NUMBER.fullmatch(obr[19]) is not None
        and obr[21] != ""
    )
