"""Protocol data units of the data export, whatever carried them. Numbers are big endian.

    association   │ 0D request, 0E accepted, 0C refused, 09 release, 0A released, 19 abort │ length 1 or 3 │ … │
    data          │ E1 00 00 02 │ kind 2 │ length 2 │ [5: state 1, count 1] invoke 2 │ command 2 │ length 2 │ … │
    event         │ object 6 │ time 4 │ event 2 │ length 2 │ … │
    action result │ object 6 │ action 2 │ length 2 │ poll number 2 │ [F13B: sequence 2] relative time 4 │
                  │ absolute time 8 │ type 4 │ group 2 │ contexts: count 2, length 2 │
                  │ context 2, count 2, length 2 │ handle 2, count 2, length 2 │ attribute 2, length 2, value │ …

Every count and every length must close, or nothing of the PDU is read. VSCaptureMP (xeonfusion), Class1.cs and
Class2.cs; mdpnp, devices/philips; Philips, Data Export Interface Programming Guide, 4535 642 59271, sections Message
Description and Extended Poll Data Request. association.py has what the association holds.
"""

import struct
from collections.abc import Iterator

from msgspec import Struct

from drivers.contract import Fault

ACCEPTED, REFUSED, RELEASED, ABORT = 0x0E, 0x0C, 0x0A, 0x19
_SESSIONS = frozenset((ACCEPTED, REFUSED, RELEASED, ABORT))
_DATA = bytes.fromhex("E1 00 00 02")
FIRST_BYTES = frozenset(_SESSIONS | {_DATA[0]})
"""A unit that begins with another byte is none that a monitor sends."""
_INVOKE, _RESULT, _ERROR, _LINKED = 1, 2, 3, 5
_CONFIRMED_EVENT, _CONFIRMED_ACTION = 1, 7
_EVENTS = (0, _CONFIRMED_EVENT)
MDS_CREATE = 0x0D06
SINGLE, EXTENDED = 0x0C16, 0xF13B
ENUMERATIONS, NUMERICS, WAVES, MDS, ALERTS = 5, 6, 9, 0x21, 0x36
"""Types of object that are polled, of partition 1."""
ALL, MDS_GROUP, ALERT_GROUP = 0, 0x080C, 0x0801
FIRST, MIDDLE, LAST = 1, 2, 3
"""Parts of a linked result; 0 stands for one that is whole, or the final one."""
_OBJECT = bytes.fromhex("00 21 00 00 00 00")
_SCOPE = bytes(4)
OPERATING_MODE, DATE_AND_TIME = 0x0946, 0x0987
"""Attributes of the MDS."""
_U16, _PAIR, _TRIPLE = struct.Struct(">H"), struct.Struct(">HH"), struct.Struct(">HHH")
_POLLED = struct.Struct(">I8sHHH")
Attributes = dict[int, bytes]

RELEASE = bytes.fromhex("09 18 C1 16 61 80 30 80 02 01 01 A0 80 62 80 80 01 00 00 00 00 00 00 00 00 00")
"""The goodbye, byte for byte as public programs send it."""


class Malformed(ValueError):
    """A count or a length that does not close; caught where the PDU is read."""


class Association(Struct, frozen=True):
    """A PDU of the session: accepted, refused, released, aborted. What else it holds is not read."""

    kind: int


class Event(Struct, frozen=True):
    """An event report; `is_confirmed`: the monitor waits for its result."""

    invoke: int
    event: int
    is_confirmed: bool
    attributes: Attributes


class Refusal(Struct, frozen=True):
    """A remote operation that the monitor would not do."""

    invoke: int
    detail: str


class Polled(Struct, frozen=True):
    """One object of a poll result. Handles are unique within one context: a measurement server."""

    context: int
    handle: int
    attributes: Attributes


class PollResult(Struct, frozen=True):
    """A poll result, or a part of one."""

    invoke: int
    number: int
    """Of the poll that this answers."""
    sequence: int
    """Of an extended poll: 0 confirms the request, each result of a period has the next; -1 where there is none."""
    action: int
    kind: int
    part: int
    count: int
    relative: int
    """Eighths of a millisecond since the monitor was switched on."""
    absolute: bytes
    """Eight BCD bytes."""
    objects: tuple[Polled, ...]


class Unread(Struct, frozen=True):
    """A PDU that closes and that this driver has no use for."""

    detail: str


Pdu = Association | Event | Refusal | PollResult | Unread


def poll(kind: int, group: int, invoke: int = 1, number: int = 1) -> bytes:
    """A single poll. With `MDS` and its group it is the keep-alive of public programs, byte for byte."""
    return _action(invoke, SINGLE, _TRIPLE.pack(number, 1, kind) + _U16.pack(group))


def extended_poll(kind: int, group: int, invoke: int, number: int) -> bytes:
    """A poll that the monitor answers again and again for 600 s: attribute F13E, in 1/8 ms.

    Polls that run side by side have invoke ids and numbers of their own.
    """
    period = struct.pack(">HHI", 0xF13E, 4, 4_800_000)
    argument = _TRIPLE.pack(number, 1, kind) + _U16.pack(group) + _PAIR.pack(1, len(period)) + period
    return _action(invoke, EXTENDED, argument)


def _action(invoke: int, action: int, argument: bytes) -> bytes:
    body = _OBJECT + _SCOPE + _PAIR.pack(action, len(argument)) + argument
    return _invoke(_INVOKE, invoke, _CONFIRMED_ACTION, body)


def mds_create_result(invoke: int) -> bytes:
    """The answer to the monitor's MDS-Create, byte for byte as public programs send it, with its invoke id."""
    return _invoke(_RESULT, invoke, _CONFIRMED_EVENT, _OBJECT + bytes.fromhex("00 0A BD 00 0D 06 00 00"))


