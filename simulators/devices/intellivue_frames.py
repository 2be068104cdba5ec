"""Philips IntelliVue data export: the serial frame, association, remote operations; big endian.

    C0  11 01  length u16  payload  FCS u16 LE  C1      C0, C1 and 7D inside are sent as 7D and the byte ^ 20
    association   SPDU type · length · session · C1 · length · presentation with user data
    data          E1 00 00 02 · operation u16 · length u16 · ...

`7D C1` in place of the end takes a frame back. The FCS is CRC-16/X-25 over header and payload.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

BEGIN, END, ESCAPE, FLIP = 0xC0, 0xC1, 0x7D, 0x20
HEADER = b"\x11\x01"
FRAME_LIMIT_BYTES = 4096
REQUEST, ACCEPT, REFUSE, RELEASE, RELEASED, ABORT, DATA = 0x0D, 0x0E, 0x0C, 0x09, 0x0A, 0x19, 0xE1
SESSION = b"\xe1\x00\x00\x02"
INVOKE, RESULT, ERROR, LINKED = 1, 2, 3, 5
FIRST, MIDDLE, LAST = 1, 2, 3
EVENT_CONFIRMED, ACTION_CONFIRMED = 1, 7
MDS_CREATE, POLL, POLL_EXTENDED = 0x0D06, 0x0C16, 0xF13B
MDS_CLASS = 0x21
POLL_PERIOD = 0xF13E
POLL_PROFILE, POLL_EXTENSIONS, OBJECT_SUPPORT = 0x0001, 0xF001, 0x0102
STARTS = (0x80000000, 0x40000000, 0x20000000)
"""Hot, warm and cold."""
DATA_PORT, BEACON_PORT = 24105, 24005
TICKS_PER_S = 8000
NAN = b"\x00\x7f\xff\xff"
NO_SUCH_CLASS, ACCESS_DENIED, NO_SUCH_ACTION, INVALID_ARGUMENT = 0, 2, 9, 19

RELEASE_REQUEST = bytes.fromhex("09 18 C1 16 61 80 30 80 02 01 01 A0 80 62 80 80 01 00 00 00 00 00 00 00 00 00")
RELEASE_ANSWER = bytes.fromhex("0A 18 C1 16 61 80 30 80 02 01 01 A0 80 63 80 80 01 00 00 00 00 00 00 00 00 00")
REFUSAL = bytes.fromhex("0C 05 32 01 00 C1 00")
ABORTION = bytes.fromhex(
    "19 2E 11 01 03 C1 29 A0 80 A0 80 30 80 02 01 01 06 02 51 01 00 00 00 00 61 80 30 80 02 01 01 A0 80 64"
    " 80 80 01 01 00 00 00 00 00 00 00 00 00 00"
)
_SESSION_PART = bytes.fromhex("05 08 13 01 00 16 01 02 80 00 14 02 00 02")
_ACCEPT_PART = bytes.fromhex(
    "31 80 A0 80 80 01 01 00 00 A2 80 A0 03 00 00 01 A5 80 30 80 80 01 00 81 02 51 01 00 00 30 80 80 01 00"
    " 81 0C 2A 86 48 CE 14 02 01 00 00 00 02 01 00 00 00 00 61 80 30 80 02 01 01 A0 80 61 80 A1 80 06 0C 2A"
    " 86 48 CE 14 02 01 00 00 00 03 01 00 00 A2 03 02 01 00 A3 05 A1 03 02 01 00 BE 80 28 80 02 01 02 81"
)
_REQUEST_PART = bytes.fromhex(
    "31 80 A0 80 80 01 01 00 00 A2 80 A0 03 00 00 01 A4 80 30 80 02 01 01 06 04 52 01 00 01 30 80 06 02 51"
    " 01 00 00 00 00 30 80 02 01 02 06 0C 2A 86 48 CE 14 02 01 00 00 00 01 01 30 80 06 0C 2A 86 48 CE 14 02"
    " 01 00 00 00 02 01 00 00 00 00 00 00 61 80 30 80 02 01 01 A0 80 60 80 A1 80 06 0C 2A 86 48 CE 14 02 01"
    " 00 00 00 03 01 00 00 BE 80 28 80 06 0C 2A 86 48 CE 14 02 01 00 00 00 01 01 02 01 02 81"
)
"""The presentation header of VSCaptureMP and OpenICE, up to the length of the user data."""
_TRAILER = bytes(16)


def fcs(data: bytes) -> int:
    """CRC-16/X-25."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x8408 if register & 1 else 0)
    return register ^ 0xFFFF


