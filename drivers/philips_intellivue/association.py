"""The association: the request that the box sends, and what the monitor says it grants.

    │ 0D request, 0E accepted │ length │ 05: connect item │ 14: duplex │ C1 │ length │ presentation, user data, 0 … │

A length is one byte, or FF and two bytes above 254. The presentation header is ASN.1 with open lengths (80 … 00 00):
two contexts, 1 for the association and 2 for the data, whose names are the OIDs below. The user data are structures:

    user info     │ protocol 4 │ nomenclature 4 │ functional units 4 │ system type 4 │ start-up 4 │ options, profiles:
                  │ attribute lists │
    poll profile  │ revision 4 │ shortest poll period 4 │ largest unit received 4, sent 4 │ bandwidth 4 │ options 4 │
    (0001)        │ packages: attribute list │
    extensions    │ options 4 │ attribute list, empty │
    (F001)

Philips, Data Export Interface Programming Guide, sections Association Control Protocol (rev. G.0: pages 67 to 73, and
the examples on pages 298, 299 and 304), as VSCaptureMP (xeonfusion), DataConstants, and mdpnp, AssociationConnect and
AssociationAccept, carry it.
"""

import struct

from msgspec import Struct

from drivers.philips_intellivue.pdus import Attributes, Malformed, attribute_list

REQUEST, ACCEPTED = 0x0D, 0x0E
_U32S, _WORDS = struct.Struct(">IIIII"), struct.Struct(">IIIIII")
_HEAD = struct.Struct(">HH")

# Session (ISO 8327): protocol options 0, version 2; the functional unit duplex.
_CONNECT_ITEM = bytes.fromhex("05 08 13 01 00 16 01 02 80 00")
_DUPLEX = bytes.fromhex("14 02 00 02")
_USER_DATA = b"\xc1"

_ACSE, _BASIC_ENCODING = bytes.fromhex("52 01 00 01"), bytes.fromhex("51 01")
_DATA_EXPORT = bytes.fromhex("2A 86 48 CE 14 02 01 00 00 00 01 01")
_DATA_ENCODING = bytes.fromhex("2A 86 48 CE 14 02 01 00 00 00 02 01")
_APPLICATION = bytes.fromhex("2A 86 48 CE 14 02 01 00 00 00 03 01")
_MARKS = (bytes.fromhex("BE 80 28 80 81"), bytes.fromhex("BE 80 28 80 02 01 02 81"))
"""What stands before the user data of an answer."""

MDDL_VERSION_1, NOMENCLATURE_VERSION = 0x80000000, 0x40000000
CLIENT, SERVER, COLD_START = 0x80000000, 0x00800000, 0x20000000
POLL_PROFILE, EXTENSIONS = 0x0001, 0xF001
REVISION_0, NO_ESTIMATE = 0x80000000, 0xFFFFFFFF
DYNAMIC_OBJECTS = 0x60000000
"""Objects may come and go while the association lasts."""
ONE_SECOND, CURVES, ENUMERATIONS = 0x80000000, 0x08000000, 0x04000000
"""Extensions: numerics of each second, real-time sample arrays, enumerations."""
TICKS = 8000
"""Eighths of a millisecond in a second."""