def _invoke(kind: int, invoke: int, command: int, body: bytes) -> bytes:
    inner = _TRIPLE.pack(invoke, command, len(body)) + body
    return _DATA + _PAIR.pack(kind, len(inner)) + inner


def parse_pdu(payload: bytes) -> Pdu | Fault:
    """The PDU of a verified payload; one that does not close is refused whole."""
    try:
        if payload[:1] and payload[0] in _SESSIONS:
            _rest(payload, *session_length(payload))
            return Association(payload[0])
        if not payload.startswith(_DATA):
            return Unread(payload[:1].hex().upper())
        return _data(payload[len(_DATA) :])
    except (struct.error, Malformed):
        return Fault("length", rejected=True)


def _rest(data: bytes, at: int, length: int) -> bytes:
    """What follows a length that must reach to the end."""
    if len(data) - at != length:
        raise Malformed
    return data[at:]


def _data(data: bytes) -> Pdu:
    kind, length = _PAIR.unpack_from(data)
    body = _rest(data, _PAIR.size, length)
    if kind == _ERROR:
        invoke, error = _PAIR.unpack_from(body)
        return Refusal(invoke, f"{error:04X}")
    part = count = 0
    if kind == _LINKED:
        part, count = struct.unpack_from(">BB", body)
        body = body[2:]
        if part not in (FIRST, MIDDLE, LAST):
            raise Malformed
    elif kind not in (_INVOKE, _RESULT):
        return Unread(f"apdu {kind}")
    invoke, command, length = _TRIPLE.unpack_from(body)
    argument = _rest(body, _TRIPLE.size, length)
    if kind == _INVOKE and command in _EVENTS:
        return _event(invoke, command, argument)
    if kind != _INVOKE and command == _CONFIRMED_ACTION:
        return _result(invoke, part, count, argument)
    return Unread(f"apdu {kind} command {command}")


def _event(invoke: int, command: int, argument: bytes) -> Pdu:
    event, length = _PAIR.unpack_from(argument, 10)
    information = _rest(argument, 14, length)
    attributes = _information(information) if event == MDS_CREATE else {}
    return Event(invoke, event, command == _CONFIRMED_EVENT, attributes)


def _information(information: bytes) -> Attributes:
    """The attributes of an MDS-Create, after its object. Where they do not close, the event stands without them."""
    try:
        attributes, rest = attribute_list(information[len(_OBJECT) :])
    except (struct.error, Malformed):
        return {}
    return {} if rest else attributes


def _result(invoke: int, part: int, count: int, argument: bytes) -> Pdu:
    action, length = _PAIR.unpack_from(argument, len(_OBJECT))
    reply = _rest(argument, len(_OBJECT) + _PAIR.size, length)
    if action not in (SINGLE, EXTENDED):
        return Unread(f"action {action:04X}")
    at = 4 if action == EXTENDED else 2  # after the poll number, and the sequence number of an extended one
    (number,) = _U16.unpack_from(reply)
    sequence = _U16.unpack_from(reply, 2)[0] if action == EXTENDED else -1
    relative, absolute, partition, kind, _group = _POLLED.unpack_from(reply, at)
    if partition != 1:
        return Unread(f"type {partition:04X} {kind:04X}")
    objects = tuple(_contexts(reply[at + _POLLED.size :]))
    return PollResult(invoke, number, sequence, action, kind, part, count, relative, absolute, objects)


def _contexts(data: bytes) -> Iterator[Polled]:
    count, length = _PAIR.unpack_from(data)
    rest = _rest(data, _PAIR.size, length)
    for _context in range(count):
        number, objects, length = _TRIPLE.unpack_from(rest)
        own, rest = _cut(rest, _TRIPLE.size, length)
        for _object in range(objects):
            handle, attributes, length = _TRIPLE.unpack_from(own)
            listed, own = _cut(own, _TRIPLE.size, length)
            yield Polled(number, handle, _attributes(attributes, length, listed))
        if own:
            raise Malformed
    if rest:
        raise Malformed


def _cut(data: bytes, at: int, length: int) -> tuple[bytes, bytes]:
    if len(data) < at + length:
        raise Malformed
    return data[at : at + length], data[at + length :]


def session_length(payload: bytes) -> tuple[int, int]:
    """Where the content of a session unit begins, and how long it says it is: one byte, or FF and two.

    Raises `Malformed`, `struct.error`.
    """
    if payload[1:2] == b"\xff":
        return 4, _U16.unpack_from(payload, 2)[0]
    if len(payload) < 2:  # noqa: PLR2004 (type and length)
        raise Malformed
    return 2, payload[1]


def attribute_list(data: bytes) -> tuple[Attributes, bytes]:
    """An attribute list with its count and length, and what follows it. Raises `Malformed`, `struct.error`."""
    count, length = _PAIR.unpack_from(data)
    own, rest = _cut(data, _PAIR.size, length)
    return _attributes(count, length, own), rest


def _attributes(count: int, length: int, data: bytes) -> Attributes:
    rest = _rest(data, 0, length)
    found: Attributes = {}
    for _attribute in range(count):
        number, length = _PAIR.unpack_from(rest)
        value, rest = _cut(rest, _PAIR.size, length)
        if number in found:
            raise Malformed
        found[number] = value
    if rest:
        raise Malformed
    return found


def time_of(bcd: bytes) -> str:
    """Century, year, month, day, hour, minute, second, fraction as the monitor shows them; empty if it has none.

    In extended results all eight bytes are FF: the guide calls the field not supported there.
    """
    digits = bcd.hex()
    if len(digits) != 16 or not digits.isdecimal():
        return ""
    date = f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}"
    return f"{date} {digits[8:10]}:{digits[10:12]}:{digits[12:14]}.{digits[14:]}"
