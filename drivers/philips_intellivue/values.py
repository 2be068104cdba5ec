"""The attributes of a polled object: numerics, sample arrays, and what scales them.

    0950  numeric            │ physio 2 │ state 2 │ unit 2 │ FLOAT 4 │
    094B  compound           │ count 2 │ length 2 │ numeric │ numeric │ …
    096E  sample array       │ physio 2 │ state 2 │ length 2 │ samples │        0967: count, length and a list of them
    096D  array              │ samples 2 │ sample bits 1 │ significant bits 1 │ flags 2 │
    096F  scale              │ low FLOAT 4 │ high FLOAT 4 │ low sample 2 │ high sample 2 │
    098D  sample period 4    0990  time stamp, 8 BCD

VSCaptureMP (xeonfusion), Class1.cs and Class2.cs. A value whose length is not its own is `Malformed`.
"""

import struct
from decimal import Decimal

from msgspec import Struct

from drivers.framing.ieee11073 import float32
from drivers.philips_intellivue.pdus import Attributes, Malformed, Polled

_NUMERIC, _COMPOUND = 0x0950, 0x094B
_ARRAY, _COMPOUND_ARRAY = 0x096E, 0x0967
_SPEC, _SCALE, _PERIOD, _STAMP = 0x096D, 0x096F, 0x098D, 0x0990
_KNOWN = frozenset((_NUMERIC, _COMPOUND, _ARRAY, _COMPOUND_ARRAY, _SPEC, _SCALE, _PERIOD, _STAMP))
_NOT_READ = frozenset((0x0921, 0x0924, 0x0927, 0x0928, 0x092D, 0x093F, 0x0964, 0x0987, 0x098F, 0x0991))
"""Handles, labels, identity, calibration, other times: documented, and not needed here."""
_PATIENT = frozenset((0x095A, 0x095C, 0x095D, 0x0958, 0x0961))
"""Never asked for; dropped without a word if they come all the same."""
_VALUE = struct.Struct(">HHHI")
_LIST = struct.Struct(">HH")
_SAMPLES = struct.Struct(">HHH")
TICK_US = 125
"""Times are in eighths of a millisecond."""


class Value(Struct, frozen=True):
    """One observed number as it was sent."""

    physio: int
    state: int
    unit: int
    word: int


class Array(Struct, frozen=True):
    """One observed sample array, its samples as they were sent."""

    physio: int
    state: int
    data: bytes


class Spec(Struct, frozen=True):
    """How the samples of an object are counted."""

    samples: int
    sample_bits: int
    significant_bits: int


class Scale(Struct, frozen=True):
    """value = offset + factor * sample."""

    factor: Decimal
    offset: Decimal


class Reading(Struct, frozen=True):
    """What a polled object says; what it did not say this time is None or empty."""

    handle: int
    values: tuple[Value, ...] = ()
    arrays: tuple[Array, ...] = ()
    stamp: bytes = b""
    spec: Spec | None = None
    scale: Scale | None = None
    period: int | None = None
    unknown: tuple[int, ...] = ()


def read(polled: Polled) -> Reading:
    """All of one object. Raises `Malformed`."""
    found = polled.attributes
    return Reading(
        handle=polled.handle,
        values=_values(found),
        arrays=_arrays(found),
        stamp=_sized(found, _STAMP, 8) or b"",
        spec=_spec(found),
        scale=_scale(found),
        period=None if (data := _sized(found, _PERIOD, 4)) is None else int.from_bytes(data, "big"),
        unknown=tuple(sorted(found.keys() - _KNOWN - _NOT_READ - _PATIENT)),
    )


def _sized(found: Attributes, number: int, size: int) -> bytes | None:
    data = found.get(number)
    if data is not None and len(data) != size:
        raise Malformed
    return data


def _list(data: bytes) -> tuple[int, bytes]:
    if len(data) < _LIST.size:
        raise Malformed
    count, length = _LIST.unpack_from(data)
    if len(data) != _LIST.size + length:
        raise Malformed
    return count, data[_LIST.size :]


def _values(found: Attributes) -> tuple[Value, ...]:
    data = _sized(found, _NUMERIC, _VALUE.size) or b""
    if _COMPOUND in found:
        count, listed = _list(found[_COMPOUND])
        if len(listed) != count * _VALUE.size:
            raise Malformed
        data += listed
    return tuple(Value(*fields) for fields in _VALUE.iter_unpack(data))


def _arrays(found: Attributes) -> tuple[Array, ...]:
    arrays = []
    if _ARRAY in found:
        array, rest = _array(found[_ARRAY])
        if rest:
            raise Malformed
        arrays.append(array)
    if _COMPOUND_ARRAY in found:
        count, rest = _list(found[_COMPOUND_ARRAY])
        for _each in range(count):
            array, rest = _array(rest)
            arrays.append(array)
        if rest:
            raise Malformed
    return tuple(arrays)


def _array(data: bytes) -> tuple[Array, bytes]:
    if len(data) < _SAMPLES.size:
        raise Malformed
    physio, state, length = _SAMPLES.unpack_from(data)
    end = _SAMPLES.size + length
    if len(data) < end:
        raise Malformed
    return Array(physio, state, data[_SAMPLES.size : end]), data[end:]


def _spec(found: Attributes) -> Spec | None:
    data = _sized(found, _SPEC, 6)
    return None if data is None else Spec(*struct.unpack(">HBB", data[:4]))


def _scale(found: Attributes) -> Scale | None:
    """The line through two points; without two numbers and two samples that differ there is none."""
    data = _sized(found, _SCALE, 12)
    if data is None:
        return None
    low, high, first, last = struct.unpack(">IIHH", data)
    bottom, top = float32(low), float32(high)
    if not isinstance(bottom, Decimal) or not isinstance(top, Decimal) or first == last:
        return None
    factor = (top - bottom) / (last - first)
    return Scale(factor, bottom - factor * first)