def stuffed(data: bytes) -> bytes:
    """The inside of a frame as it is sent."""
    out = bytearray()
    for byte in data:
        out += bytes([ESCAPE, byte ^ FLIP]) if byte in (BEGIN, END, ESCAPE) else bytes([byte])
    return bytes(out)


def framed(payload: bytes, spoil: int = 0) -> bytes:
    """A payload as it leaves the serial port; `spoil` is mixed into its FCS."""
    inside = HEADER + len(payload).to_bytes(2, "big") + payload
    return bytes([BEGIN]) + stuffed(inside + (fcs(inside) ^ spoil).to_bytes(2, "little")) + bytes([END])


class Ear:
    """Takes the bytes of a serial line apart into payloads."""

    def __init__(self) -> None:
        self._inside: bytearray | None = None
        self._is_lost = False
        self.taken_back = 0
        """Frames that their sender aborted."""

    def lose_place(self) -> None:
        """Bytes may have been missed: what follows up to a beginning is nobody's fault."""
        self._inside, self._is_lost = None, True

    def hear(self, data: bytes) -> list[tuple[bool, bytes]]:
        """Payloads (True) and what is no frame (False), in order."""
        heard: list[tuple[bool, bytes]] = []
        for byte in data:
            if byte == BEGIN:
                if self._inside:
                    heard.append((False, bytes(self._inside)))
                self._inside, self._is_lost = bytearray(), False
            elif self._inside is None:
                if not self._is_lost:
                    heard.append((False, bytes([byte])))
            elif byte == END:
                inside, self._inside = bytes(self._inside), None
                if inside.endswith(bytes([ESCAPE])):
                    self.taken_back += 1
                else:
                    payload = payload_of(inside)
                    heard.append((False, inside) if payload is None else (True, payload))
            else:
                self._inside.append(byte)
                if len(self._inside) > FRAME_LIMIT_BYTES:
                    heard.append((False, bytes(self._inside)))
                    self.lose_place()
        return heard


def payload_of(inside: bytes) -> bytes | None:
    """The payload of what stood between begin and end; None when header, length or FCS do not fit."""
    plain = bytearray()
    flip = 0
    for byte in inside:
        if byte == ESCAPE and not flip:
            flip = FLIP
        else:
            plain.append(byte ^ flip)
            flip = 0
    if flip or len(plain) < 6 or plain[:2] != HEADER:
        return None
    if int.from_bytes(plain[2:4], "big") != len(plain) - 6 or fcs(bytes(plain[:-2])) != int.from_bytes(
        plain[-2:], "little"
    ):
        return None
    return bytes(plain[4:-2])


# -- small things ---------------------------------------------------------------------------------------------------


def number(value: float, digits: int) -> bytes:
    """A FLOAT: the exponent, then 24 bits of mantissa."""
    return struct.pack(">b", -digits) + round(value * 10.0**digits).to_bytes(3, "big", signed=True)


def absolute(at: datetime) -> bytes:
    """A time in eight bytes of BCD: century, year, month, day, hour, minute, second, hundredths."""
    digits = f"{at:%Y%m%d%H%M%S}" + f"{at.microsecond // 10_000:02d}"
    return bytes.fromhex(digits)


