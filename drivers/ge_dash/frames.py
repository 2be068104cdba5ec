"""Bed messages in UDP datagrams: which are believed, and what is read of them. Everything is big endian.

    header  60 │ to 4 00 00 │ from 4 00 00 │ function 00 C9 │ sub 2 │ version 2 │ sequence 2 │ request 2 │ process 2 │
               │ location 32, not read │ status 2 │ octets that follow 2 │
    sub 20     │ header │ header, with the sequence │ state level sound admission n graph: 6 │ n entries │
    entry   70 │ 01 │ code │ status 2 │ 3 values 6 │ 14 │ 03 │ code │ 4 │ 3 x lower upper: 12 │ 22 │ kind │ code │ 4 │
    sub 4      │ header │ 3 │ code │ 2 │ text 14, not read │ counter 4 │

mdpnp, `GESerial.java`, section `consume`; mindleaving/gedash, `VitalSignPacketParser.cs`,
`VitalSignMessageBuilder.cs` and `AlarmMessageParser.cs`. There is no checksum. A datagram is believed when both
headers count its octets, the number of entries fits its size, each entry names its parameter three times alike, and
all addresses are one.

The location is the ward and the bed, the text is free: neither is kept, so that nothing that could be a name is.
"""

import struct

from msgspec import Struct

from drivers.contract import NOISE, Fault

BED_MESSAGE = 201
ALARM, PARAMETERS = 4, 20
HEADER_BYTES, STATE_BYTES, ENTRY_BYTES, ALARM_BYTES = 60, 6, 70, 84
MOST_ENTRIES = 19
"""As many as fit one Ethernet frame; seven have been seen."""

_HEADER = struct.Struct(">4s2s4s2sHHHHHH32xHH")
_STATE = struct.Struct(">BBBBBB")
_ENTRY = struct.Struct(">BBHhhh14xBB4x6h22xBB4x")
_ALARM = struct.Struct(">3xB16xI")
_VALUE_ENTRY = 1
_NONE, _EVERYBODY = bytes(4), b"\xff" * 4


class Header(Struct, frozen=True):
    """The 60 octets that every bed message begins with, without the location."""

    to: bytes
    source: bytes
    function: int
    sub: int
    sequence: int
    size: int
    is_padded: bool
    """Nothing stands behind the addresses."""

    @classmethod
    def from_bytes(cls, data: bytes, at: int = 0) -> "Header":
        """A header at `at`, where `data` has 60 octets."""
        to, pad, source, pad_too, function, sub, _version, sequence, *_rest, size = _HEADER.unpack_from(data, at)
        return cls(to, source, function, sub, sequence, size, not any(pad + pad_too))


class Entry(Struct, frozen=True):
    """One parameter: what stands in its three places, and the limits of each."""

    code: int
    status: int
    values: tuple[int, int, int]
    limits: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    """Lower and upper, in the order of the values."""

    @classmethod
    def from_bytes(cls, data: bytes, at: int) -> "Entry | None":
        """An entry at `at`; None where it does not name its parameter alike each time."""
        fields = _ENTRY.unpack_from(data, at)
        kind, code, status, one, two, three, _setup, code_too, *limits, _kind, code_again = fields
        if kind != _VALUE_ENTRY or code != code_too or code != code_again:
            return None
        low_high = (limits[0], limits[1]), (limits[2], limits[3]), (limits[4], limits[5])
        return cls(code, status, (one, two, three), low_high)


class Parameters(Struct, frozen=True):
    """201 / 20: every parameter that the monitor shows, and the state of its alarms."""

    address: bytes
    sequence: int
    state: int
    level: int
    admission: int
    entries: tuple[Entry, ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> "Parameters | Fault":
        """A whole datagram; a fault says why it is not believed."""
        body = 2 * HEADER_BYTES
        if len(data) < body + STATE_BYTES:
            return Fault("length", "short", rejected=True)
        outer, inner = Header.from_bytes(data), Header.from_bytes(data, HEADER_BYTES)
        state, level, _sound, admission, count, _graph = _STATE.unpack_from(data, body)
        if (inner.function, inner.sub) != (BED_MESSAGE, PARAMETERS):
            return Fault("layout", "second header", rejected=True)
        if inner.size != len(data) - body:
            return Fault("length", "second header", rejected=True)
        if count > MOST_ENTRIES or len(data) != body + STATE_BYTES + count * ENTRY_BYTES:
            return Fault("length", "entries", rejected=True)
        addresses = {outer.to, outer.source, inner.to, inner.source}
        if len(addresses) != 1 or outer.source == _NONE or not (outer.is_padded and inner.is_padded):
            return Fault("layout", "addresses", rejected=True)
        entries = tuple(Entry.from_bytes(data, body + STATE_BYTES + n * ENTRY_BYTES) for n in range(count))
        if None in entries:
            return Fault("layout", "entry", rejected=True)
        return cls(outer.source, inner.sequence, state, level, admission, tuple(e for e in entries if e))


class Broadcast(Struct, frozen=True):
    """201 / 4: the monitor tells everybody that a parameter is in alarm."""

    address: bytes
    code: int
    counter: int

    @classmethod
    def from_bytes(cls, data: bytes) -> "Broadcast | Fault":
        """A whole datagram; a fault says why it is not believed."""
        if len(data) != ALARM_BYTES:
            return Fault("length", "alarm", rejected=True)
        header = Header.from_bytes(data)
        if header.source in (_NONE, _EVERYBODY) or not header.is_padded:
            return Fault("layout", "addresses", rejected=True)
        code, counter = _ALARM.unpack_from(data, HEADER_BYTES)
        return cls(header.source, code, counter)


def read(data: bytes) -> Parameters | Broadcast | Fault:
    """What one datagram is."""
    if len(data) < HEADER_BYTES:
        return Fault(NOISE)
    header = Header.from_bytes(data)
    if header.function != BED_MESSAGE:
        return Fault(NOISE)
    if header.size != len(data) - HEADER_BYTES:
        return Fault("length", "header", rejected=True)
    if header.sub == PARAMETERS:
        return Parameters.from_bytes(data)
    if header.sub == ALARM:
        return Broadcast.from_bytes(data)
    return Fault("unknown_message", f"{header.function}.{header.sub}")
