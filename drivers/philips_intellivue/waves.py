"""Curves: sample arrays, scaled by the attributes of their own object. Only those that the options name.

An object says how its samples are counted and scaled once; its arrays come without that from then on. So it is
remembered by handle, and an array of an object that has not said it is counted and not published. The unit of a
curve is in no documented attribute: it stays empty.
"""

import struct
from collections.abc import Iterator

from msgspec import Struct

from drivers.contract import Fault
from drivers.observation import Vendor, Waveform
from drivers.philips_intellivue.observe import QUESTIONABLE, absence
from drivers.philips_intellivue.pdus import PollResult, time_of
from drivers.philips_intellivue.values import TICK_US, Array, Reading, Scale, Spec
from drivers.profile import Metric, Profile

MOST_OBJECTS = 64
"""Handles, and curves, that are remembered."""
_SAMPLE_BITS = 16
_SAMPLE = struct.Struct(">H")
_WRAP = 1 << 32


class _Sheet(Struct):
    spec: Spec | None = None
    scale: Scale | None = None
    period: int | None = None


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
        self._sheets: dict[int, _Sheet] = {}
        self._places: dict[tuple[int, int], _Place] = {}
        self._told: set[tuple[int, int]] = set()

    def restart(self) -> None:
        """The port was opened again: scales may be others."""
        self._sheets.clear()
        self._places.clear()
        self._told.clear()

    def observe(self, result: PollResult, readings: tuple[Reading, ...]) -> Iterator[Waveform | Fault]:
        """The arrays of a result as waveforms."""
        for reading in readings:
            sheet = self._learn(reading)
            for array in reading.arrays:
                if f"{array.physio:04X}" in self._codes:
                    yield from self._array(result, reading.handle, sheet, array)

    def _learn(self, reading: Reading) -> _Sheet:
        sheet = self._sheets.get(reading.handle) or _Sheet()
        sheet.spec = reading.spec or sheet.spec
        sheet.scale = reading.scale or sheet.scale
        sheet.period = reading.period or sheet.period
        if len(self._sheets) < MOST_OBJECTS:
            self._sheets[reading.handle] = sheet
        return sheet

    def _array(self, result: PollResult, handle: int, sheet: _Sheet, array: Array) -> Iterator[Waveform | Fault]:
        key = (handle, array.physio)
        code = f"{array.physio:04X}"
        spec, scale, period = sheet.spec, sheet.scale, sheet.period
        if spec is None or scale is None or not period or not _fits(spec, array):
            if key not in self._told and len(self._told) < MOST_OBJECTS:
                self._told.add(key)
                yield Fault("scale_unknown", code)
            return
        start = self._start(key, result.relative, spec.samples, period)
        why = absence(array.state)
        mask = (1 << spec.significant_bits) - 1
        metric = self._rows.get(code) or Metric(code=code, kind="waveform")
        samples: tuple[int | None, ...] = tuple(sample & mask for (sample,) in _SAMPLE.iter_unpack(array.data))
        if why:
            samples = (None,) * len(samples)
        questionable = bool(array.state & QUESTIONABLE)
        yield Waveform(
            metric=metric.mdc,
            code=metric.mdc_code,
            vendor=Vendor(code, f"{array.state:04X}"),
            validity="not_available" if why else "questionable" if questionable else "valid",
            reason=why or ("questionable" if questionable else "unit_unknown"),
            device_time=time_of(result.absolute),
            samples=samples,
            interval_us=period * TICK_US,
            scale=scale.factor,
            offset=scale.offset,
            unit=metric.unit,
            category="measurement",
            start=start,
        )

    def _start(self, key: tuple[int, int], relative: int, samples: int, period: int) -> int:
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


def _fits(spec: Spec, array: Array) -> bool:
    """Whether the samples are as many and as wide as their object said, and of the width that is documented."""
    is_wide = spec.sample_bits == _SAMPLE_BITS and 0 < spec.significant_bits <= _SAMPLE_BITS
    return is_wide and 0 < 2 * spec.samples == len(array.data)
