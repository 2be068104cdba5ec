"""GE / Datex-Ohmeda DRI on a serial line: frames, records, requests and the layout of the basic class.

    7E  record  checksum  7E      7E is sent as 7D 5E and 7D as 7D 5D, in the checksum too
    record  r_len s16 · r_nbr u8 · dri_level u8 · plug_id u16 · r_time u32 · n_subnet u8 · 3 spare · r_maintype s16
            8 x (offset s16 · type u8), type FF ends; offsets count from the end of these 40 bytes

Little endian. The checksum is the sum of the record modulo 256. Each frame has two flags of its own.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

FLAG, ESCAPE = 0x7E, 0x7D
PHDB, WAVE, ALARM = 0, 1, 4
LAST_TYPE = 0xFF
HEADER_BYTES = 40
SUBRECORDS_LIMIT = 8
DENY_BASIC = 0x1
FRAME_LIMIT_BYTES = 2048
DISPLAYED, TREND_10S, TREND_60S = 1, 2, 3
ONCE, STOP = -1, 0
INVALID, NOT_UPDATED, DISCONTINUITY, UNDER, OVER, NOT_CALIBRATED = -32767, -32766, -32765, -32764, -32763, -32762
ALARMS_SHOWN = 5
SMALLEST, LARGEST = -32000, 32767


def framed(record: bytes, check: int = 0) -> bytes:
    """A record as it is sent; `check` is added to its checksum to spoil it."""
    plain = record + bytes([(sum(record) + check) % 256])
    stuffed = plain.replace(b"\x7d", b"\x7d\x5d").replace(b"\x7e", b"\x7d\x5e")
    return bytes([FLAG]) + stuffed + bytes([FLAG])


def unstuffed(inside: bytes) -> bytes | None:
    """Record and checksum of what stood between two flags; None when an escape stands before nothing known."""
    out = bytearray()
    pending = False
    for byte in inside:
        if pending:
            if byte not in (0x5D, 0x5E):
                return None
            out.append(byte | 0x20)
            pending = False
        elif byte == ESCAPE:
            pending = True
        else:
            out.append(byte)
    return None if pending else bytes(out)


def record_of(inside: bytes) -> bytes | None:
    """The record of what stood between two flags; None when its checksum does not fit."""
    plain = unstuffed(inside)
    if not plain or sum(plain[:-1]) % 256 != plain[-1]:
        return None
    return plain[:-1]


class Head(NamedTuple):
    """What a record's header says besides its subrecords."""

    number: int
    level: int
    plug_id: int
    time: int


def record(head: Head, main_type: int, subrecords: Iterable[tuple[int, bytes]]) -> bytes:
    """A whole record; the subrecords are at most eight."""
    body = bytearray()
    descriptors = bytearray()
    for kind, data in subrecords:
        descriptors += struct.pack("<hB", len(body), kind)
        body += data
    if len(descriptors) < SUBRECORDS_LIMIT * 3:
        descriptors += struct.pack("<hB", 0, LAST_TYPE)
    descriptors += bytes(SUBRECORDS_LIMIT * 3 - len(descriptors))
    start = struct.pack("<hBBHI4xh", HEADER_BYTES + len(body), *head, main_type)
    return start + bytes(descriptors) + bytes(body)


# -- requests -------------------------------------------------------------------------------------------------------


class Request(NamedTuple):
    """What the box asks for."""

    kind: Literal["values", "waves", "alarms"]
    command: int
    """Of values the type (1 displayed, 2 and 3 trends), of waves 0 start and 1 stop, of alarms 0, 2 or 3."""
    interval_s: int = 0
    classes: int = 0
    """Bits as sent."""
    types: tuple[int, ...] = ()


def request_of(data: bytes) -> Request | None:
    """The request in a record of the box; None for anything a box may not send."""
    if len(data) < HEADER_BYTES + 2 or len(data) != int.from_bytes(data[:2], "little"):
        return None
    if data[16:19] != b"\0\0\0" or data[21] != LAST_TYPE:
        return None
    (main_type,) = struct.unpack_from("<h", data, 14)
    body = data[HEADER_BYTES:]
    if main_type == PHDB and len(body) == 9:
        kind, interval, classes, spare = struct.unpack("<BhIh", body)
        is_known = DISPLAYED <= kind <= TREND_60S and interval >= ONCE and classes <= 0xF and spare == 0
        is_slow = kind != DISPLAYED or interval in (ONCE, STOP) or interval >= 5
        return Request("values", kind, interval, classes) if is_known and is_slow else None
    if main_type == WAVE and len(body) == 32:
        command, spare = struct.unpack_from("<hh", body)
        types = body[4:12].split(bytes([LAST_TYPE]))[0]
        is_known = command in (0, 1) and spare == 0 and not any(body[12:])
        return Request("waves", command, types=tuple(types)) if is_known else None
    if main_type == ALARM and not any(body[2:]):
        (command,) = struct.unpack_from("<h", body)
        return Request("alarms", command) if command in (0, 2, 3) else None
    return None


# -- the basic class ------------------------------------------------------------------------------------------------


class Field(NamedTuple):
    """A value of the basic class: its code here, its place in the class's body, and raw numbers for one unit."""

    code: str
    offset: int
    scale: float
    quantity: str