def string(text: str) -> bytes:
    """A string of UTF-16 with its length, ended by a zero."""
    data = text.encode("utf-16-be") + b"\0\0"
    return len(data).to_bytes(2, "big") + data


def label(text: str) -> bytes:
    """A label of ASCII with its length, of an even number of bytes."""
    data = text.encode("ascii") + b"\0"
    data += bytes(len(data) % 2)
    return len(data).to_bytes(2, "big") + data


def listed(items: Iterable[bytes]) -> bytes:
    """Any list: how many, how long, and the items."""
    parts = list(items)
    body = b"".join(parts)
    return struct.pack(">HH", len(parts), len(body)) + body


def attribute(code: int, value: bytes) -> bytes:
    """An attribute with its length."""
    return struct.pack(">HH", code, len(value)) + value


# -- association ----------------------------------------------------------------------------------------------------


class Terms(NamedTuple):
    """What an association agrees on."""

    min_poll_ticks: int
    mtu_rx: int
    """What the one who says it can receive."""
    mtu_tx: int
    options: int
    """Poll profile extensions: 80000000 numerics each second, 08000000 waves, 04000000 enumerations..."""


def _length(size: int) -> bytes:
    return bytes([size]) if size < 0xFF else b"\xff" + size.to_bytes(2, "big")


def _after_length(data: bytes, at: int) -> tuple[int, int]:
    """A session length and where what it counts begins."""
    if data[at : at + 1] == b"\xff":
        return int.from_bytes(data[at + 1 : at + 3], "big"), at + 3
    return int.from_bytes(data[at : at + 1], "big"), at + 1


def terms_of(request: bytes) -> Terms | None:
    """What an association request asks for; None when a field of it is not as the known clients word it."""
    size, start = _after_length(request, 1)
    session, place = request[start : start + len(_SESSION_PART)], start + len(_SESSION_PART)
    if request[:1] != bytes([REQUEST]) or size != len(request) - start or session != _SESSION_PART:
        return None
    size, start = _after_length(request, place + 1)
    if request[place : place + 1] != b"\xc1" or size != len(request) - start:
        return None
    place = start + len(_REQUEST_PART)
    if request[start:place] != _REQUEST_PART:
        return None
    data = request[place:]
    wide = {0x81: 1, 0x82: 2}.get(data[0] if data else 0, 0)
    stated = int.from_bytes(data[1 : 1 + wide] if wide else data[:1], "big")
    user, trailer = data[1 + wide : 1 + wide + stated], data[1 + wide + stated :]
    if len(user) != stated or trailer != _TRAILER or len(user) < 20:
        return None
    version, nomenclature, units, system, start_up = struct.unpack_from(">5I", user)
    if (version, nomenclature, units, system) != (0x80000000, 0x40000000, 0, 0x80000000) or start_up not in STARTS:
        return None
    lists = _lists(user[20:])
    return None if lists is None else _profile_of(lists[1])


def _lists(data: bytes) -> tuple[dict[int, bytes], dict[int, bytes]] | None:
    """The two lists of attributes that make up the rest of the user data: options, what is supported."""
    out = []
    for _ in range(2):
        found = attributes_of(data)
        if found is None:
            return None
        out.append(found[0])
        data = found[1]
    return None if data else (out[0], out[1])


def attributes_of(data: bytes) -> tuple[dict[int, bytes], bytes] | None:
    """A list of attributes and what stands behind it; None when a count or length does not fit."""
    if len(data) < 4:
        return None
    count, size = struct.unpack_from(">HH", data)
    inside, rest = data[4 : 4 + size], data[4 + size :]
    found: dict[int, bytes] = {}
    for _ in range(count):
        code, length = struct.unpack_from(">HH", inside) if len(inside) >= 4 else (0, len(inside))
        if len(inside) < 4 + length or code in found:
            return None
        found[code], inside = inside[4 : 4 + length], inside[4 + length :]
    return None if inside or len(data) < 4 + size else (found, rest)


