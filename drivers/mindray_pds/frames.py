"""Messages of the PDS protocol: the two that the box sends, and what is read of the monitor's.

    MSH│^~\\&│││││││ORU^R01│204│P│2.3.1│           kind of the message: MSH-10
    PV1││I│^^ICU&7&3232237756&4601&&1              3 department, bed, IPv4 address as a number, port
    OBX││NM│101^HR│2101│60││││││F││APERIODIC│time   3 what, 4 of whom, 5 value, 6 unit, 11 final, 13 class, 14 time

Mindray, "Patient Data Share Protocol Programmer's Guide", chapter 6 (realtime interface). There is no checksum: a
message is believed when it is framed, is HL7 2.3.1, and every field that is read has the form the guide gives it.
"""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address

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
MARKS = "53"
"""Not in what we have of the guide; a public client was seen to meet `2009^` of each parameter in it."""
PHYSIOLOGICAL, TECHNICAL = "54", "56"
READ = (PERIODIC, APERIODIC, MODULE, LIMITS, SETTINGS, LEVELS, MARKS, SNAPSHOT, PHYSIOLOGICAL, TECHNICAL)
"""Kinds whose OBX are read."""
QUIET = (ECHO, ONLINE)
"""Kinds that say no more than that the monitor is there."""
NO_TIME = "0" * 14
"""The time of a measurement that was not made."""
MISPRINT = "<CR>"
"""Samples in print show a line end so; on the wire it is none."""

_KIND = re.compile(r"[1-9][0-9]{0,3}")
_EVENT = re.compile(r"[A-Z]{3}\^[A-Z][0-9]{2}")
_ID = re.compile(r"(0|[1-9][0-9]{0,4})(?:\^(.*))?", re.DOTALL)
_NUMBER_OR_NOTHING = re.compile(r"(?:0|[1-9][0-9]{0,4})?")
"""0 is no number of the guide; a T8 was seen to send `0^RR` of module 0."""
_TYPE = re.compile(r"[A-Z]{2}")
_TIME = re.compile(
    r"(?:[12][0-9]{3}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])(?:[0-5][0-9]){2}|0{14})?"
)
_CLASSES = ("", "PERIODIC", "APERIODIC")
_PLAIN = re.compile(r"[0-9.]{1,8}")
_WHOLE = re.compile(r"(?:0|[1-9][0-9]{0,9})?")
_HIGHEST_ADDRESS, _HIGHEST_PORT = 0xFFFFFFFF, 0xFFFF
_NAMES = ("", "mindray")

ECHO_FRAME = wrap(rb"MSH|^~\&|||||||ORU^R01|106|P|2.3.1|" + b"\r")
"""The echo that both sides send each second."""


def query(groups: Iterable[str], bed: str = "0&0") -> bytes:
    """The one question, 1203: the parameters of these groups and all alarms, each second.

    `bed` is whose: 0&0 the monitor at the other end, else the address as a number and the IPSeq of a gateway's bed.
    """
    chosen = set(groups)
    lines = [
        r"MSH|^~\&|||||||QRY^R02|1203|P|2.3.1",
        "QRD|20060731145557|R|I|Q895211|||||RES",
        *(f"QRF|MON||||{bed}^1^1^0^{ids}" for name, rows in GROUPS.items() if name in chosen for ids in rows),
        f"QRF|MON||||{bed}^3^1^1^",
        f"QRF|MON||||{bed}^4^1^1^",
    ]
    return wrap("".join(f"{line}\r" for line in lines).encode("ascii"))


class Place(Struct, frozen=True):
    """Where a monitor stands, out of PV1-3; texts as sent."""

    department: str
    bed: str
    address: str
    """IPv4 with its points; empty: not told, as some announcements leave it out."""
    port: int
    """0: not told."""

    @classmethod
    def from_field(cls, text: str) -> "Place | None":
        """`^^department&bed&address&port`, more may follow; None where it has not this form."""
        parts = text.split("^")
        department, bed, address, port, *_more = [*(parts[2] if len(parts) > 2 else "").split("&"), "", "", ""]
        if len(parts) < 3 or not _WHOLE.fullmatch(address) or not _WHOLE.fullmatch(port):
            return None
        number, whole = int(address or 0), int(port or 0)
        if number > _HIGHEST_ADDRESS or whole > _HIGHEST_PORT:
            return None
        return cls(department, bed, str(IPv4Address(number)) if number else "", whole)


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
    """PV1-3 as sent, to tell two beds apart; never published."""
    has_patient: bool = False
    """Patient data came with it, and was dropped."""

    @property
    def address(self) -> str:
        """The IPv4 address of the bed's monitor, where the message names it."""
        place = Place.from_field(self.bed)
        return place.address if place else ""

    @classmethod
    def from_bytes(cls, data: bytes, encoding: str = "") -> "Report | Fault":
        """A whole message; a fault says why it is not believed."""
        message = Message.from_bytes(data, encoding)
        if isinstance(message, Fault):
            return message
        fault = check_header(message)
        if fault is not None:
            return fault
        kind = message.header[10]
        if any(segment.fields[-1].endswith(MISPRINT) for segment in message.segments):
            return Fault("framing", "line end", rejected=True)
        if message.header[11] != "P":
            return Fault("not_production", kind)
        patients, places = message.named("PID"), message.named("PV1")
        if len(patients) > 1 or len(places) > 1:
            return Fault("several_beds", kind)
        bed = places[0][3] if places else ""
        has_patient = kind == PATIENT or bool(patients)
        if kind not in READ:
            return cls(kind, bed=bed, has_patient=has_patient)
        rows = tuple(_obx(segment, message) for segment in message.named("OBX"))
        if None in rows:
            return Fault("layout", kind, rejected=True)
        return cls(kind, tuple(row for row in rows if row), bed, has_patient)


def check_header(message: Message) -> Fault | None:
    """What in MSH speaks against a message of a monitor; None: nothing."""
    header = message.header
    if header[12] != VERSION or header[3].casefold() not in _NAMES:
        found = header[12] if _PLAIN.fullmatch(header[12]) else ""
        return Fault("wrong_device", found, rejected=True)
    if header[2] != r"^~\&" or not _KIND.fullmatch(header[10]) or not _EVENT.fullmatch(header[9]):
        return Fault("header", rejected=True)
    return None


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