BODY_BYTES = 270
GROUPS: Mapping[str, tuple[int, str]] = {
    "ecg": (0, "hr:1:hr st1:100:st_1 st2:100:st_2 st3:100:st_3 imp_rr:1:rr"),
    "p1": (16, "sys:100:art_sys dia:100:art_dia mean:100:art_mean hr:1:hr"),
    "p2": (30, "sys:100:- dia:100:- mean:100:cvp hr:1:-"),
    "p3": (44, "sys:100:pa_sys dia:100:pa_dia mean:100:pa_mean hr:1:hr"),
    "p4": (58, "sys:100:- dia:100:- mean:100:icp hr:1:-"),
    "nibp": (72, "sys:100:cuff_sys dia:100:cuff_dia mean:100:cuff_mean hr:1:cuff_pulse"),
    "t1": (86, "temp:100:temp_1"),
    "t2": (94, "temp:100:temp_2"),
    "t3": (102, "temp:100:-"),
    "t4": (110, "temp:100:-"),
    "spo2": (118, "spo2:100:spo2 pr:1:pr ir_amp:100:pi svo2:100:-"),
    "co2": (132, "et:100:co2_et_percent fi:100:co2_in_percent rr:1:co2_rr amb_press:10:ambient"),
    "o2": (146, "et:100:o2_out fi:100:o2_in"),
    "n2o": (156, "et:100:- fi:100:-"),
    "aa": (166, "et:100:aa_out fi:100:aa_in mac:100:mac"),
    "flow_vol": (178, "rr:1:rr ppeak:100:ppeak peep:100:peep pplat:100:pplat tv_insp:10:vte tv_exp:10:vte "
                      "compl:100:compliance mv_exp:100:mv"),
}  # fmt: skip
"""Group → its place and its values; `-` is nothing this patient has. The other groups' fields are not known."""
ABSENT_GROUPS = ("t3", "t4", "n2o")
UNKNOWN_GROUPS = (200, 214, 226, 232, 240, 254)


def fields() -> list[Field]:
    """All values of the basic class, in order."""
    out: list[Field] = []
    for group, (start, text) in GROUPS.items():
        for place, item in enumerate(text.split()):
            name, scale, quantity = item.split(":")
            out.append(Field(f"{group}.{name}", start + 6 + 2 * place, float(scale), quantity))
    return out


FIELDS = fields()


def basic_body(raws: Mapping[str, int], statuses: Mapping[str, int], labels: Mapping[str, int]) -> bytes:
    """The 270 bytes of the basic class."""
    body = bytearray(BODY_BYTES)
    for group, (start, _) in GROUPS.items():
        struct.pack_into("<IH", body, start, statuses.get(group, 0), labels.get(group, 0))
    for field in FIELDS:
        struct.pack_into("<h", body, field.offset, raws[field.code])
    return bytes(body)


def values_subrecord(time: int, body: bytes, class_number: int, low_byte: int = 0) -> bytes:
    """One class with its time; the class stands in bits 8 to 11 of the last word."""
    return struct.pack("<I", time) + body + struct.pack("<BBH", 0, 0, class_number << 8 | low_byte)


def wave_subrecord(samples: list[int], status: int) -> bytes:
    """A stretch of one curve."""
    return struct.pack(f"<hHH{len(samples)}h", len(samples), status, 0, *samples)


class Alarm(NamedTuple):
    """One line of the alarm message."""

    text: str
    colour: int
    """0 none, 1 white, 2 yellow, 3 red."""
    is_changed: bool


def alarm_subrecord(alarms: list[Alarm], silence: int) -> bytes:
    """The alarm message: five lines, the empty ones without a colour."""
    out = struct.pack("<hhhhh", 0, int(bool(alarms)), 0, 0, silence)
    for place in range(ALARMS_SHOWN):
        alarm = alarms[place] if place < len(alarms) else Alarm("", 0, False)
        text = alarm.text.encode("latin-1", "replace")[:80]
        out += struct.pack("<80shhh12x", text, alarm.is_changed, alarm.colour, alarm.is_changed)
    return out


# -- curves ---------------------------------------------------------------------------------------------------------


class Wave(NamedTuple):
    """A curve that can be asked for."""

    rate: int
    quantity: str
    scale: float


def _waves(table: str) -> dict[int, Wave]:
    waves: dict[int, Wave] = {}
    for line in table.replace("|", "\n").strip().splitlines():
        types, rate, quantity, scale = line.split()
        for kind in types.split(","):
            waves[int(kind)] = Wave(int(rate), quantity, float(scale))
    return waves


WAVES: Mapping[int, Wave] = _waves(
    """
    1,2,3 300 ecg 1000 | 4,5,6,7,16,17 100 art 100 | 8 100 pleth 100 | 9 25 co2 13.16 | 10,11,12 25 resp 400
    13 25 resp 200 | 14 25 resp 300 | 15 25 resp 100 | 18,19,20,21 100 ecg 500 | 23 25 resp 480 | 32 100 ecg 500
    35 300 ecg 500
    """
)
"""Type → rate, curve and raw numbers for one unit. 22 is left out: how twelve leads share a sample is not known."""