def _profile_of(supported: dict[int, bytes]) -> Terms | None:
    """The poll profile among what the box supports; the numbers of objects it takes may stand beside it."""
    profile = supported.pop(POLL_PROFILE, b"")
    objects = supported.pop(OBJECT_SUPPORT, None)
    packages = attributes_of(profile[24:])
    if supported or packages is None or packages[1] or packages[0].keys() - {POLL_EXTENSIONS}:
        return None
    if objects is not None and not _is_list_of(objects, 8):
        return None
    revision, period, mtu_rx, mtu_tx, _, options = struct.unpack_from(">6I", profile)
    extension = packages[0].get(POLL_EXTENSIONS)
    # The extension ends with a list that all known clients leave empty.
    if extension is not None and (len(extension) != 8 or extension[4:] != bytes(4)):
        return None
    if revision != 0x80000000 or not mtu_rx or not mtu_tx or options != 0x60000000:
        return None
    return Terms(period, mtu_rx, mtu_tx, int.from_bytes(extension[:4], "big") if extension else 0)


def _is_list_of(data: bytes, size: int) -> bool:
    """Whether a list has entries of `size` bytes, and its count and length say so."""
    count, rest = divmod(len(data) - 4, size)
    return len(data) >= 4 and not rest and struct.unpack_from(">HH", data) == (count, count * size)


def acceptance(terms: Terms) -> bytes:
    """The answer that lets the box in."""
    extension = attribute(POLL_EXTENSIONS, struct.pack(">II", terms.options, 0))
    profile = struct.pack(">6I", 0x80000000, terms.min_poll_ticks, terms.mtu_rx, terms.mtu_tx, 0xFFFFFFFF, 0x60000000)
    profile += listed([extension] if terms.options else [])
    user = struct.pack(">5I", 0x80000000, 0x40000000, 0, 0x00800000, 0x20000000)
    user += listed([]) + listed([attribute(POLL_PROFILE, profile)])
    asn = bytes([len(user)]) if len(user) < 0x80 else bytes([0x81, len(user)])
    presentation = _ACCEPT_PART + asn + user + _TRAILER
    body = _SESSION_PART + b"\xc1" + _length(len(presentation)) + presentation
    return bytes([ACCEPT]) + _length(len(body)) + body


# -- remote operations ----------------------------------------------------------------------------------------------


class Poll(NamedTuple):
    """A poll of the box."""

    invoke: int
    action: int
    """POLL or POLL_EXTENDED."""
    number: int
    kind: int
    """The class of objects that is asked for."""
    group: int
    period_ticks: int
    """How long an extended poll goes on by itself; 0 when it does not say."""


class Answer(NamedTuple):
    """The box has taken note of an event."""

    invoke: int
    event: int


class Forbidden(NamedTuple):
    """An operation that a box may not ask for."""

    invoke: int
    error: int


def operation_of(data: bytes) -> Poll | Answer | Forbidden | None:
    """What a data packet of the box says; None when it is no well-formed operation."""
    if len(data) < 14 or data[:4] != SESSION:
        return None
    kind, size, invoke, command, inner = struct.unpack_from(">HHHHH", data, 4)
    if size != len(data) - 8 or inner != len(data) - 14:
        return None
    body = data[14:]
    if kind == RESULT and command == EVENT_CONFIRMED and len(body) == 14:
        event, rest = struct.unpack_from(">HH", body, 10)
        return Answer(invoke, event) if rest == 0 else None
    if kind != INVOKE:
        return None
    if command != ACTION_CONFIRMED:
        return Forbidden(invoke, ACCESS_DENIED)
    return _poll_of(invoke, body)


