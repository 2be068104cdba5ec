"""The attributes of a polled object: numerics, sample arrays and what scales them, enumerations, alarms.

    0950  numeric            │ physio 2 │ state 2 │ unit 2 │ FLOAT 4 │
    094B  compound           │ count 2 │ length 2 │ numeric │ numeric │ …
    096E  sample array       │ physio 2 │ state 2 │ length 2 │ samples │        0967: count, length and a list of them
    096D  array              │ samples 2 │ sample bits 1 │ significant bits 1 │ flags 2 │
    096F  scale              │ low FLOAT 4 │ high FLOAT 4 │ low sample 2 │ high sample 2 │
    0A16  fixed values       │ count 2 │ length 2 │ kind 2 │ sample mask 2 │ …
    098D  sample period 4    0990  time stamp, 8 BCD    0996  unit 2    0946  operating mode 2
    099E  enumeration        │ physio 2 │ state 2 │ choice 2 │ length 2 │ 1: code 2; 4: code 2 │ FLOAT 4 │ unit 2 │

alerts.py draws the alarms. VSCaptureMP (xeonfusion), Class1.cs and Class2.cs; mdpnp, EnumValue and DevAlarmEntry;
Philips, Data Export Interface Programming Guide, section Attribute Data Types. A value whose length is not its own is
`Malformed`.
"""

import struct
from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from drivers.framing.ieee11073 import float32
from drivers.philips_intellivue.pdus import Attributes, Malformed, Polled

_NUMERIC, _COMPOUND = 0x0950, 0x094B
_ARRAY, _COMPOUND_ARRAY = 0x096E, 0x0967
_SPEC, _SCALE, _PERIOD, _STAMP = 0x096D, 0x096F, 0x098D, 0x0990
_FIXED, _UNIT, _MODE, _ENUMERATION = 0x0A16, 0x0996, 0x0946, 0x099E
PATIENT_ALARMS, TECHNICAL_ALARMS, _CONDITION = 0x0902, 0x0904, 0x0916
_KNOWN = frozenset(
    (
        *(_NUMERIC, _COMPOUND, _ARRAY, _COMPOUND_ARRAY, _SPEC, _SCALE, _PERIOD, _STAMP),
        *(_FIXED, _UNIT, _MODE, _ENUMERATION, PATIENT_ALARMS, TECHNICAL_ALARMS, _CONDITION),
    )
)
_NOT_READ = frozenset(
    (
        *(0x090C, 0x090D, 0x0911, 0x0917, 0x091A, 0x091D, 0x091E, 0x0921, 0x0924, 0x0927, 0x0928, 0x092D, 0x092F),
        *(0x0935, 0x0937, 0x093C, 0x093D, 0x093F, 0x0940, 0x0945, 0x0948, 0x0964, 0x096A, 0x0982, 0x0984, 0x0985),
        *(0x0986, 0x0987, 0x098F, 0x0991, 0x09A7, 0xF008, 0xF009, 0xF100, 0xF101, 0xF1FA, 0xF228, 0xF239, 0xF23A),
        0xF294,
    )
)
"""Handles, labels, colours, grids, identity, calibration, other times: documented, and not needed here."""
_PATIENT = frozenset(
    (
        *(0x0956, 0x0957, 0x0958, 0x095A, 0x095C, 0x095D, 0x0961, 0x0962, 0x09D8, 0x09DC, 0x09DF, 0x0A1E),
        *(0xF001, 0xF129, 0xF12A, 0xF1EC),
    )
)
"""Never asked for; dropped without a word if they come all the same."""
_VALUE = struct.Struct(">HHHI")
_LIST = struct.Struct(">HH")
_SAMPLES = struct.Struct(">HHH")
_CHOSEN = struct.Struct(">HHHH")
_PAIR = struct.Struct(">HH")
_ALARM = struct.Struct(">HHHH6sHH")
_DEVICE = struct.Struct(">HHHHH")
_CHOICES = {1: 2, 4: 8}
"""Of an enumeration: a code; a code with a number and its unit."""
_TEXT_FORM, _TEXT_AT = 0x0204, 12
_INVALID_SAMPLE = 1
LONGEST_TEXT = 64
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


class State(Struct, frozen=True):
    """One observed enumeration; `code` is a code of the monitor's nomenclature, `raw` the rest as it was sent."""

    physio: int
    state: int
    code: int
    raw: str


