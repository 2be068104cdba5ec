"""Waveforms: samples of one curve, with its scale and its place in the stream.

    │ samples 2 │ status 2 │ label 2 │ sample 2 │ sample 2 │ …      status: 0 gap, 3 lead off

Datex-Ohmeda Record Interface specification (8005313), section on waveform data.
"""

import struct
from decimal import Decimal

from drivers.contract import Fault
from drivers.ge_dri.frames import Part
from drivers.ge_dri.options import CURVES
from drivers.observation import Vendor, Waveform
from drivers.profile import Profile

PREFIX = "WAVE."
LAST_CONTROL = -32000
"""This and anything below is no sample."""
_HEAD = struct.Struct("<hHH")
_GAP, _LEAD_OFF = 0x01, 0x08
_SECOND_US = 1_000_000


class Waves:
    """The curves that were asked for, and how many samples of each have come."""

    def __init__(self, profile: Profile, chosen: tuple[str, ...]) -> None:
        self._curves = {CURVES[code][0]: (profile.by_code[PREFIX + code], CURVES[code][1]) for code in chosen}
        self._start: dict[int, int] = {}

    def restart(self) -> None:
        """The port was opened again: numbering begins anew."""
        self._start.clear()

    def observe(self, part: Part, device_time: str) -> "Waveform | Fault | None":
        """The waveform of one subrecord; its count must close with the bytes that are there."""
        curve = self._curves.get(part.kind)
        if curve is None:
            return Fault("unknown_record", f"1.{part.kind}")
        count, status, _label = _HEAD.unpack_from(part.data)
        raw = struct.unpack_from(f"<{count}h", part.data, _HEAD.size)
        metric, rate = curve
        # How much a gap lost is not told: one number is left out, so that the hole shows.
        start = self._start.get(part.kind, 0) + (status & _GAP)
        self._start[part.kind] = start + count
        if not count:
            return None
        samples = tuple(None if sample <= LAST_CONTROL else sample for sample in raw)
        has_any = any(sample is not None for sample in samples)
        is_off = bool(status & _LEAD_OFF)
        return Waveform(
            metric=metric.mdc,
            code=metric.mdc_code,
            vendor=Vendor(metric.code),
            validity="not_available" if not has_any else "questionable" if is_off else "valid",
            reason="missing" if not has_any else "lead_off" if is_off else "",
            device_time=device_time,
            samples=samples,
            interval_us=round(_SECOND_US / rate),
            scale=Decimal(1).scaleb(-metric.extra.get("decimals", 0)),
            offset=Decimal(0),
            unit=metric.unit,
            category=metric.category,
            start=start,
        )


def is_whole(part: Part) -> bool:
    """Whether the samples that a subrecord announces are all there, and no more."""
    if len(part.data) < _HEAD.size:
        return False
    count: int = _HEAD.unpack_from(part.data)[0]
    return count >= 0 and len(part.data) == _HEAD.size + 2 * count