def _poll_of(invoke: int, body: bytes) -> Poll | Forbidden | None:
    if len(body) < 22 or body[:10] != struct.pack(">HHHI", MDS_CLASS, 0, 0, 0):
        return None
    action, size, poll_number, partition, kind, group = struct.unpack_from(">6H", body, 10)
    rest = body[22:]
    if size != len(body) - 14 or partition != 1:
        return None
    if action == POLL:
        return None if rest else Poll(invoke, action, poll_number, kind, group, 0)
    if action != POLL_EXTENDED:
        return Forbidden(invoke, NO_SUCH_ACTION)
    if rest == bytes(4):
        return Poll(invoke, action, poll_number, kind, group, 0)
    if len(rest) == 12 and rest[:8] == struct.pack(">HHHH", 1, 8, POLL_PERIOD, 4):
        return Poll(invoke, action, poll_number, kind, group, int.from_bytes(rest[8:], "big"))
    return None


def _operation(kind: int, link: bytes, invoke: int, command: int, body: bytes) -> bytes:
    inner = link + struct.pack(">HHH", invoke, command, len(body)) + body
    return SESSION + struct.pack(">HH", kind, len(inner)) + inner


def creation(invoke: int, ticks: int, attributes: list[bytes]) -> bytes:
    """The event with which a monitor introduces itself."""
    mds = struct.pack(">HHH", MDS_CLASS, 0, 0)
    info = mds + listed(attributes)
    body = mds + struct.pack(">IHH", ticks, MDS_CREATE, len(info)) + info
    return _operation(INVOKE, b"", invoke, EVENT_CONFIRMED, body)


def poll_result(poll: Poll, reply: bytes, link: tuple[int, int] | None = None) -> bytes:
    """The answer to a poll, or one part of it when it is linked: state and number of the part."""
    body = struct.pack(">HHHHH", MDS_CLASS, 0, 0, poll.action, len(reply)) + reply
    return _operation(LINKED if link else RESULT, bytes(link) if link else b"", poll.invoke, ACTION_CONFIRMED, body)


def error(invoke: int, value: int) -> bytes:
    """An operation that is refused."""
    return SESSION + struct.pack(">HHHHH", ERROR, 6, invoke, value, 0)


def poll_reply(poll: Poll, sequence: int, ticks: int, at: datetime, observations: list[bytes]) -> bytes:
    """What a poll brings, in one context; extended ones are numbered."""
    numbers = struct.pack(">H", poll.number)
    if poll.action == POLL_EXTENDED:
        numbers += struct.pack(">H", sequence % 0x10000)
    head = numbers + struct.pack(">I", ticks) + absolute(at) + struct.pack(">HHH", 1, poll.kind, poll.group)
    contexts = [struct.pack(">H", 0) + listed(observations)] if observations else []
    return head + listed(contexts)


# -- the beacon -----------------------------------------------------------------------------------------------------

_BED_CLASS, _CONNECT_INDICATION = 0x23, 0x0D17
_EVENT = 0
_PROTOCOLS = ((1, 3, 24000), (2, 3, 24000), (1, 1, DATA_PORT), (5, 1, DATA_PORT), (8, 1, 33333))
"""Application, transport and port as an M8007A listed them; 5 over 1 is data export over UDP."""


def beacon(ticks: int, address: bytes, language: int, bed: str, identity: Iterable[bytes]) -> bytes:
    """The Connect Indication that a monitor on a network sends to port 24005; `address` is MAC, IP and mask."""
    protocols = [struct.pack(">4H", *protocol, 0) for protocol in _PROTOCOLS]
    attributes = [
        attribute(0x0986, struct.pack(">HH", 1, 0x114D)),
        attribute(0x0937, struct.pack(">IHH", 0x06080608, language, 11)),
        attribute(0xF135, bed.encode("utf-16-be")[:32].ljust(34, b"\0")),
        attribute(0xF100, address),
        attribute(0xF101, listed(protocols)),
        *identity,
    ]
    info = listed(attributes)
    body = struct.pack(">HHHIHH", _BED_CLASS, 0, 0, ticks, _CONNECT_INDICATION, len(info)) + info
    inner = struct.pack(">HHH", 0, _EVENT, len(body)) + body
    return struct.pack(">IHH", 0x0100, INVOKE, len(inner)) + inner
