"""What a monitor announces of itself: one datagram each second on UDP port 4600, `ADT^A01` 101.

    MSH│^~\\&│││││││ADT^A01│101│P│2.3.1│
    EVN││00000000│
    PID│││…                              the patient: never read
    PV1││I│^^ICU&7&3232237756&4601&&1    department, bed, IPv4 address as a number, port of the realtime interface
    OBX││ST│…                            the monitor and the patient: never read

Mindray, "Patient Data Share Protocol Programmer's Guide", chapter 6. There is no checksum: a datagram is believed
when its header and its PV1 have their form. Nothing here is published; it is for the one who looks for monitors.
"""

from msgspec import Struct

from drivers.contract import Fault
from drivers.framing.hl7 import Message
from drivers.mindray_pds.frames import ONLINE, Place, check_header

PORT = 4600
EVENT = "ADT^A01"
MAX_DATAGRAM_BYTES = 4096
"""The guide gives no limit; one that was seen has 650 bytes."""
_MOST_TEXT = 40
_PLACE = 3
"""PV1-3: where it is the last of a datagram, half an address may have been lost."""
_BEGIN, _END = b"\x0b", b"\x1c\r"


class Announcement(Struct, frozen=True):
    """One monitor that says that it is there. Of its patient it holds nothing."""

    department: str
    bed: str
    """The bed's label, as a person typed it into the monitor."""
    address: str
    """IPv4; empty where the datagram does not tell it: then it is the sender's."""
    port: int
    """TCP port of the realtime interface; 0 where the datagram does not tell it."""

    @classmethod
    def from_bytes(cls, data: bytes, encoding: str = "") -> "Announcement | None":
        """A whole datagram, with or without the frame of MLLP; None where it is no announcement."""
        if len(data) > MAX_DATAGRAM_BYTES:
            return None
        message = Message.from_bytes(data.removeprefix(_BEGIN).removesuffix(_END), encoding)
        if isinstance(message, Fault) or check_header(message) is not None:
            return None
        header, places = message.header, message.named("PV1")
        if (header[9], header[10], header[11]) != (EVENT, ONLINE, "P") or len(places) != 1:
            return None
        place = Place.from_field(places[0][_PLACE])
        is_cut = message.segments[-1] is places[0] and len(places[0].fields) <= _PLACE + 1
        if place is None or is_cut:
            return None
        label, department = (_label(message.delimiters.unescape(text)) for text in (place.bed, place.department))
        return cls(department, label, place.address, place.port)


def _label(text: str) -> str:
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:_MOST_TEXT]).strip()
