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
_USER_DATA = b"\x02\x01\x02\x81"
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
    """What an association request asks for; None when it is not one."""
    size, start = _after_length(request, 1)
    place = start + len(_SESSION_PART)
    if size != len(request) - start or request[start:place] != _SESSION_PART or request[place : place + 1] != b"\xc1":
        return None
    size, start = _after_length(request, place + 1)
    place = request.find(_USER_DATA, start)
    if size != len(request) - start or place < 0:
        return None
    data = request[place + len(_USER_DATA) :]
    wide = {0x81: 1, 0x82: 2}.get(data[0] if data else 0, 0)
    stated = int.from_bytes(data[1 : 1 + wide], "big") if wide else int.from_bytes(data[:1], "big")
    user = data[1 + wide : 1 + wide + stated]
    if len(user) != stated or user[:12] != bytes.fromhex("80000000 40000000 00000000"):
        return None
    return _profile_of(user[20:])


def _profile_of(lists: bytes) -> Terms | None:
    """The poll profile in the lists behind the fixed part of the user data."""
    skipped = 4 + int.from_bytes(lists[2:4], "big")
    profile = lists[skipped + 4 :]
    if profile[:2] != b"\x00\x01" or len(profile) < 32:
        return None
    _, period, mtu_rx, mtu_tx, _, _ = struct.unpack_from(">6I", profile, 4)
    place = profile.find(b"\xf0\x01\x00\x08", 28)
    options = int.from_bytes(profile[place + 4 : place + 8], "big") if place >= 0 else 0
    return Terms(period, mtu_rx, mtu_tx, options)


def acceptance(terms: Terms) -> bytes:
    """The answer that lets the box in."""
    extension = attribute(0xF001, struct.pack(">II", terms.options, 0))
    profile = struct.pack(">6I", 0x80000000, terms.min_poll_ticks, terms.mtu_rx, terms.mtu_tx, 0xFFFFFFFF, 0x60000000)
    profile += listed([extension] if terms.options else [])
    user = struct.pack(">5I", 0x80000000, 0x40000000, 0, 0x00800000, 0x20000000)
    user += listed([]) + listed([attribute(0x0001, profile)])
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
