"""Messages of the PDS protocol: the two that the box sends, and what is read of the monitor's.

    MSH│^~\\&│││││││ORU^R01│204│P│2.3.1│           kind of the message: MSH-10
    OBX││NM│101^HR│2101│60││││││F││APERIODIC│time   3 what, 4 of whom, 5 value, 6 unit, 11 final, 13 class, 14 time

Mindray, "Patient Data Share Protocol Programmer's Guide", chapter 6 (realtime interface). There is no checksum: a
message is believed when it is framed, is HL7 2.3.1, and every field that is read has the form the guide gives it.
"""

import re
from collections.abc import Iterable

from msgspec import Struct

from drivers.contract import Fault
from drivers.framing.hl7 import Message, Segment
from drivers.framing.mllp import wrap
from drivers.mindray_pds.options import GROUPS

MAX_MESSAGE_BYTES = 32768
"""The guide gives no limit; a list of all parameters and alarms is a quarter of this."""
VERSION = "2.3.1"
PERIODIC, APERIODIC = "204", "503"
ECHO, PATIENT, ONLINE = "106", "103", "101"
MODULE, LIMITS, SETTINGS, LEVELS, SNAPSHOT = "11", "51", "205", "58", "2"
PHYSIOLOGICAL, TECHNICAL = "54", "56"
READ = (PERIODIC, APERIODIC, MODULE, LIMITS, SETTINGS, LEVELS, SNAPSHOT, PHYSIOLOGICAL, TECHNICAL)
"""Kinds whose OBX are read."""
QUIET = (ECHO, ONLINE)
"""Kinds that say no more than that the monitor is there."""
NO_TIME = "0" * 14
"""The time of a measurement that was not made."""
MISPRINT = "<CR>"
"""Samples in print show a line end so; on the wire it is none."""

_KIND = re.compile(r"[1-9][0-9]{0,3}")
_EVENT = re.compile(r"[A-Z]{3}\^[A-Z][0-9]{2}")
_ID = re.compile(r"([1-9][0-9]{0,4})(?:\^(.*))?", re.DOTALL)
_NUMBER_OR_NOTHING = re.compile(r"(?:[1-9][0-9]{0,4})?")
_TYPE = re.compile(r"[A-Z]{2}")
_TIME = re.compile(
    r"(?:[12][0-9]{3}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])(?:[0-5][0-9]){2}|0{14})?"
)
_CLASSES = ("", "PERIODIC", "APERIODIC")
_PLAIN = re.compile(r"[0-9.]{1,8}")
_NAMES = ("", "mindray")

ECHO_FRAME = wrap(rb"MSH|^~\&|||||||ORU^R01|106|P|2.3.1|" + b"\r")
"""The echo that both sides send each second."""


def query(groups: Iterable[str]) -> bytes:
    """The one question, 1203: the parameters of these groups and all alarms, each second, from this monitor."""
    chosen = set(groups)
    lines = [
        r"MSH|^~\&|||||||QRY^R02|1203|P|2.3.1",
        "QRD|20060731145557|R|I|Q895211|||||RES",
        *(f"QRF|MON||||0&0^1^1^0^{ids}" for name, rows in GROUPS.items() if name in chosen for ids in rows),
        "QRF|MON||||0&0^3^1^1^",
        "QRF|MON||||0&0^4^1^1^",
    ]
    return wrap("".join(f"{line}\r" for line in lines).encode("ascii"))


class Obx(Struct, frozen=True):
    """One OBX, its form verified; texts as sent."""

    type: str
    id: str
    """OBX-3, first part: what it is; in an alarm its level."""
    name: str
    """OBX-3, second part: the monitor's own name, which differs between firmwares and languages."""
    of: str
    """OBX-4: a module, or the parameter that a limit belongs to."""
    value: str
    unit: str
    is_aperiodic: bool
    time: str


class Report(Struct, frozen=True):
    """One message of the monitor, its form verified. Nothing that names a patient is kept."""

    kind: str
    rows: tuple[Obx, ...] = ()
    bed: str = ""
    """PV1-3 as sent, to tell two beds of a gateway apart; never published."""
    has_patient: bool = False
    """Patient data came with it, and was dropped."""

    @classmethod
    def from_bytes(cls, data: bytes, encoding: str = "") -> "Report | Fault":
        """A whole message; a fault says why it is not believed."""
        message = Message.from_bytes(data, encoding)
        if isinstance(message, Fault):
            return message
        header = message.header
        kind = header[10]
        if header[12] != VERSION or header[3].casefold() not in _NAMES:
            found = header[12] if _PLAIN.fullmatch(header[12]) else ""
            return Fault("wrong_device", found, rejected=True)
        if header[2] != r"^~\&" or not _KIND.fullmatch(kind) or not _EVENT.fullmatch(header[9]):
            return Fault("header", rejected=True)
        if any(segment.fields[-1].endswith(MISPRINT) for segment in message.segments):
            return Fault("framing", "line end", rejected=True)
        if header[11] != "P":
            return Fault("not_production", kind)
        has_patient = kind == PATIENT or bool(message.named("PID"))
        if kind not in READ:
            return cls(kind, has_patient=has_patient)
        rows = tuple(_obx(segment, message) for segment in message.named("OBX"))
        if None in rows:
            return Fault("layout", kind, rejected=True)
        places = message.named("PV1")
        return cls(kind, tuple(row for row in rows if row), places[0][3] if places else "", has_patient)


def _obx(segment: Segment, message: Message) -> Obx | None:
    """One row; None where a field does not have its form."""
    what = _ID.fullmatch(segment[3])
    fits = (
        what is not None
        and _TYPE.fullmatch(segment[2])
        and _NUMBER_OR_NOTHING.fullmatch(segment[4])
        and segment[11] == "F"
        and not segment[12]
        and segment[13] in _CLASSES
        and _TIME.fullmatch(segment[14])
    )
    if what is None or not fits:
        return None
    return Obx(
        type=segment[2],
        id=what[1],
        name=message.delimiters.unescape(what[2] or ""),
        of=segment[4],
        value=segment[5],
        unit=segment[6],
        is_aperiodic=segment[13] == "APERIODIC",
        time=segment[14],
    )