class Alarm(Struct, frozen=True):
    """One entry of an alarm list."""

    source: int
    code: int
    type: int
    state: int
    text: str
    """In the monitor's language."""


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

    context: int
    handle: int
    values: tuple[Value, ...] = ()
    arrays: tuple[Array, ...] = ()
    stamp: bytes = b""
    spec: Spec | None = None
    scale: Scale | None = None
    has_scale: bool = False
    """It was said; without a `scale` it is one that nobody can use."""
    period: int | None = None
    invalid_mask: int | None = None
    """Bits of a sample that is no measurement."""
    unit: int | None = None
    states: tuple[State, ...] = ()
    alarms: Mapping[int, tuple[Alarm, ...]] = {}
    """By the number of the list; a list that is there and empty says that nothing is on."""
    condition: int | None = None
    mode: int | None = None
    unknown: tuple[int, ...] = ()


def read(polled: Polled) -> Reading:
    """All of one object. Raises `Malformed`."""
    found = polled.attributes
    return Reading(
        context=polled.context,
        handle=polled.handle,
        values=_values(found),
        arrays=_arrays(found),
        stamp=_sized(found, _STAMP, 8) or b"",
        spec=_spec(found),
        scale=_scale(found),
        has_scale=_SCALE in found,
        period=_number(found, _PERIOD, 4),
        invalid_mask=_invalid_mask(found),
        unit=_number(found, _UNIT, 2),
        states=_states(found),
        alarms={number: _alarms(found[number]) for number in (PATIENT_ALARMS, TECHNICAL_ALARMS) if number in found},
        condition=None if (data := _sized(found, _CONDITION, _DEVICE.size)) is None else _DEVICE.unpack(data)[0],
        mode=_number(found, _MODE, 2),
        unknown=tuple(sorted(found.keys() - _KNOWN - _NOT_READ - _PATIENT)),
    )


def _sized(found: Attributes, number: int, size: int) -> bytes | None:
    data = found.get(number)
    if data is not None and len(data) != size:
        raise Malformed
    return data


def _number(found: Attributes, number: int, size: int) -> int | None:
    data = _sized(found, number, size)
    return None if data is None else int.from_bytes(data, "big")


def _states(found: Attributes) -> tuple[State, ...]:
    data = found.get(_ENUMERATION)
    if data is None:
        return ()
    if len(data) < _CHOSEN.size:
        raise Malformed
    physio, state, choice, length = _CHOSEN.unpack_from(data)
    chosen = data[_CHOSEN.size :]
    if len(chosen) != length or length != _CHOICES.get(choice, length):
        raise Malformed
    code = int.from_bytes(chosen[:2], "big") if choice in _CHOICES else 0
    return (State(physio, state, code, f"{choice:04X} {chosen[: _CHOICES[4]].hex().upper()}"),)


def _alarms(data: bytes) -> tuple[Alarm, ...]:
    count, rest = _list(data)
    alarms = []
    for _each in range(count):
        if len(rest) < _ALARM.size:
            raise Malformed
        source, code, kind, state, _object, form, length = _ALARM.unpack_from(rest)
        end = _ALARM.size + length
        if len(rest) < end:
            raise Malformed
        alarms.append(Alarm(source, code, kind, state, _alarm_text(form, rest[_ALARM.size : end])))
        rest = rest[end:]
    if rest:
        raise Malformed
    return tuple(alarms)


def _alarm_text(form: int, data: bytes) -> str:
    """What the monitor shows; empty where the form has no text."""
    if form != _TEXT_FORM:
        return ""
    length = int.from_bytes(data[_TEXT_AT - 2 : _TEXT_AT], "big")
    if len(data) != _TEXT_AT + length or length % 2:
        raise Malformed
    text = data[_TEXT_AT:].decode("utf-16-be", "replace").split("\0")[0]
    return "".join(letter if letter.isprintable() else "?" for letter in text[:LONGEST_TEXT]).strip()


def _invalid_mask(found: Attributes) -> int | None:
    if _FIXED not in found:
        return None
    count, listed = _list(found[_FIXED])
    if len(listed) != count * _PAIR.size:
        raise Malformed
    mask = 0
    for kind, value in _PAIR.iter_unpack(listed):
        mask |= value if kind == _INVALID_SAMPLE else 0
    return mask


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
