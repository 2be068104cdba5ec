"""Curves: sample arrays, scaled by the attributes of their own object. Only those that the options name.

An object says how its samples are counted and scaled once; its arrays come without that from then on. So it is
remembered by handle, and an array of an object that has not said it is counted and not published. So is its unit:
a curve of an unknown one is published with the reason `unit_unknown`.
"""

import struct
from collections.abc import Iterator

from msgspec import Struct

from drivers.contract import Fault
from drivers.observation import Vendor, Waveform
from drivers.philips_intellivue.observe import QUESTIONABLE, UNITS, absence
from drivers.philips_intellivue.pdus import PollResult, time_of
from drivers.philips_intellivue.values import TICK_US, Array, Reading, Scale, Spec
from drivers.profile import Metric, Profile

MOST_OBJECTS = 64
"""Handles, and curves, that are remembered."""
_SAMPLE_BITS = 16
_SAMPLE = struct.Struct(">H")
_WRAP = 1 << 32


class _Sheet(Struct):
    physios: frozenset[int] = frozenset()
    """Of the arrays that came with it: a handle may be given to another curve later."""
    spec: Spec | None = None
    scale: Scale | None = None
    period: int | None = None
    invalid_mask: int = 0
    unit: int | None = None


class _Place(Struct):
    """How far a curve has come: the number of its next sample, and the monitor's time of the last array."""

    next: int
    relative: int
    samples: int


class Waves:
    """The curves of one monitor."""

    def __init__(self, profile: Profile, codes: frozenset[str]) -> None:
        self._rows = profile.by_code
        self._codes = codes
        self._sheets: dict[tuple[int, int], _Sheet] = {}
        self._places: dict[tuple[int, int, int], _Place] = {}
        self._told: set[tuple[int, int, int]] = set()

    def restart(self) -> None:
        """The port was opened again: scales may be others."""
        self._sheets.clear()
        self._places.clear()
        self._told.clear()

    def observe(
        self, result: PollResult, readings: tuple[Reading, ...], no_patient: str = ""
    ) -> Iterator[Waveform | Fault]:
        """The arrays of a result as waveforms; `no_patient` says why none of them is of a patient."""
        for reading in readings:
            sheet = self._learn(reading)
            for array in reading.arrays:
                if f"{array.physio:04X}" in self._codes:
                    yield from self._array(result, (reading.context, reading.handle), sheet, array, no_patient)

    def _learn(self, reading: Reading) -> _Sheet:
        key = (reading.context, reading.handle)
        sheet = self._sheets.get(key) or _Sheet()
        physios = frozenset(array.physio for array in reading.arrays)
        if physios and sheet.physios and physios.isdisjoint(sheet.physios):
            sheet = _Sheet()
        sheet.physios |= physios
        sheet.spec = reading.spec or sheet.spec
        sheet.scale = reading.scale if reading.has_scale else sheet.scale
        sheet.period = reading.period or sheet.period
        sheet.unit = sheet.unit if reading.unit is None else reading.unit
        sheet.invalid_mask = sheet.invalid_mask if reading.invalid_mask is None else reading.invalid_mask
        if key in self._sheets or len(self._sheets) < MOST_OBJECTS:
            self._sheets[key] = sheet
        return sheet

    def _array(
        self, result: PollResult, of: tuple[int, int], sheet: _Sheet, array: Array, no_patient: str
    ) -> Iterator[Waveform | Fault]:
        key = (*of, array.physio)
        code = f"{array.physio:04X}"
        spec, scale, period = sheet.spec, sheet.scale, sheet.period
        if spec is None or scale is None or not period or not _fits(spec, array):
            if key not in self._told and len(self._told) < MOST_OBJECTS:
                self._told.add(key)
                yield Fault("scale_unknown", code)
            return
        start = self._start(key, result.relative, len(array.data) // _SAMPLE.size, period)
        why = absence(array.state) or no_patient
        metric, unit = self._named(code, sheet.unit)
        samples = _samples(array.data, spec, sheet.invalid_mask)
        if why:
            samples = (None,) * len(samples)
        questionable = bool(array.state & QUESTIONABLE)
        yield Waveform(
            metric=metric.mdc,
            code=metric.mdc_code,
            vendor=Vendor(code, f"{array.state:04X}"),
            validity="not_available" if why else "questionable" if questionable else "valid",
            reason=why or ("questionable" if questionable else "" if unit else "unit_unknown"),
            device_time=time_of(result.absolute),
            samples=samples,
            interval_us=period * TICK_US,
            scale=scale.factor,
            offset=scale.offset,
            unit=unit,
            category="measurement",
            start=start,
        )

    def _named(self, code: str, unit_code: int | None) -> tuple[Metric, str]:
        """The row of a curve, if it has the unit that the monitor gives it; that unit."""
        unit = UNITS.get(unit_code, "") if unit_code is not None else ""
        row = self._rows.get(code)
        is_row = row is not None and row.kind == "waveform" and unit in (row.unit, "")
        return (row if row is not None and is_row else Metric(code=code, kind="waveform")), unit

    def _start(self, key: tuple[int, int, int], relative: int, samples: int, period: int) -> int:
        """The number of the first sample. Where the monitor's time went on by more than the last array, a hole."""
        place = self._places.get(key)
        start = 0
        if place is not None:
            passed = ((relative - place.relative) % _WRAP) // period
            is_hole = 2 * passed > 3 * place.samples and relative != place.relative
            start = place.next + (passed - place.samples if is_hole else 0)
        if place is not None or len(self._places) < MOST_OBJECTS:
            self._places[key] = _Place(start + samples, relative, samples)
        return start


def _samples(data: bytes, spec: Spec, invalid_mask: int) -> tuple[int | None, ...]:
    """The significant bits; a sample that is marked as no measurement is none."""
    mask = (1 << spec.significant_bits) - 1
    return tuple(None if sample & invalid_mask else sample & mask for (sample,) in _SAMPLE.iter_unpack(data))


def _fits(spec: Spec, array: Array) -> bool:
    """Whether the samples are no more than their object said, as wide as it said, and of the documented width."""
    is_wide = spec.sample_bits == _SAMPLE_BITS and 0 < spec.significant_bits <= _SAMPLE_BITS
    size = len(array.data)
    return is_wide and 0 < size <= _SAMPLE.size * spec.samples and size % _SAMPLE.size == 0
