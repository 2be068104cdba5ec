"""The datagrams of a GE Dash or Solar monitor on its own network ("bed message"); big endian.

    header      60  to 6 · from 6 (IPv4 and 0000) · function u16 · sub u16 · version u16 · sequence u16
                    request u16 · process u16 · place 32 (`WARD|BED`) · status u16 · length u16
    parameters      header · header · alarm state, level, sound, admission, entries, graph · entries of 70
    entry       70  01 code status u16 · three values · 14 more · 03 code flags u32 · three pairs of limits · 0000
                    15 code 8 more · 02 code 8 more · type code 0000 · last byte of the sequence · 00
    alarm       84  header · ... sensor at 63 · text at 66 · counter u32 at 80
    discovery   88  01040000 · IPv4 · clock u32 · place 16 · patient 15 07 · services
    request     62  header with nothing behind it but two zero bytes

As an open client reads and builds them (gedash); OpenICE reads the same entries on a serial line, two bytes shorter.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

HEADER_BYTES, ENTRY_BYTES, REQUEST_BYTES = 60, 70, 62
ALARM_BYTES, DISCOVERY_BYTES = 84, 88
REQUEST_PORT, DISCOVERY_PORT, ALARM_PORT, PARAMETER_PORT = 2000, 7000, 7001, 3073
TELLS, ASKS = 201, 202
PARAMETERS, ALARM, ASK_PARAMETERS, ASK_WAVES = 20, 4, 0x60, 0x21
REQUEST_VERSION = 6
PROCESSES = {ASK_PARAMETERS: 0x29, ASK_WAVES: 0x0B}
"""What is asked for → the process number in its request."""
BROADCAST = b"\xff\xff\xff\xff"
INVALID, MISSING, DRAW, FLUSH, ZERO, CAL, NO_PULSE, FAIL = range(-32768, -32760)
"""What stands for a value that is not there."""
SERVICES = bytes.fromhex("0003 07D0 0011 0020 0009 07D0 0013 0BB8 001C 0BB9 000D 07D0 000C 07D0")
TEXT_LIMIT = 13


class Entry(NamedTuple):
    """What one sensor tells."""

    code: int
    kind: int
    """The type of the parameter; 0E where it is not known."""
    values: tuple[int, ...]
    limits: tuple[tuple[int, int], ...]
    """Low and high for each value."""


def header(address: bytes, to: bytes, message: tuple[int, int], sequence: int, place: str, length: int) -> bytes:
    """The 60 bytes before everything; `message` is function and sub."""
    head = to + b"\0\0" + address + b"\0\0" + struct.pack(">4H", *message, 1, sequence % 0x10000)
    return head + bytes(4) + padded(place, 32) + struct.pack(">HH", 0, length)


def padded(text: str, size: int) -> bytes:
    """A text with zeros behind it; its last byte is always a zero."""
    return text.encode("latin-1", "replace")[: size - 1].ljust(size, b"\0")


def parameters(address: bytes, sequence: int, state: tuple[int, int, int], entries: Iterable[Entry]) -> bytes:
    """The parameters of a bed; `state` is the state, the level and the sound of its alarms."""
    said = [_entry(entry, sequence) for entry in entries]
    body = bytes([*state, 1, len(said), 0]) + b"".join(said)
    # The inner length is not known: like the outer one it counts what follows.
    inner = header(address, address, (TELLS, PARAMETERS), sequence, "", len(body)) + body
    return header(address, address, (TELLS, PARAMETERS), 0, "", len(inner)) + inner


def _entry(entry: Entry, sequence: int) -> bytes:
    values = [*entry.values, INVALID, INVALID, INVALID][:3]
    limits = [limit for pair in [*entry.limits, (0, 0), (0, 0), (0, 0)][:3] for limit in pair]
    tail = bytes([entry.kind, entry.code, 0, 0, sequence % 0x100, 0])
    out = struct.pack(">BBH3h14x", 1, entry.code, 0xC000, *values)
    out += struct.pack(">BBI6h2x", 3, entry.code, 0, *limits)
    return out + struct.pack(">BB8xBB8x", 0x15, entry.code, 2, entry.code) + tail


def alarm(address: bytes, place: str, sensor: int, text: str, counter: int) -> bytes:
    """One alarm, told to everybody."""
    head = header(address, BROADCAST, (TELLS, ALARM), 0, place, ALARM_BYTES - HEADER_BYTES)
    return head + bytes([0, 0, 0, sensor, 0, 0]) + padded(text, 14) + struct.pack(">I", counter)


def discovery(address: bytes, clock: int, place: str, patient: str) -> bytes:
    """The monitor makes itself known, with the patient's name."""
    head = b"\x01\x04\0\0" + address + struct.pack(">I", clock)
    return (head + padded(place, 16) + padded(patient, 15) + b"\x07" + SERVICES).ljust(DISCOVERY_BYTES, b"\0")


def request_of(data: bytes) -> int | None:
    """What is asked for, ASK_PARAMETERS or ASK_WAVES; None for what is no request as the known client words it."""
    if len(data) != REQUEST_BYTES:
        return None
    # The addresses are not looked at: in the known requests they are what was left in memory.
    function, sub, version, sequence, response, process = struct.unpack_from(">6H", data, 12)
    if (function, version, sequence, response) != (ASKS, REQUEST_VERSION, 0, 0) or PROCESSES.get(sub) != process:
        return None
    place = data[24:56].rstrip(b"\0")
    is_place = place.count(b"|") == 1 and all(0x20 <= byte < 0x7F for byte in place)
    return sub if is_place and not any(data[56:]) else None