class PollProfile(Struct, frozen=True):
    """What is asked for, or granted: how often it may be polled, how long units may be, which extensions."""

    period_ticks: int
    mtu_rx: int
    mtu_tx: int
    extensions: int
    system_type: int = CLIENT

    @property
    def period_s(self) -> float:
        """The shortest time between two polls."""
        return self.period_ticks / TICKS

    @property
    def timeout_s(self) -> float:
        """How long the monitor waits for a word before it ends the association (guide, page 70)."""
        if self.period_s <= 3.3:  # noqa: PLR2004 (the table of the guide)
            return 10.0
        return 3 * self.period_s if self.period_s <= 43 else 130.0  # noqa: PLR2004

    def to_bytes(self) -> bytes:
        """The user info of a request."""
        packages = _attributes(EXTENSIONS, struct.pack(">I", self.extensions) + _HEAD.pack(0, 0))
        profile = _WORDS.pack(REVISION_0, self.period_ticks, self.mtu_rx, self.mtu_tx, NO_ESTIMATE, DYNAMIC_OBJECTS)
        head = _U32S.pack(MDDL_VERSION_1, NOMENCLATURE_VERSION, 0, self.system_type, COLD_START)
        return head + _HEAD.pack(0, 0) + _attributes(POLL_PROFILE, profile + packages)

    @classmethod
    def from_bytes(cls, data: bytes) -> "PollProfile | None":
        """The user info of an answer; None where it holds no poll profile. Raises `Malformed`, `struct.error`."""
        *_versions, system_type, _start_up = _U32S.unpack_from(data)
        _options, rest = attribute_list(data[_U32S.size :])
        profiles, _rest = attribute_list(rest)
        profile = profiles.get(POLL_PROFILE)
        if profile is None:
            return None
        _revision, period, rx, tx, _bandwidth, _flags = _WORDS.unpack_from(profile)
        packages: Attributes = attribute_list(profile[_WORDS.size :])[0]
        extensions = int.from_bytes(packages.get(EXTENSIONS, b"")[:4], "big")
        return cls(period, rx, tx, extensions, system_type)


def request(profile: PollProfile) -> bytes:
    """The association request. Only the user info differs from one program to another."""
    contexts = _open(0xA4, _context(1, _ACSE, _BASIC_ENCODING), _context(2, _DATA_EXPORT, _DATA_ENCODING))
    info = profile.to_bytes()
    external = _open(0x28, _closed(6, _DATA_EXPORT), _closed(2, b"\x02"), b"\x81" + _asn_length(len(info)) + info)
    ask = _open(0x60, _open(0xA1, _closed(6, _APPLICATION)), _open(0xBE, external))
    user = _open(0x61, _open(0x30, _closed(2, b"\x01"), _open(0xA0, ask)))
    mode = _open(0xA0, _closed(0x80, b"\x01"))
    presentation = _open(0x31, mode, _open(0xA2, _closed(0xA0, bytes.fromhex("00 00 01")), contexts, user))
    body = _CONNECT_ITEM + _DUPLEX + _USER_DATA + _session_length(len(presentation)) + presentation
    return bytes([REQUEST]) + _session_length(len(body)) + body


def parse_accepted(payload: bytes) -> PollProfile | None:
    """What the monitor grants; None where that cannot be read, though the association stands.

    The guide says where to look: at the bytes that end the presentation header, of which it knows two forms.
    """
    for mark in _MARKS:
        found = payload.find(mark)
        if found < 0:
            continue
        try:
            return PollProfile.from_bytes(_asn_content(payload, found + len(mark)))
        except (struct.error, Malformed, IndexError):
            return None
    return None


def _attributes(number: int, value: bytes) -> bytes:
    return _HEAD.pack(1, _HEAD.size + len(value)) + _HEAD.pack(number, len(value)) + value


def _open(tag: int, *parts: bytes) -> bytes:
    """ASN.1 of open length."""
    return bytes([tag, 0x80]) + b"".join(parts) + bytes(2)


def _closed(tag: int, value: bytes) -> bytes:
    return bytes([tag, len(value)]) + value


def _context(number: int, abstract: bytes, transfer: bytes) -> bytes:
    return _open(0x30, _closed(2, bytes([number])), _closed(6, abstract), _open(0x30, _closed(6, transfer)))


def _session_length(length: int) -> bytes:
    return bytes([length]) if length <= 254 else b"\xff" + length.to_bytes(2, "big")  # noqa: PLR2004 (ISO 8327)


def _asn_length(length: int) -> bytes:
    """As the longer requests of public programs write it: short, or 82 and two bytes."""
    return bytes([length]) if length <= 127 else b"\x82" + length.to_bytes(2, "big")  # noqa: PLR2004 (BER)


def _asn_content(data: bytes, at: int) -> bytes:
    """What follows the length at `at`. Raises `Malformed` where it is longer than what is there."""
    length, at = data[at], at + 1
    if length & 0x80:
        size = length & 0x7F
        length, at = int.from_bytes(data[at : at + size], "big"), at + size
    if not length or at + length > len(data):
        raise Malformed
    return data[at : at + length]
